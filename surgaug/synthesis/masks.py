"""The label maps to synthesize from: opened, held against the model's classes, brought to the images' size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from surgaug.datasets.dataset import LabelMaps, open_masks
from surgaug.datasets.space_match import INSIST, bring, of_model, open_own
from surgaug.datasets.splits import HELD_OUT, of_split
from surgaug.datasets.survey import FILE_FAULTS, Survey, count, survey, without_faults
from surgaug.datasets.writer import FOLDERS
from surgaug.errors import UsageError
from surgaug.io import output_folder
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.resize import fit_size, resize_label_map
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.synthesis.config import NATIVE, SynthesizeConfig

FAR = 1.5  # times a side of the training size, or one part in so many; beyond, images are poor


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
    own = open_own(lambda how, heard: open_masks(source, classes=how, feedback=heard), classes, model_space, feedback)
    maps = usable(own)
    survey(maps, feedback, need_images=False)
    maps = bring(maps, reference, feedback)
    return maps, count(maps)


def of_chosen_split(
    maps: LabelMaps, by_item: np.ndarray, config: SynthesizeConfig, feedback: Feedback
) -> tuple[LabelMaps, np.ndarray]:
    """The label maps of `config.split` (all if None) with their rows of `by_item` [N, K].

    Raises DataError where there is none; UsageError where maps of a validation or test split would go into a layout
    that is there to be trained on.
    """
    kept = of_split(maps.items, config.split, maps.root, feedback if config.layout == FOLDERS else Silent())
    items = tuple(maps.items[i] for i in kept)
    held_out = sum(item.split in HELD_OUT for item in items)
    if held_out and config.layout != FOLDERS:
        raise UsageError(
            f"--layout {config.layout}: {held_out} of {len(items)} label maps are of the validation or test split, and "
            "a training set must not show them; add --split train"
        )
    return replace(maps, items=items), by_item[kept]


def digest(maps: LabelMaps) -> str:
    """A hash of the label maps' names and contents, in their order, wherever the folder lies."""
    files = ((item.label.name, maps.fingerprint(i)) for i, item in enumerate(maps.items) if item.label)
    return output_folder.digest(files)[:16]


def output_size(
    mask: tuple[int, int], asked: tuple[int, int] | str | None, trained: tuple[int, int], cascade: bool = False
) -> tuple[int, int]:
    """(H, W) of the image for a mask of that size; `asked` as in `SynthesizeConfig.size`. trained: of the model.

    Left to itself, a cascade keeps the mask's own size where it is near the one that it was trained at.
    """
    if asked == NATIVE or (asked is None and cascade and factor(mask, trained) <= FAR):
        return mask
    return asked if isinstance(asked, tuple) else fit_size(mask, trained)


def factor(size: tuple[int, int], trained: tuple[int, int]) -> float:
    """How far apart two sizes are: the larger ratio of their sides, at least 1."""
    return max(max(a / b, b / a) for a, b in zip(size, trained, strict=True))


def to_size(label_map: np.ndarray, hw: tuple[int, int], space: LabelSpace) -> np.ndarray:
    """Ids [H, W] at another size; itself where the size is right already."""
    return label_map if label_map.shape == hw else resize_label_map(label_map, hw, space)
