"""What counts as a training frame and what as a test frame's label map: splits, perturbed masks, lent instruments."""

from __future__ import annotations

import json

import numpy as np
from segmenter_data import scene, write_set

from surgaug.datasets.provenance import Origin
from surgaug.io.atomic import write_png
from surgaug.runtime.feedback import Silent
from surgaug.scoring.config import Budget, EvaluationConfig, ScoreConfig, Weights
from surgaug.scoring.inputs import of_training, open_folder, pair, shown_frames
from surgaug.scoring.run import run_score

NOTHING_DEEP = Weights(features="none")


def folder(root):
    return open_folder(root, "auto", Silent())


def score(root, real, train, **options):
    config = ScoreConfig(
        root / real, (root / "synth",), ("brightness",), train=root / train, weights=NOTHING_DEEP, device="cpu",
        workers=1, **options,
    )  # fmt: skip
    return run_score(config)


def split_set(root):
    for number, split in enumerate(("train", "val")):
        write_set(root / "set" / split, 12, number + 1)
    write_set(root / "synth", 12, 9)


def test_frames_that_are_held_out_are_no_training_frames(tmp_path):
    """Of one folder with splits, the held-out frames lay at distance 0 from "training": leakage was 0."""
    split_set(tmp_path)
    apart, one = score(tmp_path, "set/val", "set/train").rows[0], score(tmp_path, "set", "set", split="val").rows[0]
    assert 0 < apart.measures["leakage"].value == one.measures["leakage"].value
    assert not any("not held out" in note for note in one.notes)
    assert any("of the 24 frames of --train the 12 of its training split" in note for note in one.notes)
    assert not any("of its training split" in note for note in apart.notes)


def test_copies_of_held_out_frames_are_no_copies_of_training(tmp_path):
    split_set(tmp_path)
    for i in range(12):
        write_png(tmp_path / "synth" / "images" / f"9_{i}.png", scene(2, i)[0])
    assert score(tmp_path, "set", "set", split="val").rows[0].measures["copies"].value == 0


def test_of_a_folder_with_splits_the_training_split_trains(tmp_path):
    split_set(tmp_path)
    trained = of_training(folder(tmp_path / "set"))
    assert len(trained) == 12 and set(trained.splits()) == {"train"}
    held_out = folder(tmp_path / "set" / "val")
    assert of_training(held_out) is held_out


def manifest(root, rows):
    rows = [{"image": f"images/9_{i}.png", **row} for i, row in enumerate(rows)]
    (root / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def made_of(root):
    """Of six images: a test mask as it is, one perturbed, a training mask that got an instrument of a test mask, one
    that got none, one of a mask that only shares its name with a test mask, and that perturbed."""
    write_set(root / "real", 12, 2)
    write_set(root / "train", 12, 1)
    write_set(root / "synth", 6, 9)
    other = root / "other" / "2_5.png"
    other.parent.mkdir()
    write_png(other, np.zeros((32, 48), np.uint8))
    shift = [{"op": "shift"}]

    def labels(name):
        return str(root / ("real" if name[0] == "2" else "train") / "labels" / f"{name}.png")

    lent = [{"op": "insert", "donors": [Origin("2_3", labels("2_3")).to_row()]}]
    manifest(
        root / "synth",
        [
            {"source": labels("2_0"), "perturbations": []},
            {"source": labels("2_1"), "perturbations": shift},
            {"source": labels("1_0"), "perturbations": lent},
            {"source": labels("1_1"), "perturbations": shift},
            {"source": str(other), "perturbations": []},
            {"source": str(other), "perturbations": shift},
        ],
    )


def test_perturbed_masks_and_lent_instruments_show_test_frames(tmp_path):
    made_of(tmp_path)
    synth, real = folder(tmp_path / "synth"), folder(tmp_path / "real")
    assert shown_frames(synth, real) == [{"2_0"}, {"2_1"}, {"2_3"}, set(), set(), set()]
    found = pair(synth, real)
    assert (found.partner >= 0).tolist() == [True, False, False, False, False, False] and found.changed == 1


def test_images_of_perturbed_test_masks_are_warned_of(tmp_path):
    made_of(tmp_path)
    evaluation = EvaluationConfig(steps=1, utility=Budget(seeds=1))
    row = score(tmp_path, "real", "train", evaluation=evaluation, miou=False).rows[0]
    assert row.utility.of_test_masks == 3
    assert any("3 of 6 images have the label maps of test frames, or parts of them" in v.text for v in row.verdicts)


def test_a_set_is_of_one_video_where_that_of_every_image_is_known(tmp_path):
    write_set(tmp_path / "synth", 4, 9)
    rows = [{"source": "a.png", "video": "v", "perturbations": []} for _ in range(4)]
    manifest(tmp_path / "synth", rows)
    assert folder(tmp_path / "synth").source_videos() == {"v"}
    del rows[2]["video"]
    manifest(tmp_path / "synth", rows)
    assert folder(tmp_path / "synth").source_videos() == set()
