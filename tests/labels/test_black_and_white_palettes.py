"""Masks of two values in palette files, whose index 0 may be white: programs that count colours write them so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug.datasets.dataset import open_masks, open_pairs
from surgaug.errors import DataError
from surgaug.io.images import read_numbers
from surgaug.labels.label_space import LabelClass, LabelSpace

MASK = np.zeros((12, 16), bool)
MASK[3:7, 2:9] = True
BLACK_FIRST, WHITE_FIRST = [0, 0, 0, 255, 255, 255], [255, 255, 255, 0, 0, 0]


def save(path: Path, mask: np.ndarray, palette: list[int]) -> Path:
    """The mask as a palette PNG that shows it in white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    index = mask if palette[0] == 0 else ~mask
    image = Image.fromarray(index.astype(np.uint8), "P")
    image.putpalette(palette)
    image.save(path)
    return path


@pytest.mark.parametrize("palettes", [[WHITE_FIRST], [BLACK_FIRST], [BLACK_FIRST, WHITE_FIRST]])
def test_masks_are_read_as_they_show(tmp_path: Path, palettes: list[list[int]]) -> None:
    for i, palette in enumerate(palettes):
        save(tmp_path / f"m{i}.png", MASK, palette)
    space = LabelSpace("own", (LabelClass(0, "background"), LabelClass(7, "tool", "instrument")))
    for classes, foreground in (("auto", 1), (space, 7)):
        maps = open_masks(tmp_path, classes=classes)
        for i in range(len(palettes)):
            assert np.array_equal(maps.load(i), MASK * foreground)


def test_classes_drawn_in_black_and_white_keep_their_indices(tmp_path: Path) -> None:
    """Where a class file says that class 0 is white and class 1 black, a palette of these colours says the same."""
    save(tmp_path / "m.png", MASK, WHITE_FIRST)
    classes = (LabelClass(0, "tool", color=(255, 255, 255)), LabelClass(1, "rest", color=(0, 0, 0)))
    maps = open_masks(tmp_path, classes=LabelSpace("own", classes))
    assert np.array_equal(maps.load(0), ~MASK)


def test_a_mask_a_class(tmp_path: Path) -> None:
    for k in range(2):
        Image.new("RGB", (16, 12)).save(save(tmp_path / f"images/f{k}.png", MASK, BLACK_FIRST))
        save(tmp_path / f"masks/f{k}_tissue.png", MASK, WHITE_FIRST)
        save(tmp_path / f"masks/f{k}_tool.png", np.roll(MASK, 5, 0), BLACK_FIRST)
    frames = open_pairs(tmp_path)
    tissue, tool = (frames.space.ids[frames.space.names.index(name)] for name in ("tissue", "tool"))
    assert np.array_equal(frames.load_label(0), np.select([np.roll(MASK, 5, 0), MASK], [tool, tissue], 0))


def test_numbers_of_palette_files(tmp_path: Path) -> None:
    """Greys are numbers, in whatever order the palette has them; of colours the indices are, if 0 can mean nothing."""
    file = save(tmp_path / "m.png", MASK, WHITE_FIRST)
    assert np.array_equal(read_numbers(file), MASK * 255)
    image = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4) % 3, "P")
    image.putpalette([20, 20, 20, 0, 0, 0, 10, 10, 10])
    image.save(file)
    assert np.array_equal(read_numbers(file), np.array([20, 0, 10], np.uint8)[np.arange(12).reshape(3, 4) % 3])
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    image.save(file)
    assert np.array_equal(read_numbers(file), np.arange(12).reshape(3, 4) % 3)
    image.putpalette([255, 0, 0, 0, 0, 0, 0, 255, 0])
    image.save(file)
    with pytest.raises(DataError, match="palette index 0 is coloured and index 1 black"):
        read_numbers(file)
