"""What a folder holds by usual names: one candidate is taken, of several none."""

from __future__ import annotations

from pathlib import Path

import pytest

from surgaug.datasets import usual_places
from surgaug.errors import UsageError
from surgaug.io.atomic import write_png
from surgaug.phantom import render


def data(folder: Path) -> Path:
    """A data set of one frame."""
    for kind, array in zip(("images", "labels"), render(0, (24, 40)), strict=True):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        write_png(folder / kind / "a.png", array)
    return folder


def written(folder: Path) -> Path:
    """An output of synthesize or augment-masks."""
    (data(folder) / "manifest.jsonl").touch()
    return folder


@pytest.mark.parametrize("name", ["data", "frames", "CaDIS", "cadis-small", "Dataset"])
def test_by_a_usual_name(tmp_path: Path, name: str) -> None:
    data(tmp_path / name)
    (tmp_path / "notes").mkdir()
    assert usual_places.data_set(tmp_path).path == tmp_path / name


def test_inside_a_folder_of_a_usual_name(tmp_path: Path) -> None:
    for kind, array in zip(("Images", "Labels"), render(0, (24, 40)), strict=True):
        folder = tmp_path / "data" / "CaDIS" / "Video01" / kind
        folder.mkdir(parents=True)
        write_png(folder / "Video1_frame000010.png", array)
    assert usual_places.data_set(tmp_path).path == tmp_path / "data" / "CaDIS"


def test_the_folder_itself(tmp_path: Path) -> None:
    data(tmp_path)
    assert usual_places.data_set(tmp_path).path == tmp_path


def test_a_folder_of_frames_alone_is_no_data_set_but_its_parent_is(tmp_path: Path) -> None:
    data(tmp_path)
    (tmp_path / "images").rename(tmp_path / "frames")
    assert usual_places.data_set(tmp_path).path == tmp_path


@pytest.mark.parametrize("names", [("data", "frames"), ("frames", "data/CaDIS")])
def test_of_two_none_is_taken_and_both_are_named(tmp_path: Path, names: tuple[str, str]) -> None:
    both = [str(data(tmp_path / name)) for name in names]
    with pytest.raises(UsageError, match="more than one data set here") as refused:
        usual_places.data_set(tmp_path)
    assert all(name in str(refused.value) for name in both)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no data set here \(looked for data/"):
        usual_places.data_set(tmp_path)
    with pytest.raises(UsageError, match="no folder of synthetic images here"):
        usual_places.synthetic_images(tmp_path)


def test_new_label_maps_come_before_the_data(tmp_path: Path) -> None:
    data(tmp_path / "data")
    data(tmp_path / "augmented-by-hand")  # no manifest: not written by augment-masks
    assert usual_places.label_maps(tmp_path).path == tmp_path / "data"
    written(tmp_path / "augmented")
    assert usual_places.label_maps(tmp_path).path == tmp_path / "augmented"


def test_frames_of_validation_are_compared_with(tmp_path: Path) -> None:
    for split in ("train", "val"):
        data(tmp_path / "data" / split)
    assert usual_places.real_frames(tmp_path).path == tmp_path / "data" / "val"
    assert usual_places.data_set(tmp_path).path == tmp_path / "data"


def test_two_synthetic_sets(tmp_path: Path) -> None:
    written(tmp_path / "synthetic")
    assert usual_places.synthetic_images(tmp_path).path == tmp_path / "synthetic"
    written(tmp_path / "synthetic-2")
    with pytest.raises(UsageError, match=r"synthetic and .*synthetic-2"):
        usual_places.synthetic_images(tmp_path)
