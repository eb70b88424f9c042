"""`score`: folders of images in, a report out. A synthetic folder is decoded once, the real one once a size."""

from __future__ import annotations

import importlib.metadata
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from surgaug import __version__
from surgaug.data.spaces import load_space
from surgaug.device import pick_device
from surgaug.errors import DataError, UsageError
from surgaug.feedback import Feedback, Silent
from surgaug.scoring import gates, metrics
from surgaug.scoring.balance import ClassCounts, class_shares, count_classes
from surgaug.scoring.compare import pair_measure, set_measure
from surgaug.scoring.features import colour_texture, inception
from surgaug.scoring.folders import IMAGE_FOLDERS, Folder, Pairing, open_folder, pair
from surgaug.scoring.images import image_size, in_order
from surgaug.scoring.judges import MIOU, JudgeConfig, check_labels, definitions, judge_folders
from surgaug.scoring.passes import Extraction, Pass, Size, run_pass
from surgaug.scoring.plan import DEFAULT_METRICS, PlannedMeasure, plan_measures
from surgaug.scoring.report import ClassShare, Measure, Report, Row

_CPU_BATCH, _GPU_BATCH = 16, 64
FEW_IMAGES = 2048  # below this many, a covariance of Inception's 2048 features is singular


@dataclass(frozen=True)
class ScoreConfig:
    """What to score and how.

    `metrics`: see `plan_measures`. `inception_weights`: a file that holds the published weights; `inception_resize`:
    "legacy" or "clean". `draws`: random halves behind intervals and baselines. `workers`: decoding threads (0: as many
    as there are cores). `fail_if`: see `gates.parse`. `train`: the real frames that the generator learnt from; "miou"
    among the metrics and `judge.utility` need them. `judge`: the segmenter behind both.
    """

    real: Path
    synth: tuple[Path, ...]
    metrics: tuple[str, ...] = DEFAULT_METRICS
    classes: str = "auto"
    inception_weights: Path | None = None
    inception_resize: str = "legacy"
    device: str = "auto"
    draws: int = 10
    seed: int = 0
    workers: int = 0
    fail_if: tuple[str, ...] = ()
    train: Path | None = None
    judge: JudgeConfig = field(default_factory=JudgeConfig)


@dataclass(frozen=True)
class Scored:
    """A report, and the folders that it is about."""

    report: Report
    real: Folder
    train: Folder | None
    synths: tuple[Folder, ...]


def run_score(config: ScoreConfig, feedback: Feedback | None = None) -> Report:
    """The report of `score_folders`."""
    return score_folders(config, feedback).report


def score_folders(config: ScoreConfig, feedback: Feedback | None = None) -> Scored:
    """Score every synthetic folder against the real one.

    Raises:
        UsageError: an unknown metric, gate or device; FID asked for without weights. All before an image is read.
        DataError: a folder without images, a file that cannot be read.
        ModelError: weights that are not the published ones.
    """
    feedback = feedback or Silent()
    if config.inception_resize not in inception.RESIZES:
        known = ", ".join(inception.RESIZES)
        raise UsageError(f"unknown Inception resize {config.inception_resize!r}; there are: {known}")
    judged = definitions(config.metrics, config.judge.utility is not None)
    others = [name for name in config.metrics if name != MIOU]
    measures = {}
    if others or not judged:
        measures = plan_measures(others, config.inception_weights is not None, config.inception_resize)
    if judged and config.train is None:
        raise UsageError("miou and --utility need --train DIR: the real frames that a segmenter is to learn from")
    conditions = gates.parse(config.fail_if, [*measures, *judged])
    if config.inception_weights is not None:
        inception.verified(config.inception_weights)
    names = _names(config.synth)
    classes = config.classes if config.classes == "auto" else load_space(config.classes)
    scorer = _Scorer(config, measures, open_folder(config.real, classes, feedback), feedback)
    folders = [open_folder(path, classes, feedback) for path in config.synth]
    train = open_folder(config.train, classes, feedback) if config.train else None
    if judged:
        check_labels(train, scorer.real, *folders)
    rows = [scorer.row(folder, name) for folder, name in zip(folders, names, strict=True)]
    segmenter = None
    if judged:
        judgements, segmenter = judge_folders(
            config.judge,
            MIOU in judged,
            config.seed,
            train,
            scorer.real,
            folders,
            [row.size for row in rows],
            scorer.device,
            scorer.workers,
            feedback,
        )
        rows = [judgement.added_to(row) for judgement, row in zip(judgements, rows, strict=True)]
    report = Report(
        real_path=str(config.real),
        real_images=scorer.real_images,
        real_sizes={_text(size): n for size, n in scorer.real_sizes.most_common()},
        definitions={**{key: measure.definition for key, measure in measures.items()}, **judged},
        rows=tuple(rows),
        features=scorer.feature_facts(),
        versions=_versions(),
        seed=config.seed,
        draws=config.draws,
        segmenter=segmenter,
    )
    report = replace(report, gates=gates.check(report, conditions))
    return Scored(report, scorer.real, train, tuple(folders))


