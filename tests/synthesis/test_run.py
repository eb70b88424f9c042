from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from surgaug.errors import DataError, ModelError, UsageError
from surgaug.io.lock import folder_lock
from surgaug.models import compiled
from surgaug.runtime.feedback import Silent
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.generators import DiffusionGenerator
from surgaug.synthesis.plan import Shard
from surgaug.synthesis.run import synthesize


@pytest.fixture
def config(model_file, masks, tmp_path) -> SynthesizeConfig:
    return SynthesizeConfig(masks=masks, n=12, model=model_file, out=tmp_path / "out", device="cpu")


def images(out: Path) -> dict[str, np.ndarray]:
    return {p.name: np.asarray(Image.open(p)).astype(int) for p in sorted((out / "images").iterdir())}


def manifest(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


def assert_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert np.abs(a[name] - b[name]).max() <= 1, name


def test_output(config, masks, space):
    emitted = []
    result = synthesize(config, emit=emitted.append)
    out = config.out
    assert result.complete and result.synthesized == result.total == 12
    rows = manifest(out)
    assert [row["index"] for row in rows] == list(range(12))
    assert sorted(emitted) == sorted(out / row["image"] for row in rows)
    used = [row["mask"] for row in rows]
    assert {used.count(name) for name in used} == {2, 3} and len(set(used)) == 5
    for row in rows:
        image, label = Image.open(out / row["image"]), Image.open(out / row["label"])
        assert image.mode == "RGB" and label.mode == "L" and image.size == label.size == (32, 24)
        source = np.asarray(Image.open(masks / f"{row['mask']}.png"))
        assert np.array_equal(np.asarray(label), source)
        assert row["image"] == f"images/{row['mask']}_{row['index']:06d}.png"
        assert row["classes"] == {str(i): int((source == i).sum()) for i in np.unique(source)}
        assert row["checks"] == {"not_flat": True, "classes_kept": True}
        assert (row["seed"], row["sampler"], row["steps"], row["guidance"]) == (0, "ddim", 4, 1.0)
    assert len({im.tobytes() for im in images(out).values()}) == 12
    dataset = json.loads((out / "dataset.json").read_text(encoding="utf-8"))
    assert dataset["complete"] and dataset["counts"]["images"] == 12
    assert [c["name"] for c in dataset["label_space"]["classes"]] == list(space.names)
    assert sum(c["pixels"] for c in dataset["counts"]["classes"]) == 12 * 24 * 32
    assert Image.open(out / "preview.png").width == 1600
    assert not [p for p in out.rglob("*") if ".tmp-" in p.name]


@pytest.mark.parametrize("more", [{}, {"sampler": "ddpm", "steps": 6}, {"guidance": 2.5}, {"augment": ("flip:0.5",)}])
def test_a_sample_depends_on_seed_and_index_alone(config, tmp_path, more):
    config = replace(config, **more)
    synthesize(config)
    whole = images(config.out)
    synthesize(replace(config, out=tmp_path / "ones", batch=1))
    assert_same(whole, images(tmp_path / "ones"))
    for i in (3, 1, 2):
        result = synthesize(replace(config, out=tmp_path / "shards", shard=Shard(i, 3), batch=2))
    assert result.complete
    assert_same(whole, images(tmp_path / "shards"))
    assert [{**row, "source": ""} for row in manifest(tmp_path / "shards")] == [
        {**row, "source": ""} for row in manifest(config.out)
    ]
    synthesize(replace(config, out=tmp_path / "more", n=17))
    assert_same(whole, {name: im for name, im in images(tmp_path / "more").items() if name in whole})
    synthesize(replace(config, out=tmp_path / "other", seed=1))
    assert not {im.tobytes() for im in whole.values()} & {im.tobytes() for im in images(tmp_path / "other").values()}


def test_label_map_noise_and_guidance_each_matter(config, tmp_path):
    synthesize(config)
    rows, whole = manifest(config.out), images(config.out)
    same_mask = [Path(row["image"]).name for row in rows if row["mask"] == rows[0]["mask"]]
    assert np.abs(whole[same_mask[0]] - whole[same_mask[1]]).max() > 1
    synthesize(replace(config, out=tmp_path / "guided", guidance=4.0))
    guided = images(tmp_path / "guided")
    assert all(np.abs(whole[name] - guided[name]).max() > 1 for name in whole)


def test_the_label_map_is_encoded_once_a_mask(config, monkeypatch):
    encoded = []
    original = DiffusionGenerator._encode
    monkeypatch.setattr(
        DiffusionGenerator, "_encode", lambda self, maps: encoded.append(len(maps)) or original(self, maps)
    )
    synthesize(replace(config, n=40, batch=3, guidance=2.0))
    assert sum(encoded) == 5 + 1, "five masks and the empty map, in some 14 batches of 4 steps"


def test_going_on(config):
    synthesize(replace(config, n=7))
    before = {p: p.stat().st_mtime_ns for p in config.out.rglob("*.png") if p.name != "preview.png"}
    emitted = []
    result = synthesize(config, emit=emitted.append)
    assert result.synthesized == 5 and len(emitted) == 12
    assert all(p.stat().st_mtime_ns == t for p, t in before.items())
    assert synthesize(config).synthesized == 0
    # what has vanished is synthesized again
    gone = sorted((config.out / "images").iterdir())[4]
    pixels = gone.read_bytes()
    gone.unlink()
    assert synthesize(config).synthesized == 1
    assert gone.read_bytes() == pixels
    assert len(list((config.out / "images").iterdir())) == 12
    assert [row["index"] for row in manifest(config.out)] == list(range(12))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 5}, "seed: 0 there, 5 now"),
        ({"steps": 3}, "steps: 4 there, 3 now"),
        ({"guidance": 2.0}, "guidance: 1.0 there, 2.0 now"),
        ({"size": (16, 16)}, "size: fit there, 16x16 now"),
        ({"augment": ("flip",)}, "augment:  there, flip now"),
        ({"n": 3}, "was begun with --n 12"),
    ],
)
def test_another_configuration_is_refused_with_the_difference(config, change, said):
    synthesize(config)
    with pytest.raises(UsageError, match=said):
        synthesize(replace(config, **change))


