"""nnU-Net v2: by its rules, and by its own verification and reader where it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from written_cases import GAPS, write

from surgaug.datasets.dataset import open_pairs
from surgaug.datasets.item import WrittenItem
from surgaug.datasets.layouts import nnunet
from surgaug.errors import DataError, UsageError
from surgaug.labels.label_space import LabelClass, LabelSpace


def test_nnunet_rules(tmp_path: Path) -> None:
    root = tmp_path / "Dataset501_Test"
    made = write(root, "nnunet")
    described = json.loads((root / "dataset.json").read_text())
    labels = described["labels"]
    assert sorted(labels.values()) == list(range(38)) and labels["background"] == 0
    assert labels["Pupil"] == 1 and labels["Iris Hooks"] == 36 and labels["ignore"] == max(labels.values()) == 37
    assert described["channel_names"] == {"0": "R", "1": "G", "2": "B"} and described["file_ending"] == ".png"
    cases = {p.name.removesuffix("_0000.png") for p in (root / "imagesTr").iterdir()}
    assert cases == {p.stem for p in (root / "labelsTr").iterdir()} and described["numTraining"] == len(cases) == 4
    assert {p.name for p in (root / "imagesTs").iterdir()} == {"Video2_frame000040_0000.png"}
    stored = np.asarray(Image.open(root / "labelsTr" / f"{made.frames[0].name}.png"))
    assert (stored[made.maps[0] == 0] == 1).all() and (stored[made.maps[0] == 255] == 37).all()
    assert json.loads((root / "splits_final.json").read_text()) == [
        {"train": [f.name for f in made.frames[:3]], "val": [made.frames[3].name]}
    ]


def test_nnunet_background_is_zero_where_there_is_one(tmp_path: Path) -> None:
    write(tmp_path / "Dataset001_Gaps", "nnunet", GAPS)
    described = json.loads((tmp_path / "Dataset001_Gaps" / "dataset.json").read_text())
    assert described["labels"] == {"background": 0, "Organ, left": 1, 'tool "A"': 2, "ignore": 3}


def test_nnunet_folds_keep_videos_and_synthetic_frames_where_they_belong() -> None:
    real = [WrittenItem(f"v{v}_{i}", 10 * v + i, "train", f"v{v}") for v in range(7) for i in range(3)]
    synthetic = [
        WrittenItem(f"v{v}_{i}_p", 100 + 10 * v + i, "train", f"v{v}", True) for v in range(7) for i in range(2)
    ]
    lent = WrittenItem("lent", 200, "train", "v0", True, lenders=frozenset({"v1"}))
    folds = nnunet.folds([*real, *synthetic, lent])
    assert len(folds) == nnunet.FOLDS
    assert sorted(name for fold in folds for name in fold["val"]) == sorted(f.name for f in real)
    for fold in folds:
        held = {name.split("_")[0] for name in fold["val"]}
        assert fold["train"] and not held & {name.split("_")[0] for name in fold["train"]}
        assert ("lent" in fold["train"]) == held.isdisjoint({"v0", "v1"})
    assert nnunet.folds(synthetic) == []


def test_nnunet_refuses_names_that_it_does_not_take(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="DatasetNNN_NAME"):
        write(tmp_path / "out", "nnunet")
    space = LabelSpace("x", (LabelClass(0, "Ignore"),))
    with pytest.raises(UsageError, match="keeps for unlabelled pixels"):
        nnunet.check(tmp_path / "Dataset001_X", space)


def test_nnunet_of_others_is_read_and_regions_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "Dataset120_Roads"
    write(root, "nnunet", GAPS)
    (root / "surgaug.json").unlink()
    found = open_pairs(root)
    assert found.space.names == ("background", "Organ, left", 'tool "A"') and found.space.ignore == 3
    assert sorted(np.unique(found.load_label(0)).tolist()) in ([0, 1, 3], [0, 1, 2, 3])
    (root / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "all": [1, 2]}, "file_ending": ".png"}))
    with pytest.raises(DataError, match="all is a region of several labels"):
        open_pairs(root)


@pytest.mark.slow
def test_nnunet_verifies_it_itself(tmp_path: Path) -> None:
    verify = pytest.importorskip("nnunetv2.experiment_planning.verify_dataset_integrity")
    reader = pytest.importorskip("nnunetv2.imageio.natural_image_reader_writer").NaturalImage2DIO()
    root = tmp_path / "Dataset501_Test"
    made = write(root, "nnunet")
    verify.verify_dataset_integrity(str(root), 1)
    image, _ = reader.read_images([str(root / "imagesTr" / f"{made.frames[0].name}_0000.png")])
    np.testing.assert_array_equal(image[:, 0].transpose(1, 2, 0), made.images[0])
    label, _ = reader.read_seg(str(root / "labelsTr" / f"{made.frames[0].name}.png"))
    np.testing.assert_array_equal(label[0, 0], made.target.encode(made.maps[0]))
