"""Which measures a run has. Everything that is said of a metric or of an extractor stands in its own file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

from surgaug.errors import UsageError
from surgaug.scoring import features, metrics
from surgaug.scoring.config import Weights
from surgaug.scoring.metrics import Metric
from surgaug.scoring.report.model import Definition

GROUPS = ("realism", "drift", "pairs", "labels", "diversity")  # in this order, where nobody names metrics
ALL = "all"
MIOU = "miou"  # takes a training, not a formula: see `segmenter.evaluation`
FID = "fid"
_NEEDED = "needs Inception's weights: --inception-weights FILE or --download-inception"


@dataclass(frozen=True)
class PlannedMeasure:
    """One measure.

    name: of the metric; of a measure of diversity, of the metric of pairs that it is made of. feature: the extractor,
    where it is made of features. figure: which of the metric's figures. missing: why there can be no value.
    """

    definition: Definition
    metric: Metric
    name: str
    feature: str | None = None
    figure: int = 0
    missing: str = ""


def default_metrics() -> list[str]:
    """The metrics that are measured where none is named."""
    chosen = {name: metric for name in metrics.names() if (metric := metrics.get(name)).default}
    return sorted(chosen, key=lambda name: (GROUPS.index(chosen[name].group), name))


def known_metrics() -> list[str]:
    """What `--metrics` may name, without other names of the same."""
    return sorted({*metrics.names(), *(name for name, (_, feature) in _aliases().items() if feature)})


def plan_measures(names: Sequence[str], weights: Weights) -> dict[str, PlannedMeasure]:
    """Measures by key, in the order of `names`.

    Metrics of features come once for each extractor that they fit and that there is, the preferred first: "frechet"
    gives "frechet_colour_texture", and with Inception's weights also "fid". The name FID stands for Inception's
    features alone. Metrics with weights of their own need not be named where these are given. "all": whatever can be
    had.

    Raises:
        UsageError: an unknown metric (with the nearest name), none at all, or one without its weights.
    """
    extractors = features.available(weights)
    measures: dict[str, PlannedMeasure] = {}
    for name in _named(names, weights):
        measures.update(_measures_of(name, extractors, weights))
    if not measures:
        raise UsageError(f"--metrics names none; there are: {', '.join(known_metrics())}")
    return measures


def plan_default(weights: Weights) -> dict[str, PlannedMeasure]:
    """Measures where no metric is named; FID is among them even where it cannot be had, so that a report says why."""
    measures = plan_measures(default_metrics(), weights)
    if FID in measures:
        return measures
    metric = metrics.get("frechet")
    definition = Definition("FID", metric.better, metric.unit, metric.convention, metric.group)
    return {**measures, FID: PlannedMeasure(definition, metric, "frechet", missing=f"not computed: it {_NEEDED}")}


def gate_names(measures: dict[str, PlannedMeasure]) -> dict[str, list[str]]:
    """The keys that each name stands for in a gate: every key, and every name of `--metrics` that is measured.

    A metric that is measured on several extractors means the first of them, which is the preferred; one of several
    figures means them all.
    """
    others = {name: _meant_by(name, measures) for name in [*metrics.names(), *_aliases()] if name not in measures}
    return {**{key: [key] for key in measures}, **{name: keys for name, keys in others.items() if keys}}


def _meant_by(name: str, measures: dict[str, PlannedMeasure]) -> list[str]:
    metric_name, only = _aliases().get(name, (name, ""))
    found: dict[int, str] = {}
    for key, planned in measures.items():
        figures = [figure for figure, _ in planned.metric.figures]
        of_figure = name not in figures or figures[planned.figure] == name
        if planned.name == metric_name and not planned.missing and only in ("", planned.feature) and of_figure:
            found.setdefault(planned.figure, key)
    return list(found.values())


def _aliases() -> dict[str, tuple[str, str]]:
    """Other names of metrics: the metric, and the only extractor that is meant or ""."""
    return {alias: (name, feature) for name in metrics.names() for alias, feature in metrics.get(name).aliases.items()}


def _named(names: Sequence[str], weights: Weights) -> list[str]:
    """`names` without repetitions and without aliases of all extractors, each of them known."""
    of_weights = {name: field for name in metrics.names() if (field := metrics.get(name).weights)}
    given = [name for name, field in of_weights.items() if getattr(weights, field)]
    aliases = _aliases()
    chosen: list[str] = []
    for name in names:
        metric, feature = aliases.get(name, (name, ""))
        if name == ALL:
            everything = [*default_metrics(), *metrics.names()]
            chosen += [n for n in everything if n not in of_weights or n in given]
        elif feature:
            chosen.append(name)
        elif metric in metrics.names():
            chosen.append(metric)
        else:
            near = metrics.suggestion(name, [*known_metrics(), *aliases, MIOU])
            raise UsageError(f"unknown metric {name!r}{near}; there are: {', '.join([*known_metrics(), MIOU, ALL])}")
    return list(dict.fromkeys([*chosen, *given] if chosen else []))


def _measures_of(name: str, extractors: dict[str, ModuleType], weights: Weights) -> dict[str, PlannedMeasure]:
    metric_name, only = _aliases().get(name, (name, ""))
    metric = metrics.get(metric_name)
    if only and only not in extractors:
        raise UsageError(f"FID {_NEEDED}; 'frechet' needs none")
    if metric.weights and not getattr(weights, metric.weights):
        raise UsageError(metric.lacking)
    if metric.needs == "features":
        fitting = {
            key: module
            for key, module in extractors.items()
            if (key == only if only else key in metric.features if metric.features else module.GENERAL)
        }
        return {
            planned_key: planned
            for key, module in fitting.items()
            for planned_key, planned in _of_features(metric_name, metric, key, module, weights).items()
        }
    if metric.needs == "repeats":
        return _of_repeats(metric, extractors, weights)
    definition = Definition(
        metric.title,
        metric.better,
        metric.unit,
        metric.convention,
        metric.group,
        ranked=metric.ranked,
        biased=metric.biased,
    )
    return {name: PlannedMeasure(definition, metric, name)}


def _of_features(
    name: str, metric: Metric, feature: str, module: ModuleType, weights: Weights
) -> dict[str, PlannedMeasure]:
    """The figures of a metric on one extractor's features."""
    figures = metric.figures or ((name, metric.title),)
    if feature == "inception" and metric.on_inception:
        figures = (metric.on_inception,)
    elif module.DEEP and metric.on_deep:
        figures = (metric.on_deep,)
    # What is measured on one extractor alone is not named after it.
    several = not metric.features
    convention = f"{metric.convention}; {module.convention(weights)}"
    group = metric.group if module.DEEP or metric.group != "realism" else "drift"
    planned = {}
    for i, (key, title) in enumerate(figures):
        definition = Definition(
            f"{title} ({module.title(weights)})" if several else title,
            metric.better,
            metric.unit,
            convention,
            group,
            metric.ranked,
            module.DEEP,
            metric.biased,
        )
        key = f"{key}_{feature}" if several and feature != "inception" else key
        planned[key] = PlannedMeasure(definition, metric, name, feature, i)
    return planned


def _of_repeats(metric: Metric, extractors: dict[str, ModuleType], weights: Weights) -> dict[str, PlannedMeasure]:
    """Mean distances between images of one map, by each distance that can be had."""
    planned = {}
    for key, (title, convention, distance) in metric.distances.items():
        definition = Definition(title, metric.better, metric.unit, convention, metric.group, metric.ranked)
        if distance in extractors:
            planned[key] = PlannedMeasure(definition, metric, distance, distance)
        elif not (needed := metrics.get(distance).weights) or getattr(weights, needed):
            planned[key] = PlannedMeasure(definition, metric, distance)
    return planned