def test_shards_of_other_settings_that_are_copied_together_are_refused(config, tmp_path):
    one, other, both = (tmp_path / name for name in ("one", "other", "both"))
    synthesize(replace(config, out=one, shard=Shard(1, 2)))
    synthesize(replace(config, out=other, shard=Shard(2, 2), steps=3))
    shutil.copytree(other, both)
    shutil.copytree(one, both, dirs_exist_ok=True)  # with its description, over that of the other one
    for shard in (Shard(1, 2), Shard(2, 2)):
        with pytest.raises(UsageError, match=r"manifest-2-of-2\.jsonl: line 1: .*\(steps: 3 there, 4 now\); move this"):
            synthesize(replace(config, out=both, shard=shard))
    assert not json.loads((both / "dataset.json").read_text())["complete"]
    (both / "manifest-2-of-2.jsonl").unlink()
    assert synthesize(replace(config, out=both, shard=Shard(2, 2))).complete
    assert {row["steps"] for row in manifest(both)} == {4}


def test_other_masks_are_refused(config, masks):
    synthesize(config)
    Image.fromarray(np.ones((24, 32), np.uint8)).save(sorted(masks.iterdir())[0])
    with pytest.raises(UsageError, match=r"masks: .* there, .* now"):
        synthesize(config)


def test_a_folder_of_something_else_is_left_alone(config, masks):
    before = sorted(masks.iterdir())
    with pytest.raises(DataError, match="not empty and holds no data set"):
        synthesize(replace(config, out=masks))
    assert sorted(masks.iterdir()) == before
    (masks / "dataset.json").write_text("{}")
    with pytest.raises(DataError, match=r"dataset\.json: not a description"):
        synthesize(replace(config, out=masks))


def test_a_folder_in_use_is_refused(config):
    config.out.mkdir()
    with folder_lock(config.out, Silent()), pytest.raises(DataError, match="another run is writing here"):
        synthesize(config)


def test_unknown_classes_are_refused_before_the_first_sample(config, masks):
    (masks.parent / "classes.json").unlink()  # bare ids
    label_map = np.zeros((24, 32), np.uint8)
    label_map[:3] = 7
    Image.fromarray(label_map).save(masks / "odd.png")
    label_map[5] = 31
    Image.fromarray(label_map).save(masks / "odder.png")
    with pytest.raises(ModelError) as caught:
        synthesize(config)
    message = str(caught.value)
    assert "7 (" in message and "31 (" in message and "ids 0-4" in message
    assert f"the masks in {masks} hold" in message and "in odd.png, odder.png;" in message
    assert not config.out.exists()


