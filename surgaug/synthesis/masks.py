"""The label maps to synthesize from: opened, held against the model's classes, brought to the images' size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from surgaug.datasets.dataset import LabelMaps, open_masks
from surgaug.datasets.item import fingerprint
from surgaug.datasets.space_match import INSIST, bring, of_model
from surgaug.datasets.survey import FILE_FAULTS, Survey, count, find_faults, survey, without_faults
from surgaug.datasets.writer import FOLDERS
from surgaug.errors import DataError, UsageError
from surgaug.io import output_folder
from surgaug.labels.builtin_spaces import stored_of
from surgaug.labels.codec import Codec
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.resize import fit_size, resize_label_map
from surgaug.labels.space_match import is_named
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.synthesis.config import SynthesizeConfig


def open_for(
    model_space: LabelSpace,
    model: Path,
    source: Path | Sequence[Path],
    classes: str,
    feedback: Feedback,
    meta: Mapping[str, Any] = MappingProxyType({}),
    leave_out_bad: bool = False,
) -> tuple[LabelMaps, Survey]:
    """The label maps at `source`, every one of them read, in the label space of the model.

    classes: their label space; "auto": what lies beside them says it, or they are recognised; "MODEL": the model's.
    meta: of the model file, whose statistics bare ids are held against.
    Raises ModelError for classes that the model does not know, or bare ids that are not plainly its own; DataError for
    what cannot be read. leave_out_bad: go on without files that cannot be used; values that are no class are refused
    all the same.
    """

    def usable(maps: LabelMaps) -> LabelMaps:
        return without_faults(maps, feedback, need_images=False, kinds=FILE_FAULTS) if leave_out_bad else maps

    if classes == INSIST:
        maps = usable(open_masks(source, classes=model_space, feedback=feedback))
        return maps, survey(maps, feedback, need_images=False)
    reference = of_model(model_space, model, meta, f"say --classes {INSIST} if they are the model's")
    maps = usable(_open(model_space, source, classes, feedback))
    quiet = maps if is_named(maps.space) else replace(maps, notes=())  # "name them with --classes": `bring` tells more
    survey(quiet, feedback, need_images=False)
    maps = bring(quiet, reference, feedback)
    return maps, count(maps)


def _open(space: LabelSpace, source: Path | Sequence[Path], classes: str, feedback: Feedback) -> LabelMaps:
    """The label maps as they are read without a model; where that says nothing of their classes, by the values or
    colours that only the model's classes have."""
    try:
        maps = open_masks(source, classes=classes, feedback=feedback)
    except DataError:
        if classes == "auto" and (coded := _by_value(space, source)) is not None:
            return coded
        raise
    if classes == "auto" and not is_named(maps.space) and not set(maps.space.ids) <= set(space.ids):
        return _by_value(space, source) or maps
    return maps


def _by_value(space: LabelSpace, source: Path | Sequence[Path]) -> LabelMaps | None:
    """Label maps in the colours of `space`, or in the values that its published maps hold in place of its ids; None if
    they are neither."""
    try:
        maps = open_masks(source, classes=space)
    except DataError:
        return None
    published = isinstance(maps.codec, Codec) and maps.codec.table == stored_of(space)
    if not (published or maps.codec.encoding == "colors") or find_faults(maps, Silent(), need_images=False):
        return None
    return maps


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
