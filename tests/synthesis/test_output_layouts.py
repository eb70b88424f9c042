"""`--layout` keeps what `folders` promises: the same pictures, going on, shards, and nothing of held-out masks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug.datasets import layouts
from surgaug.datasets.dataset import open_pairs
from surgaug.errors import DataError, UsageError
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.plan import Shard
from surgaug.synthesis.run import synthesize

OTHERS = [name for name in layouts.written() if name != "folders"]


@pytest.fixture
def config(model_file, masks, tmp_path) -> SynthesizeConfig:
    return SynthesizeConfig(masks=masks, n=7, model=model_file, out=tmp_path / "out", steps=2, device="cpu")


def by_index(out: Path) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Image and label map, as they are read again, by the sample's number."""
    frames = open_pairs(out)
    found = {item.image.resolve(): i for i, item in enumerate(frames.items)}
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    places = {row["index"]: found[(out / row["image"]).resolve()] for row in rows}
    return {k: (frames.load_image(i).astype(int), frames.load_label(i)) for k, i in places.items()}


@pytest.mark.slow
@pytest.mark.parametrize("layout", OTHERS)
def test_every_layout_holds_the_same_samples(config, tmp_path, layout):
    pytest.importorskip("pycocotools") if layout == "coco" else None
    synthesize(config)
    plain = by_index(config.out)
    out = tmp_path / "Dataset501_Painted"
    for i in (2, 1):
        result = synthesize(replace(config, layout=layout, out=out, shard=Shard(i, 2)))
    assert result.complete and (out / "preview.png").is_file()
    found = by_index(out)
    assert found.keys() == plain.keys() == set(range(7))
    for k, (image, label_map) in plain.items():
        assert np.abs(found[k][0] - image).max() <= 1
        np.testing.assert_array_equal(found[k][1], label_map)
    assert not [p for p in out.rglob("*") if ".tmp-" in p.name]
    described = json.loads((out / "surgaug.json").read_text(encoding="utf-8"))
    assert described["complete"] and described["layout"] == layout


def test_going_on_in_another_layout_than_folders(config, tmp_path):
    out = tmp_path / "Dataset501_Painted"
    config = replace(config, layout="nnunet", out=out)
    synthesize(config)
    before = {p: p.stat().st_mtime_ns for p in (out / "labelsTr").iterdir()}
    gone = sorted((out / "imagesTr").iterdir())[3]
    pixels = gone.read_bytes()
    gone.unlink()
    (out / "dataset.json").unlink()
    assert synthesize(config).synthesized == 1 and gone.read_bytes() == pixels
    assert sum(p.stat().st_mtime_ns == t for p, t in before.items()) == 6
    assert json.loads((out / "dataset.json").read_text())["numTraining"] == 7
    with pytest.raises(DataError, match="not a description of a data set of surgaug"):
        synthesize(replace(config, layout="folders", out=out))


def test_masks_of_held_out_splits_do_not_go_into_training_sets(config, masks, tmp_path):
    data = tmp_path / "data"
    for split, paths in (("train", sorted(masks.iterdir())[:2]), ("val", sorted(masks.iterdir())[2:])):
        for path in paths:
            for kind in ("images", "labels"):
                (data / split / kind).mkdir(parents=True, exist_ok=True)
            (data / split / "labels" / path.name).write_bytes(path.read_bytes())
            Image.new("RGB", (32, 24)).save(data / split / "images" / path.name)
    (tmp_path / "classes.json").rename(data / "classes.json")
    config = replace(config, masks=data, layout="mmseg")
    with pytest.raises(UsageError, match=r"3 of 5 label maps are of the validation or test split.*add --split train"):
        synthesize(config)
    assert not config.out.exists()
    synthesize(replace(config, split="train"))
    rows = [json.loads(line) for line in (config.out / "manifest.jsonl").read_text().splitlines()]
    assert {row["mask"] for row in rows} == {"Video0_frame000000", "Video1_frame000001"}
    assert {row["split"] for row in rows} == {"train"} and {row["video"] for row in rows} == {"Video0", "Video1"}
    with pytest.raises(DataError, match="no label map of the split 'test'; there is train, val"):
        synthesize(replace(config, split="test", out=tmp_path / "other"))
    with pytest.raises(UsageError, match="--split dev"):
        synthesize(replace(config, split="dev"))


def test_a_folder_that_the_trainer_would_not_take_is_refused_before_synthesis(config, tmp_path):
    with pytest.raises(UsageError, match="DatasetNNN_NAME"):
        synthesize(replace(config, layout="nnunet", out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
