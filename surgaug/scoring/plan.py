"""Which measures a run has: each metric on pairs of images, on one extractor's features, or on labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from surgaug.errors import UsageError
from surgaug.scoring import metrics
from surgaug.scoring.config import Weights
from surgaug.scoring.features import clip, dinov2, inception
from surgaug.scoring.report.model import Definition

DEFAULT_METRICS = ("psnr", "ssim", "frechet", "kid", "class_frechet", "balance", "brightness", "hue", "sharpness")
ALIASES = {"precision": "prdc", "recall": "prdc", "density": "prdc", "coverage": "prdc", "ms-ssim": "msssim"}
ALL = "all"
MIOU = "miou"  # takes a training, not a formula: see `segmenter.evaluation`
_TITLES = {
    ("frechet", "inception"): ("fid", "FID"),
    ("kid", "inception"): ("kid", "KID"),
    ("frechet_infinity", "inception"): ("fid_infinity", "FID, infinite size"),
    ("frechet", "dinov2"): ("fd_dinov2", "FD"),
    ("kid", "dinov2"): ("kd_dinov2", "KD"),
    ("frechet_infinity", "dinov2"): ("fd_infinity_dinov2", "FD, infinite size"),
}
_SUFFIXES = {"colour_texture": "colour+texture", "dinov2": "DINOv2", "inception": "{resize}"}
_SPECIAL = {
    "class_frechet": Definition(
        "Fréchet in class regions",
        "lower",
        "",
        "squared Fréchet distance of 22 colour and texture features of each class's regions (32 pixels or more, at the "
        "synthetic size), mean over the classes with 16 or more regions in either set",
        "distribution",
    ),
    "balance": Definition(
        "Class balance", "lower", "%", "half the sum over classes of the differences of pixel shares", "labels"
    ),
    "diversity": Definition(
        "Diversity (1 - SSIM)",
        "higher",
        "",
        "mean 1 - SSIM over pairs of images of one label map",
        "diversity",
        ranked=False,
    ),
    "diversity_colour_texture": Definition(
        "Diversity (colour+texture)",
        "higher",
        "",
        "mean Euclidean distance of colour and texture features over pairs of images of one label map",
        "diversity",
        ranked=False,
    ),
    "diversity_lpips": Definition(
        "Diversity (LPIPS)",
        "higher",
        "",
        "mean LPIPS over pairs of images of one label map",
        "diversity",
        ranked=False,
    ),
}


@dataclass(frozen=True)
class PlannedMeasure:
    """One measure.

    kind: "pair" (`metric` names a module of `scoring.metrics`), "set" (likewise, of the features of `feature`; `figure`
    names which of its figures), "classes", "balance" or "diversity" (`metric` names the distance).
    """

    definition: Definition
    kind: Literal["pair", "set", "classes", "balance", "diversity"]
    metric: str
    feature: str | None = None
    figure: str = ""


def known_metrics() -> list[str]:
    """What `--metrics` may name."""
    return sorted([*metrics.names(), "fid", "class_frechet", "balance", "diversity"])


def plan_measures(names: Sequence[str], weights: Weights) -> dict[str, PlannedMeasure]:
    """Measures by key, in the order of `names`.

    Metrics of sets come once for each extractor that they fit and that there is: "frechet" gives
    "frechet_colour_texture", and with Inception's weights also "fid". The name FID stands for Inception's features
    alone. "lpips" and "cmmd" need not be named where their weights are given. "all": whatever can be had.

    Raises:
        UsageError: an unknown metric (with the nearest name), none at all, or one without its weights.
    """
    if weights.resize not in inception.RESIZES:
        known = ", ".join(inception.RESIZES)
        raise UsageError(f"unknown Inception resize {weights.resize!r}; there are: {known}")
    measures: dict[str, PlannedMeasure] = {}
    for name in _named(names, weights):
        if name == "fid":
            if weights.inception is None:
                raise UsageError(
                    "FID needs Inception's weights: --inception-weights FILE or --download-inception; "
                    "'frechet' needs none (colour and texture)"
                )
            measures.update(_of_sets("frechet", ["inception"], weights))
        elif name == "diversity":
            measures.update(_of_diversity(weights))
        elif name in _SPECIAL:
            kind: Literal["classes", "balance"] = "classes" if name == "class_frechet" else "balance"
            measures[name] = PlannedMeasure(_SPECIAL[name], kind, name)
        else:
            measures.update(_of_metric(name, weights))
    if not measures:
        raise UsageError(f"--metrics names none; there are: {', '.join(known_metrics())}")
    return measures


def _named(names: Sequence[str], weights: Weights) -> list[str]:
    """`names` without aliases and repetitions, each of them known."""
    lacking = {name for name, given in (("lpips", weights.lpips), ("cmmd", weights.clip)) if not given}
    chosen = []
    for name in (ALIASES.get(name, name) for name in names):
        if name == ALL:
            chosen += [n for n in (*DEFAULT_METRICS, *known_metrics()) if n != "fid" and n not in lacking]
        elif name in known_metrics():
            chosen.append(name)
        else:
            near = metrics.suggestion(name, [*known_metrics(), *ALIASES, MIOU])
            raise UsageError(f"unknown metric {name!r}{near}; there are: {', '.join([*known_metrics(), MIOU, ALL])}")
    if chosen:
        chosen += [name for name in ("lpips", "cmmd") if name not in lacking]
    return list(dict.fromkeys(chosen))


def _of_metric(name: str, weights: Weights) -> dict[str, PlannedMeasure]:
    module = metrics.get(name)
    if module.KIND == "set":
        found = _of_sets(name, [f for f in weights.features() if f in module.FEATURES], weights)
        if not found:
            raise UsageError(f"{module.TITLE} needs weights: --clip-weights DIR, a model's folder as published")
        return found
    if name == "lpips" and not weights.lpips:
        raise UsageError("LPIPS needs weights: --lpips-weights FILE twice, for the network and for its linear heads")
    definition = Definition(module.TITLE, module.BETTER, module.UNIT, module.CONVENTION, "pairs")
    return {name: PlannedMeasure(definition, "pair", name)}


def _of_sets(metric: str, features: Sequence[str], weights: Weights) -> dict[str, PlannedMeasure]:
    module = metrics.get(metric)
    group = "drift" if metric in ("brightness", "hue", "sharpness") else "distribution"
    planned = {}
    for feature in features:
        for figure in module.NAMES:
            key, title = _TITLES.get((metric, feature), (figure, module.TITLE or figure.capitalize()))
            if len(module.FEATURES) > 1:
                title += f" ({_SUFFIXES[feature].format(resize=weights.resize)})"
                if (metric, feature) not in _TITLES and feature != "inception":
                    key = f"{figure}_{feature}"
            convention = f"{module.CONVENTION}; {_described(feature, weights)}"
            definition = Definition(title, module.BETTER, module.UNIT, convention, group)
            planned[key] = PlannedMeasure(definition, "set", metric, feature, figure)
    return planned


def _of_diversity(weights: Weights) -> dict[str, PlannedMeasure]:
    distances = {"diversity": "ssim", "diversity_colour_texture": "colour_texture", "diversity_lpips": "lpips"}
    if not weights.lpips:
        distances.pop("diversity_lpips")
    feature = "colour_texture"
    return {
        key: PlannedMeasure(_SPECIAL[key], "diversity", metric, feature if metric == feature else None)
        for key, metric in distances.items()
    }


def _described(feature: str, weights: Weights) -> str:
    return {
        "colour_texture": "130 colour and texture features, no weights",
        "inception": f"FID Inception network, resize {weights.resize}: {inception.RESIZES[weights.resize]}",
        "dinov2": f"DINOv2: {dinov2.PREPARATION}",
        "clip": f"CLIP: {clip.PREPARATION}",
    }[feature]
