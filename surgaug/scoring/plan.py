"""Which measures a run has: each metric on pairs of images, or on the features of one extractor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from surgaug.errors import UsageError
from surgaug.scoring import metrics
from surgaug.scoring.features import inception
from surgaug.scoring.report import Definition

PAIR_METRICS = {"psnr": ("PSNR", "dB"), "ssim": ("SSIM", "")}
SET_METRICS = {"frechet": ("Fréchet", "FID"), "kid": ("Kernel distance", "KID")}  # name without, with Inception
DEFAULT_METRICS = ("psnr", "ssim", "frechet", "kid")


@dataclass(frozen=True)
class PlannedMeasure:
    """One measure: `metric` names a module of `surgaug.scoring.metrics`, `feature` an extractor (None: pairs)."""

    definition: Definition
    metric: str
    feature: str | None


def plan_measures(names: Sequence[str], with_inception: bool, resize: str) -> dict[str, PlannedMeasure]:
    """Measures by key, in the order of `names`.

    "psnr" and "ssim" are themselves; "frechet" and "kid" give "frechet_colour_texture" and "kid_colour_texture", and
    with Inception's weights also "fid" and "kid". The name FID stands for Inception's features alone.

    Raises:
        UsageError: an unknown metric (with the nearest name), none at all, or "fid" without weights.
    """
    measures: dict[str, PlannedMeasure] = {}
    for name in dict.fromkeys(names):
        if name == "fid":
            if not with_inception:
                raise UsageError(
                    "FID needs Inception's weights: --inception-weights FILE or --download-inception; "
                    "'frechet' needs none (colour and texture)"
                )
            measures["fid"] = _inception_measure("frechet", resize)
            continue
        if name not in metrics.names():
            known = [*metrics.names(), "fid"]
            raise UsageError(f"unknown metric {name!r}{metrics.suggestion(name, known)}; there are: {', '.join(known)}")
        module = metrics.get(name)
        if name in PAIR_METRICS:
            title, unit = PAIR_METRICS[name]
            measures[name] = PlannedMeasure(Definition(title, "higher", unit, module.CONVENTION), name, None)
            continue
        if with_inception:
            measures[SET_METRICS[name][1].lower()] = _inception_measure(name, resize)
        convention = f"{module.CONVENTION}; 130 colour and texture features, no weights"
        definition = Definition(f"{SET_METRICS[name][0]} (colour+texture)", "lower", "", convention)
        measures[f"{name}_colour_texture"] = PlannedMeasure(definition, name, "colour_texture")
    if not measures:
        raise UsageError(f"--metrics names none; there are: {', '.join([*metrics.names(), 'fid'])}")
    return measures


def _inception_measure(metric: str, resize: str) -> PlannedMeasure:
    convention = (
        f"{metrics.get(metric).CONVENTION}; FID Inception network, resize {resize}: {inception.RESIZES[resize]}"
    )
    return PlannedMeasure(
        Definition(f"{SET_METRICS[metric][1]} ({resize})", "lower", "", convention), metric, "inception"
    )
