from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heard import Heard

from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.runtime.feedback import Silent
from surgaug.training.config import TrainConfig
from surgaug.training.data import load_data, warn_of_crops
from surgaug.training.frames import Frames


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


def test_validation_frames_that_name_their_classes_are_brought_to_training_by_name(tmp_path: Path) -> None:
    train, val = pairs(tmp_path / "train", [1, 2]), pairs(tmp_path / "val", [1, 2])
    (tmp_path / "train" / "classes.json").write_text('{"eye": 1, "knife": 2}')
    (tmp_path / "val" / "classes.json").write_text('{"Knife": 1, "eye": 2}')
    data = load_data(TrainConfig(data=train, val=val, size=(8, 8)), Silent())
    assert data.frames.paired.space.names == data.val.paired.space.names == ("eye", "knife")
    assert [int(data.frames.view(i)[1][0, 0]) for i in range(2)] == [0, 1]
    assert [int(data.val.view(i)[1][0, 0]) for i in range(2)] == [1, 0]
    (tmp_path / "val" / "classes.json").write_text('{"hook": 1, "eye": 2}')
    with pytest.raises(DataError, match=r"does not know: 1 \(hook"):
        load_data(TrainConfig(data=train, val=val, size=(8, 8)), Silent())


def names(frames: Frames) -> set[str]:
    return {item.name for item in frames.paired.items}


def test_frames_of_val_are_not_trained_on(tmp_path: Path) -> None:
    pairs(tmp_path / "a", [1, 2]), pairs(tmp_path / "b", [3])
    config, heard = TrainConfig(data=str(tmp_path), val=str(tmp_path / "b"), size=(8, 8)), Heard()
    data = load_data(config, heard)
    assert (names(data.frames), names(data.val)) == ({"1", "2"}, {"3"})
    assert any("1 of 3 frames are of --val" in told for told in heard.warnings)
    data = load_data(replace(config, val=str(tmp_path)), heard := Heard())
    assert len(data.frames) == len(data.val) == 3 and any("has all training frames" in told for told in heard.warnings)


def test_val_spares_frames_of_the_training_split_and_takes_its_own_validation_split(tmp_path: Path) -> None:
    for split, ids in (("train", list(range(1, 25))), ("test", [1, 2])):
        pairs(tmp_path / split, ids)
    classes = tmp_path / "classes.json"
    classes.write_text(json.dumps({f"c{i}": i for i in range(1, 25)}))
    config = TrainConfig(data=str(tmp_path), classes=str(classes), size=(8, 8))
    assert (len((data := load_data(config, Silent())).frames), len(data.val)) == (23, 1)
    data = load_data(replace(config, val=str(tmp_path / "test")), Silent())
    assert (len(data.frames), len(data.val)) == (24, 2)
    pairs(tmp_path / "val", [3])
    data = load_data(replace(config, val=str(tmp_path)), Silent())
    assert (len(data.frames), len(data.val)) == (24, 1)


def test_videos_that_are_trained_on_and_validated_on_warn(tmp_path: Path) -> None:
    def framed(root: Path, names: dict[str, int]) -> str:
        pairs(root, list(names.values()))
        for name, i in names.items():
            for kind in ("images", "labels"):
                (root / kind / f"{i}.png").rename(root / kind / f"{name}.png")
        return str(root)

    train = framed(tmp_path / "train", {f"video0{v}_frame{k}": 1 + 2 * v + k for v in range(2) for k in range(2)})
    val = framed(tmp_path / "val", {"video01_frame8": 1, "video01_frame9": 2, "video07_frame1": 3, "video07_frame2": 4})
    load_data(TrainConfig(data=train, val=val, size=(8, 8)), heard := Heard())
    assert any("2 of 4 validation frames are of videos that are trained on, too (video01)" in w for w in heard.warnings)
    for frame in (tmp_path / "val").glob("*/video01*"):
        frame.unlink()
    load_data(TrainConfig(data=train, val=val, size=(8, 8)), heard := Heard())
    assert not any("are of videos" in w for w in heard.warnings)


def test_frames_that_are_all_held_out_train_nothing(tmp_path: Path) -> None:
    pairs(tmp_path / "val", [1, 2]), pairs(tmp_path / "test", [3])
    for more in ({}, {"val": str(tmp_path / "val")}):
        with pytest.raises(DataError, match=r"all 3 frames are of the test and val split.* --data"):
            load_data(TrainConfig(data=str(tmp_path), size=(8, 8), **more), Silent())


def test_a_size_that_cuts_much_off_the_frames_warns(tmp_path: Path) -> None:
    for kind, shape in (("images", (54, 96, 3)), ("labels", (54, 96))):
        (tmp_path / kind).mkdir()
        write_png(tmp_path / kind / "a.png", np.ones(shape, np.uint8))
    for size, warned in (((64, 64), True), ((64, 112), False), ((64, 104), False)):
        heard = Heard()
        warn_of_crops(TrainConfig(data=str(tmp_path), size=size), heard)
        about = [message for message in heard.warnings if "--size" in message]
        assert len(about) == warned
        if warned:
            assert about[0].startswith("--size 64x64 shows 56 % of a frame of 54x96") and "--size 64x112" in about[0]
