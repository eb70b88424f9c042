"""`score`: folders of images in, a report out. A synthetic folder is decoded once, the real one once a size."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass, replace
from pathlib import Path

from surgaug.datasets.space_match import together
from surgaug.errors import UsageError
from surgaug.labels.builtin_spaces import load_space
from surgaug.runtime.device import pick_device
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.paths import cache_folder
from surgaug.scoring.compute import judged, leakage
from surgaug.scoring.compute.cache import FeatureCache
from surgaug.scoring.compute.scorer import Scorer
from surgaug.scoring.config import ScoreConfig
from surgaug.scoring.features import inception
from surgaug.scoring.inputs import IMAGE_FOLDERS, Folder, admitted, of_chosen_split, of_training, open_folder
from surgaug.scoring.plan import MIOU, gate_names, plan_default, plan_measures
from surgaug.scoring.report import gates
from surgaug.scoring.report.model import Definition, Report
from surgaug.scoring.report.notes import size_text
from surgaug.scoring.report.verdicts import with_verdicts
from surgaug.scoring.segmenter.evaluation import Inputs, check_labels, definitions, evaluate, open_segmenter
from surgaug.scoring.segmenter.train_test_split import NotEvaluated
from surgaug.version import __version__


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
    metrics = config.metrics or ()
    # Faithfulness is measured where it can be, though it was not asked for.
    by_default = config.metrics is None and config.train is not None and config.miou
    evaluated = definitions((*metrics, *[MIOU] * by_default), config.evaluation.utility is not None)
    measures = {}
    if config.metrics is None:
        measures = plan_default(config.weights)
    elif (others := [name for name in metrics if name != MIOU]) or not evaluated:
        measures = plan_measures(others, config.weights)
    segmenter = open_segmenter(config.evaluation)
    trainings = bool(config.evaluation.utility or config.evaluation.sweep)
    if (evaluated or trainings) and config.train is None:
        raise UsageError(
            "miou, --utility and --sweep need --train DIR: the real frames that a segmenter is to be trained on"
        )
    hygiene = leakage.DEFINITIONS if config.train else {}
    known = {**gate_names(measures), **{key: [key] for key in [*hygiene, *judged.DEFINITIONS, *evaluated]}}
    missing = {key: measure.missing for key, measure in measures.items() if measure.missing}
    conditions = gates.parse(config.fail_if, known, missing)
    if config.weights.inception is not None:
        inception.verified(config.weights.inception)
    names = _names(config.synth)
    classes = config.classes if config.classes == "auto" else load_space(config.classes)
    device = pick_device(config.device)
    bad = config.leave_out_bad
    real = of_chosen_split(open_folder(config.real, classes, feedback, bad), config.split, feedback)
    folders = [open_folder(path, classes, feedback, bad) for path in config.synth]
    if config.least_agreement is not None:
        folders = [admitted(folder, config.least_agreement) for folder in folders]
    trusts = [judged.judged(folder, config.least_agreement, config.seed) for folder in folders]
    gated = any(g.measure in judged.DEFINITIONS for g in conditions)
    trusted = judged.DEFINITIONS if gated or any(trusts) else {}
    train = open_folder(config.train, classes, feedback, bad) if config.train else None
    if classes == "auto":
        real, folders, train = _in_one_space(real, folders, train, feedback)
    learnt = of_training(train) if train else None
    # What nobody asked for by name is left out where it cannot be had.
    optional = by_default and not trainings and not any(g.measure in evaluated for g in conditions)
    if (evaluated or trainings) and train is not None:
        try:
            check_labels(segmenter, train, real, *folders)
        except NotEvaluated as reason:
            evaluated = _without(evaluated, reason, optional, feedback)
    cache = FeatureCache(cache_folder() if config.cache else None, feedback)
    scorer = Scorer(
        measures, config.weights, real, learnt, device, config.workers, config.draws, config.seed, cache, feedback
    )
    rows = [
        replace(row, judged=found, measures={**row.measures, **{key: judged.measure(found) for key in trusted}})
        for row, found in zip(map(scorer.row, folders, names), trusts, strict=True)
    ]
    cache.close()
    if train and learnt and len(learnt) < len(train):
        note = f"of the {len(train)} frames of --train the {len(learnt)} of its training split alone count as such"
        rows = [replace(row, notes=(*row.notes, note)) for row in rows]
    facts = None
    if (evaluated or trainings) and train is not None:
        inputs = Inputs(train, real, folders, [row.size for row in rows])
        try:
            found, facts = evaluate(
                inputs, config.evaluation, segmenter, MIOU in evaluated, config.seed, device, scorer.workers, feedback
            )
            rows = [evaluation.added_to(row) for evaluation, row in zip(found, rows, strict=True)]
        except NotEvaluated as reason:
            evaluated = _without(evaluated, reason, optional, feedback)
    report = Report(
        real_path=str(config.real),
        real_images=len(real),
        real_sizes={size_text(size): n for size, n in scorer.real_sizes.most_common()},
        definitions={
            **{key: measure.definition for key, measure in measures.items()},
            **hygiene,
            **trusted,
            **evaluated,
        },
        rows=tuple(rows),
        features=scorer.facts(),
        versions=_versions(),
        seed=config.seed,
        draws=config.draws,
        segmenter=facts,
        videos=tuple(sorted({video for video in real.videos() if video})),
        other_videos=scorer.yardstick(),
        left_out=tuple(line for folder in (real, *folders, train) if folder for line in folder.left_out),
    )
    report = with_verdicts(replace(report, gates=gates.check(report, conditions)))
    return Scored(report, real, train, tuple(folders))


def _in_one_space(
    real: Folder, folders: list[Folder], train: Folder | None, feedback: Feedback
) -> tuple[Folder, list[Folder], Folder | None]:
    """The folders with their label maps in one label space. DataError where they cannot be brought there."""
    every = [real, *folders, *([train] if train else [])]
    labelled = [folder for folder in every if folder.frames is not None]
    frames = [folder.frames for folder in labelled if folder.frames is not None]
    if len(frames) > 1:
        brought = together(frames, [str(folder.root) for folder in labelled], feedback)
        found = {id(folder): replace(folder, frames=to) for folder, to in zip(labelled, brought, strict=True)}
        every = [found.get(id(folder), folder) for folder in every]
    return every[0], every[1 : 1 + len(folders)], every[-1] if train else None


def _without(
    evaluated: dict[str, Definition], reason: NotEvaluated, optional: bool, feedback: Feedback
) -> dict[str, Definition]:
    """No definitions, after a warning that says why; the error itself where the evaluation is not optional."""
    if not optional:
        raise reason
    feedback.warn(f"left out: {', '.join(d.title for d in evaluated.values())} ({reason})")
    return {}


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


def _versions() -> dict[str, str]:
    packages = ("numpy", "scipy", "opencv-python-headless", "pillow", "torch", "torchvision")
    return {"surgaug": __version__, **{name: importlib.metadata.version(name) for name in packages}}