def test_masks_of_any_size(config, masks, tmp_path):
    Image.fromarray(np.zeros((31, 57), np.uint8)).save(masks / "wide.png")
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(masks / "large.png")
    config = replace(config, n=14, batch=4)
    synthesize(replace(config, size="native"))
    sizes = {Image.open(p).size for p in (config.out / "images").iterdir()}
    assert sizes == {(32, 24), (57, 31), (64, 48)}
    synthesize(replace(config, out=tmp_path / "fit"))
    by_mask = {row["mask"]: tuple(row["size"]) for row in manifest(tmp_path / "fit")}
    assert by_mask["large"] == (24, 32), "same proportions: the training size"
    height, width = by_mask["wide"]
    assert width / height == pytest.approx(57 / 31, rel=0.1) and height * width == pytest.approx(24 * 32, rel=0.15)
    synthesize(replace(config, out=tmp_path / "fixed", size=(16, 40)))
    assert {Image.open(p).size for p in (tmp_path / "fixed" / "labels").iterdir()} == {(40, 16)}


def test_rare_first(config):
    synthesize(replace(config, n=2, order="rare-first"))
    assert manifest(config.out)[0]["mask"] == "Video4_frame000004", "the only one with id 4"


def test_perturbed_label_maps_go_with_their_images(config, masks):
    synthesize(replace(config, augment=("flip:0.5",), n=20))
    changed = 0
    for row in manifest(config.out):
        label = np.asarray(Image.open(config.out / row["label"]))
        source = np.asarray(Image.open(masks / f"{row['mask']}.png"))
        if row["perturbations"]:
            changed += not np.array_equal(label, source)
        else:
            assert np.array_equal(label, source)
    assert changed


def test_a_batch_too_large_for_the_memory_is_halved(config, monkeypatch, tmp_path):
    synthesize(config)
    batches = []
    original = DiffusionGenerator.generate

    def generate(self, index_maps, *rest):
        batches.append(len(index_maps))
        if len(index_maps) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, index_maps, *rest)

    monkeypatch.setattr(DiffusionGenerator, "generate", generate)
    synthesize(replace(config, out=tmp_path / "halved", batch=8))
    assert max(batches) == 8 and batches.count(8) == 1
    assert_same(images(config.out), images(tmp_path / "halved"))

    def never(self, *rest):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(DiffusionGenerator, "generate", never)
    with pytest.raises(ModelError, match="single image of 24x32"):
        synthesize(replace(config, out=tmp_path / "never"))


def test_spoilt_weights_are_named(config, monkeypatch):
    def generate(self, *rest):
        raise FloatingPointError("an image holds values that are not numbers")

    monkeypatch.setattr(DiffusionGenerator, "generate", generate)
    with pytest.raises(ModelError, match=r"not numbers.*--precision fp32"):
        synthesize(config)


def test_what_cannot_be_written_is_named(config, monkeypatch):
    def write_png(path, array, text=None):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("surgaug.synthesis.output.write_png", write_png)
    with pytest.raises(DataError, match=r"images/.*\.png: cannot be written \(No space left on device\)"):
        synthesize(config)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"n": 0}, "--n 0"),
        ({"batch": 0}, "--batch 0"),
        ({"steps": 0}, "--steps 0"),
        ({"steps": 100_000}, "steps"),
        ({"seed": -1}, "--seed -1"),
        ({"sampler": "euler"}, "ddim"),
        ({"options": {"eta": 0.5}, "sampler": "dpmpp"}, "dpmpp has spacing"),
        ({"options": {"eta": 2}, "sampler": "ddim"}, "--set eta: 2 is not"),
        ({"options": {"eta": "much"}, "sampler": "ddim"}, "--set eta: 'much' is not"),
        ({"options": {"eta": True}, "sampler": "ddim"}, "--set eta: True is not"),
        ({"options": {"variance": "big"}, "sampler": "ddpm"}, "--set variance: 'big' is not one of small, large"),
        ({"options": {"spacing": [1]}}, "spacing"),
        ({"augment": ("flop",)}, "did you mean flip"),
        ({"order": "odd"}, "even, rare-first"),
        ({"layout": "voc"}, "folders"),
        ({"size": (2, 2)}, "--size 2x2"),
        ({"device": "abacus"}, "--device abacus"),
    ],
)
def test_wrong_usage(config, change, said):
    with pytest.raises(UsageError, match=said):
        synthesize(replace(config, **change))
    assert not config.out.exists()


def test_compiled_pictures_are_the_same_and_rows_say_so(config, tmp_path, monkeypatch):
    monkeypatch.setattr(compiled.torch, "compile", lambda forward, backend: forward)  # see models/test_compiled.py
    synthesize(config)
    synthesize(replace(config, out=tmp_path / "fast", n=4, compile="on"))
    synthesize(replace(config, out=tmp_path / "fast", compile="off"))  # the choice may change when a run goes on
    assert_same(images(config.out), images(tmp_path / "fast"))
    rows = manifest(tmp_path / "fast")
    assert [row.pop("compiled", False) for row in rows].count(True) == 4
    assert rows == manifest(config.out)
