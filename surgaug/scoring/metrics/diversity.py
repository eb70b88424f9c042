"""How unlike each other the images synthesized from one label map are; see `compute.repeats`."""

from __future__ import annotations

from surgaug.scoring.metrics import Metric

_OVER = "over pairs of images of one label map"
METRIC = Metric(
    title="Diversity",
    group="diversity",
    better="higher",
    needs="repeats",
    convention=f"mean distance {_OVER}",
    ranked=False,  # noise is diverse
    distances={
        "diversity": ("Diversity (1 - SSIM)", f"mean 1 - SSIM {_OVER}", "ssim"),
        "diversity_colour_texture": (
            "Diversity (colour+texture)",
            f"mean Euclidean distance of colour and texture features {_OVER}",
            "colour_texture",
        ),
        "diversity_lpips": ("Diversity (LPIPS)", f"mean LPIPS {_OVER}", "lpips"),
    },
)