class _Scorer:
    """Holds what all rows share: the network, the real folder's features by size, its classes."""

    def __init__(self, config: ScoreConfig, measures: dict[str, PlannedMeasure], real: Folder, feedback: Feedback):
        self._config, self._measures, self.real, self._feedback = config, measures, real, feedback
        self.workers = config.workers or cores()
        features = {measure.feature for measure in measures.values()}
        self._pair_metrics = {m.metric: metrics.get(m.metric) for m in measures.values() if m.feature is None}
        self.device = pick_device(config.device)
        network = None
        if "inception" in features:
            weights = inception.load(config.inception_weights)
            network = inception.Extractor(weights, config.inception_resize, self.device)
        batch = _CPU_BATCH if self.device.type == "cpu" else _GPU_BATCH
        self._extraction = Extraction("colour_texture" in features, network, batch, self.workers)
        self._real_passes: dict[Size, Pass] = {}

    @property
    def real_images(self) -> int:
        return len(self.real)

    @cached_property
    def real_sizes(self) -> Counter[Size]:
        return Counter(in_order(image_size, self.real.images, self.workers))

    def row(self, folder: Folder, name: str) -> Row:
        """One synthetic folder against the real one."""
        sizes = Counter(in_order(image_size, folder.images, self.workers))
        size = max(sizes, key=lambda s: (sizes[s], s))
        pairing = pair(folder, self.real) if self._pair_metrics else None
        seen = self._synthetic_pass(folder, name, size, pairing)
        real = self._real_pass(size) if self._extraction.colour_texture or self._extraction.network else Pass()
        classes, no_classes = self._balance(folder)
        return Row(
            name=name,
            path=str(folder.root),
            images=len(folder),
            size=size,
            pairs=pairing.count if pairing else 0,
            pairs_by=pairing.by if pairing else "",
            measures={key: self._measure(m, seen, real, pairing) for key, m in self._measures.items()},
            classes=classes,
            classes_reason=no_classes,
            notes=tuple(self._notes(folder, sizes, size, seen, pairing)),
        )

    def feature_facts(self) -> dict[str, dict[str, Any]]:
        """What the features were, for the report."""
        facts: dict[str, dict[str, Any]] = {}
        if self._extraction.colour_texture:
            facts["colour_texture"] = {"dimension": colour_texture.DIMENSION, "weights": None}
        if self._extraction.network:
            facts["inception"] = {
                "dimension": inception.DIMENSION,
                "weights": inception.FILE_NAME,
                "sha256": inception.SHA256,
                "resize": self._config.inception_resize,
            }
        return facts

    def _synthetic_pass(self, folder: Folder, name: str, size: Size, pairing: Pairing | None) -> Pass:
        if pairing is None or not pairing.count:
            return run_pass(folder.images, size, self._extraction, self._feedback, name)
        partners = tuple(self.real.images[i] if i >= 0 else None for i in pairing.partner)
        return run_pass(
            folder.images, size, self._extraction, self._feedback, name, partners, pairing.partner, self._pair_metrics
        )

    def _real_pass(self, size: Size) -> Pass:
        if size not in self._real_passes:
            description = f"real frames at {_text(size)}"
            self._real_passes[size] = run_pass(self.real.images, size, self._extraction, self._feedback, description)
        return self._real_passes[size]

    def _measure(self, planned: PlannedMeasure, seen: Pass, real: Pass, pairing: Pairing | None) -> Measure:
        metric = metrics.get(planned.metric)
        if planned.feature:
            pair_of_sets = real.features[planned.feature], seen.features[planned.feature]
            return set_measure(metric, *pair_of_sets, self._config.draws, self._config.seed)
        values, sources = seen.pairs.get(planned.metric, (np.empty(0), np.empty(0)))
        if len(values):
            return pair_measure(values, sources, np.random.default_rng(self._config.seed))
        return Measure(None, 0, reason=seen.pair_errors.get(planned.metric) or _no_pairs(pairing))

    def _balance(self, folder: Folder) -> tuple[tuple[ClassShare, ...] | None, str | None]:
        for side in (self.real, folder):
            if side.frames is None:
                return None, side.no_labels
        try:
            return class_shares(self._real_classes, count_classes(folder.frames, self._feedback)), None
        except DataError as reason:
            self._feedback.warn(f"no class balance: {reason}")
            return None, str(reason)

    @cached_property
    def _real_classes(self) -> ClassCounts:
        return count_classes(self.real.frames, self._feedback)

    def _notes(
        self, folder: Folder, sizes: Counter[Size], size: Size, seen: Pass, pairing: Pairing | None
    ) -> list[str]:
        """What a reader must know about how these figures came about."""
        notes = []
        others = len(folder) - sizes[size]
        if others:
            notes.append(
                f"{others} of {len(folder)} synthetic images were resized to {_text(size)}, the most frequent size"
            )
        resized = [s for s in self.real_sizes if s != size]
        if resized:
            count = sum(self.real_sizes[s] for s in resized)
            largest = max(resized, key=self.real_sizes.get)
            how = "with antialiasing"
            if any(s[0] < size[0] or s[1] < size[1] for s in resized):
                how = "some enlarged and so softer than synthetic ones may be"
            notes.append(
                f"{count} of {len(self.real)} real frames (mostly {_text(largest)}) were resized to the synthetic "
                f"size {_text(size)}, {how}"
            )
        if pairing and pairing.changed:
            notes.append(
                f"{pairing.changed} images of changed masks are in no pair: they show another scene than the frame"
            )
        if pairing and pairing.count:
            notes.append(
                f"{pairing.count} pairs by {pairing.by}; PSNR and SSIM measure reconstruction and punish diversity"
            )
        notes += [f"{name}: some pairs have no value, such as {error}" for name, error in seen.pair_errors.items()]
        fewest = min(len(self.real), len(folder))
        if self._extraction.network and fewest < FEW_IMAGES:
            notes.append(
                f"FID of {fewest} images (fewer than {FEW_IMAGES}) is biased upwards; compare it at equal size only"
            )
        return notes


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _no_pairs(pairing: Pairing | None) -> str:
    if pairing and pairing.changed:
        return "every paired image was painted from a changed mask"
    return "no pair: no image has the name of a real frame, and no manifest names one as source"


def _names(paths: tuple[Path, ...]) -> list[str]:
    """Short names that tell the folders apart: the last part that says something, or as many as it takes."""
    said = [
        path.parent if path.name in IMAGE_FOLDERS and len(path.parts) > 1 else path for path in map(Path.resolve, paths)
    ]
    for parts in range(1, 20):
        names = ["/".join(path.parts[-parts:]) for path in said]
        if len(set(names)) == len(names):
            return names
    raise UsageError("--synth: the same folder is given twice")


def _text(size: Size) -> str:
    return f"{size[0]}x{size[1]}"


def _versions() -> dict[str, str]:
    packages = ("numpy", "scipy", "torch")
    return {"surgaug": __version__, **{name: importlib.metadata.version(name) for name in packages}}
