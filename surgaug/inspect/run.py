"""What a path is, and the inspection that it gets."""

from __future__ import annotations

from pathlib import Path

from surgaug.data.class_file import SUFFIXES as CLASS_FILES
from surgaug.data.raster import is_image_file
from surgaug.errors import DataError
from surgaug.feedback import Feedback, Silent
from surgaug.inspect import dataset, files, model
from surgaug.inspect.report import Report


def inspect(path: Path, classes: str = "auto", feedback: Feedback | None = None) -> Report:
    """Inspect a data set, a folder of label maps, a run, a model file, an image or label map, a manifest, a class file.

    classes: as in `data.dataset.open_pairs`. What is wrong becomes a problem in the report. Raises DataError for a path
    that is not there, or is none of these.
    """
    path, feedback = Path(path), feedback or Silent()
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.is_dir():
        return model.inspect_run(path) if model.is_run(path) else dataset.inspect_folder(path, classes, feedback)
    if path.suffix == ".safetensors":
        return model.inspect_model(path)
    if path.suffix == ".jsonl":
        return files.inspect_manifest(path)
    if is_image_file(path):
        return files.inspect_image(path, classes)
    if path.suffix.lower() in CLASS_FILES:
        return files.inspect_class_file(path)
    raise DataError(
        f"{path}: neither a folder nor a model (.safetensors), an image, a manifest (.jsonl) or a class file "
        f"({', '.join(CLASS_FILES)})"
    )
