"""The label maps to synthesize from: opened, held against the model's classes, brought to the images' size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from surgaug.datasets.dataset import LabelMaps, open_masks
from surgaug.datasets.item import fingerprint
from surgaug.datasets.survey import FILE_FAULTS, Survey, survey, without_faults
from surgaug.datasets.writer import FOLDERS
from surgaug.errors import DataError, ModelError, UsageError
from surgaug.io import output_folder
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.resize import fit_size, resize_label_map
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.synthesis.config import SynthesizeConfig

_FILES_NAMED = 2
_CLASSES_NAMED = 6


def open_for(
    model_space: LabelSpace,
    model: Path,
    source: Path | Sequence[Path],
    classes: str,
    feedback: Feedback,
    leave_out_bad: bool = False,
) -> tuple[LabelMaps, Survey]:
    """The label maps at `source`, every one of them read and found to hold nothing but classes of the model's.

    classes: their label space; "auto": the model's, which also tells colour-coded maps and those to be regrouped.
    leave_out_bad: go on without files that cannot be used; values that are no class are refused all the same.
    Raises ModelError for classes that the model does not know, DataError for what cannot be read.
    """

    def usable(maps: LabelMaps) -> LabelMaps:
        return without_faults(maps, feedback, need_images=False, kinds=FILE_FAULTS) if leave_out_bad else maps

    if classes != "auto":
        maps = usable(open_masks(source, classes=classes, feedback=feedback))
        found = survey(maps, feedback, need_images=False)
        refuse_unknown(found.presence_by_item, maps, model_space, model)
        return maps, found
    try:
        maps = usable(open_masks(source, classes=model_space, feedback=feedback))
        return maps, survey(maps, feedback, need_images=False)
    except DataError as error:
        try:
            maps = usable(open_masks(source))
            presence = survey(maps, Silent(), need_images=False).presence_by_item
        except DataError:
            raise error from None
        refuse_unknown(presence, maps, model_space, model)  # which can name the classes
        raise


def of_split(maps: LabelMaps, presence: np.ndarray, config: SynthesizeConfig) -> tuple[LabelMaps, np.ndarray]:
    """The label maps of `config.split` (all if None) with their rows of `presence` [N, K].

    Raises DataError where there is none; UsageError where maps of a validation or test split would go into a layout
    that is there to be trained on.
    """
    kept = [i for i, item in enumerate(maps.items) if config.split in (None, item.split)]
    if not kept:
        splits = sorted({item.split for item in maps.items if item.split}) or ["none"]
        raise DataError(f"{maps.root}: no label map of the split '{config.split}'; there is {', '.join(splits)}")
    items = tuple(maps.items[i] for i in kept)
    held_out = sum(item.split in ("val", "test") for item in items)
    if held_out and config.layout != FOLDERS:
        raise UsageError(
            f"--layout {config.layout}: {held_out} of {len(items)} label maps are of the validation or test split, and "
            "a training set must not show them; add --split train"
        )
    return replace(maps, items=items), presence[kept]


def refuse_unknown(presence: np.ndarray, maps: LabelMaps, model_space: LabelSpace, model: Path) -> None:
    """Raise ModelError naming ids, class names and files when masks hold what the model was not trained on.

    presence: bool [N, K], class k of the masks' label space in mask n. The same id must mean the same class, unless
    one of the two spaces was discovered from label maps and knows no names.
    """
    space, files = maps.space, [item.label for item in maps.items if item.label]
    anonymous = "auto" in (space.name, model_space.name)
    known = {c.id: c.name for c in model_space.classes}
    wrong = []
    for k, c in enumerate(space.classes):
        if not presence[:, k].any():
            continue
        if c.id not in known:
            wrong.append((f"{c.id} ({c.name})", k))
        elif not anonymous and known[c.id].lower() != c.name.lower():
            wrong.append((f"{c.id} ({c.name}; to the model it is {known[c.id]})", k))
    if not wrong:
        return
    folder = Path(os.path.commonpath([str(file.parent) for file in files]))
    lines = []
    for text, k in wrong[:_CLASSES_NAMED]:
        holders = [str(files[i].relative_to(folder)) for i in np.flatnonzero(presence[:, k])]
        more = f" and {len(holders) - _FILES_NAMED} more" if len(holders) > _FILES_NAMED else ""
        lines.append(f"{text} in {', '.join(holders[:_FILES_NAMED])}{more}")
    if rest := [text for text, _ in wrong[_CLASSES_NAMED:]]:
        lines.append(f"also {', '.join(rest)}")
    raise ModelError(
        f"the masks in {folder} hold classes that the model {model} does not know: {'; '.join(lines)}. "
        f"It knows {len(known)} classes of '{model_space.name}' (ids {_ranges(sorted(known))}); "
        "train a model with these classes, or give the masks' label space with --classes"
    )


def _ranges(ids: Sequence[int]) -> str:
    """[0, 1, 2, 5] to "0-2, 5"."""
    parts: list[list[int]] = []
    for i in ids:
        if parts and i == parts[-1][1] + 1:
            parts[-1][1] = i
        else:
            parts.append([i, i])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def digest(files: Sequence[Path]) -> str:
    """A hash of the label maps' names and contents, in their order, wherever the folder lies."""
    return output_folder.digest((file.name, fingerprint(file)) for file in files)[:16]


def output_size(
    mask: tuple[int, int], wanted: tuple[int, int] | str | None, trained: tuple[int, int]
) -> tuple[int, int]:
    """(H, W) of the image for a mask of that size; `wanted` as in `SynthesizeConfig.size`."""
    if isinstance(wanted, str):
        return mask
    return fit_size(mask, trained) if wanted is None else wanted


def to_size(label_map: np.ndarray, hw: tuple[int, int], space: LabelSpace) -> np.ndarray:
    """Ids [H, W] at another size; itself where the size is right already."""
    return label_map if label_map.shape == hw else resize_label_map(label_map, hw, space)
