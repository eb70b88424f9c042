from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.runtime.feedback import Silent
from surgaug.training.config import TrainConfig
from surgaug.training.data import load_data


def pairs(root: Path, ids: list[int]) -> str:
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    for i in ids:
        write_png(root / "images" / f"{i}.png", np.full((8, 8, 3), i, np.uint8))
        write_png(root / "labels" / f"{i}.png", np.full((8, 8), i, np.uint8))
    return str(root)


def test_classes_are_found_in_training_and_validation_frames(tmp_path: Path) -> None:
    train, val = pairs(tmp_path / "train", [1, 2]), pairs(tmp_path / "val", [2, 5])
    data = load_data(TrainConfig(data=train, val=val, size=(8, 8)), Silent())
    assert data.frames.paired.space.ids == data.val.paired.space.ids == (1, 2, 5)
    assert list(data.statistics.presence.values()) == [1, 1, 0] and data.presence.shape == (2, 3)
    assert (data.val.view(1)[1] == 2).all()


def test_named_classes_stay_as_they_are_named(tmp_path: Path) -> None:
    train, val = pairs(tmp_path / "train", [1, 2]), pairs(tmp_path / "val", [2, 5])
    names = tmp_path / "classes.json"
    names.write_text('{"a": 1, "b": 2}')
    with pytest.raises(DataError, match=r"value 5 .* outside the label space"):
        load_data(TrainConfig(data=train, val=val, size=(8, 8), classes=str(names)), Silent())
