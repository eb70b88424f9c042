"""The same line again after a class file was corrected: label files are the same, and come to other class ids. What was
written before is not mixed with what would be written now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from surgaug import augment_masks, synthesize, train
from surgaug.errors import UsageError
from surgaug.export import ExportConfig, export
from surgaug.io.atomic import write_png, write_text
from surgaug.models.model_files import SHIPPED

COLORS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)
RIGHT = "id,name,color,kind\n0,Iris,#000000,anatomy\n1,Skin,#ff0000,anatomy\n2,Cotton,#00ff00,instrument\n"
WRONG = RIGHT.replace("#ff0000", "#blue").replace("#00ff00", "#ff0000").replace("#blue", "#00ff00")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Label maps in colours, of which classes.csv tells the classes."""
    rng = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for i in range(6):
        index = np.zeros((32, 48), np.uint8)
        index[: 8 + i], index[20:26, :30] = 1, 2
        write_png(tmp_path / f"data/images/f{i}.png", rng.integers(0, 255, (32, 48, 3)).astype(np.uint8))
        write_png(tmp_path / f"data/labels/f{i}.png", COLORS[index])
    write_text(tmp_path / "data/classes.csv", WRONG)
    return tmp_path / "data"


def refused(data: Path, line, changed: str = RIGHT, because: str = "other class ids") -> None:
    """`line` is refused once the class file is corrected, and goes on once that is as it was."""
    line(0)
    line(0)
    write_text(data / "classes.csv", changed)
    with pytest.raises(UsageError, match=because):
        line(1)
    write_text(data / "classes.csv", WRONG)
    line(1)


def test_export(data: Path, tmp_path: Path) -> None:
    refused(data, lambda k: export(ExportConfig(data, tmp_path / "out")))


def test_augment_masks(data: Path, tmp_path: Path) -> None:
    refused(data, lambda k: augment_masks(data, out=tmp_path / "out", n=4 + k, ops="flip:1"))


@pytest.mark.parametrize("changed", [WRONG.replace("Skin", "Hand"), WRONG.replace("instrument", "anatomy")])
def test_names_and_kinds(data: Path, tmp_path: Path, changed: str) -> None:
    """The ids are the same, and the classes are not: what is drawn, and what an index file names, would be."""
    for line in (
        lambda k: augment_masks(data, out=tmp_path / "maps", n=4 + k, ops="flip:1"),
        lambda k: export(ExportConfig(data, tmp_path / "Dataset001_set", layout="nnunet")),
    ):
        write_text(data / "classes.csv", WRONG)
        refused(data, line, changed, because="its classes were others")


def test_exchanged_colors_where_the_layout_stores_colors(data: Path, tmp_path: Path) -> None:
    """The label maps are ids here; CVAT's are written in the colours of the class file."""
    for i in range(6):
        index = np.zeros((32, 48), np.uint8)
        index[: 8 + i], index[20:26, :30] = 1, 2
        write_png(data / f"labels/f{i}.png", index)
    config = ExportConfig(data, tmp_path / "out", layout="cvat")
    refused(data, lambda k: export(config), RIGHT, "its classes were others")


def test_synthesize(data: Path, tmp_path: Path) -> None:
    refused(data, lambda k: synthesize(data, out=tmp_path / "out", n=1 + k, model=SHIPPED, size=(16, 24), steps=1))


def test_train(data: Path, tmp_path: Path) -> None:
    def line(k: int) -> None:
        assert train(data, out=tmp_path / "run", preset="tiny", size=(16, 24), steps=1 + k, batch=2).step == 1 + k

    refused(data, line)
