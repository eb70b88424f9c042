"""What a path is, and the inspection that it gets."""

from __future__ import annotations

from pathlib import Path

from surgaug.datasets.dataset import PairedFrames
from surgaug.datasets.stored_ids import DESCRIPTION, FOLDERS_DESCRIPTION
from surgaug.errors import DataError, UsageError
from surgaug.inspect import dataset, files, model
from surgaug.inspect.report import Report
from surgaug.io.images import is_label_file
from surgaug.labels.class_file import SUFFIXES as CLASS_FILES
from surgaug.labels.codecs.coco import is_coco
from surgaug.runtime.feedback import Feedback, Silent

_INDEX = (DESCRIPTION, FOLDERS_DESCRIPTION, "data.yaml", "splits.txt", "splits_final.json", "metadata.csv")


def inspect(
    path: Path,
    classes: str = "auto",
    feedback: Feedback | None = None,
    *,
    images: Path | None = None,
    labels: Path | None = None,
    leave_out_bad: bool = False,
    audit: bool = False,
    segmenter_steps: int | None = None,
    device: str = "auto",
) -> Report:
    """Inspect a data set, a folder of label maps, a run, a model file, an image or label map, a manifest, a class file.

    classes, images, labels: as in `datasets.dataset.open_pairs`. leave_out_bad: count a data set without frames that
    cannot be used, which become notes. audit: rank the labels of a data set by how surprising they are (`audit.py`),
    with a segmenter of `segmenter_steps` on `device`. What is wrong becomes a problem in the report. Raises DataError
    for a path that is not there, or is none of these.
    """
    path, feedback = Path(path), feedback or Silent()
    if segmenter_steps is not None and (segmenter_steps < 1 or not audit):
        raise UsageError(f"--segmenter-steps {segmenter_steps}: at least 1, with --audit")
    report = _inspect(path, classes, feedback, images, labels, leave_out_bad)
    if audit:
        _audit(report, feedback, segmenter_steps, device)
    return report


def _audit(report: Report, feedback: Feedback, steps: int | None, device: str) -> None:
    """Add the audit to the report of a data set. UsageError for anything else; DataError where it cannot be read."""
    from surgaug.inspect import audit  # torch, which looking at files does without

    if not isinstance(report.frames, PairedFrames):
        raise UsageError(f"--audit: for data sets of images with label maps; {report.path} is a {report.kind}")
    if report.problems:
        raise DataError(f"{report.problems[0]}; --audit reads every frame: correct it, or add --leave-out-bad")
    report.audit = audit.audit(report.frames, feedback, steps, device)
    report.tables += audit.tables(report.audit)
    report.details["audit"] = audit.details(report.audit)
    doubted = int(report.audit.doubts.any((1, 2)).sum())
    report.notes.append(
        f"audit: pixels of {doubted} of {len(report.audit.frames)} frames surprise a segmenter of the other frames. "
        "The tables have the most suspicious first: look at them, it is no proof"
    )


def _inspect(
    path: Path, classes: str, feedback: Feedback, images: Path | None, labels: Path | None, leave_out_bad: bool
) -> Report:
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.is_dir():
        if model.is_run(path):
            return model.inspect_run(path)
        if model.is_cascade(path):
            return model.inspect_cascade(path)
        if runs := [p for p in path.iterdir() if p.is_dir() and (model.is_run(p) or model.is_cascade(p))]:
            return model.inspect_runs(path, runs)
        return dataset.inspect_folder(path, classes, feedback, images, labels, leave_out_bad)
    if path.suffix == ".safetensors":
        return model.inspect_model(path)
    if path.suffix == ".jsonl":
        return files.inspect_manifest(path)
    if is_label_file(path):
        return files.inspect_image(path, classes)
    if path.suffix.lower() == ".json" and is_coco(path):
        return files.inspect_coco(path)
    if path.suffix.lower() in CLASS_FILES and path.name not in _INDEX:
        return files.inspect_class_file(path)
    if whole := next((folder for folder in list(path.absolute().parents)[:3] if _is_whole(folder)), None):
        raise DataError(f"{path}: one file of several that belong together; inspect the folder {whole}")
    raise DataError(
        f"{path}: neither a folder nor a model (.safetensors), an image, a manifest (.jsonl) or a class file "
        f"({', '.join(CLASS_FILES)})"
    )


def _is_whole(folder: Path) -> bool:
    """Whether a run, or a file that only the top of a data set has, tells that this folder is one thing."""
    return model.is_run(folder) or model.is_cascade(folder) or any((folder / name).is_file() for name in _INDEX)
