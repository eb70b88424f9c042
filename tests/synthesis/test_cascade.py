"""Images of a cascade: the label is the mask itself; sample K depends on seed and K alone, in tiles as whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from heard import Heard
from PIL import Image

from surgaug.diffusion.schedules import Schedule
from surgaug.errors import UsageError
from surgaug.models.checkpoint import load_model, model_hash, save_cascade, save_model
from surgaug.models.families import upsampler
from surgaug.models.upsampler import Upsampler
from surgaug.synthesis import cascade
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.plan import Shard
from surgaug.synthesis.run import synthesize
from surgaug.synthesis.sampling_settings import SamplingSettings

LARGE = (48, 64)  # masks and model; its first stage makes 24x32
CONFIG = replace(
    upsampler.PRESETS["tiny"], channels=(8, 8), encoder_blocks=(1, 1), decoder_blocks=(1, 1), attention=(False, False),
    spade=(True, True), spade_hidden=8, noise_dim=16, label_channels=4,
)  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory, model_file, space) -> Path:
    """The untrained first stage of the other tests, and an untrained second one."""
    folder = tmp_path_factory.mktemp("cascade")
    torch.manual_seed(1)
    net = Upsampler(CONFIG, space.num_classes)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    code = [0.2, 0.1, -0.1, 0.5, 0.4, 0.3, -1.0]
    save_model(
        folder / "second.safetensors", net.state_dict(), config=CONFIG, space=space, family="upsampler", base=(24, 32),
        schedule=Schedule(hand_over=1.0).to_dict(), prediction="x0", size=LARGE,
        defaults={"sampler": "dpmpp", "steps": 2, "guidance": 1.0, "picture_noise": 0.1},
        meta={"styles": [{"name": "frame0", "video": "Video0", "code": code}]},
    )  # fmt: skip
    save_cascade(folder / "model.safetensors", model_file, folder / "second.safetensors")
    return folder / "model.safetensors"


@pytest.fixture
def large(tmp_path, space) -> Path:
    (tmp_path / "classes.json").write_text(json.dumps({c.name: c.id for c in space.classes}))
    folder = tmp_path / "masks"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(np.kron(rng.integers(0, 5, (12, 16)), np.ones((4, 4))).astype(np.uint8)).save(
            folder / f"m{i}.png"
        )
    return folder


def config(masks: Path, model: Path, out: Path, **given) -> SynthesizeConfig:
    return SynthesizeConfig(**{"masks": masks, "model": model, "out": out, "n": 6, "steps": 2, **given})


def images(out: Path) -> dict[str, np.ndarray]:
    return {p.name: np.asarray(Image.open(p)).astype(int) for p in sorted((out / "images").iterdir())}


def near(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    """Equal to one grey level."""
    return a.keys() == b.keys() and all(np.abs(a[k] - b[k]).max() <= 1 for k in a)


def test_the_label_is_the_mask_itself(large, model, tmp_path):
    synthesize(config(large, model, tmp_path / "out"))
    made = images(tmp_path / "out")
    assert len(made) == 6
    for name, image in made.items():
        assert image.shape == (*LARGE, 3)
        label = np.asarray(Image.open(tmp_path / "out" / "labels" / name))
        assert np.array_equal(label, np.asarray(Image.open(large / f"{name.split('_')[0]}.png")))
    rows = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    stages = [stage.hash for stage in load_model(model).stages]
    for row in rows:
        assert (row["model"], row["stages"], row["size"]) == (model_hash(model), stages, list(LARGE))
        assert row["second"] == {"sampler": "dpmpp", "steps": 2, "guidance": 1.0, "picture_noise": 0.1, "start": 1.0}


def test_a_sample_depends_on_seed_and_number_alone(large, model, tmp_path):
    synthesize(config(large, model, tmp_path / "whole"))
    whole = images(tmp_path / "whole")
    synthesize(config(large, model, tmp_path / "single", batch=1))
    assert near(images(tmp_path / "single"), whole)
    for k in (1, 2):
        synthesize(config(large, model, tmp_path / "parts", shard=Shard(k, 2)))
    assert near(images(tmp_path / "parts"), whole)
    synthesize(config(large, model, tmp_path / "fewer", n=3))
    assert all(np.abs(image - whole[name]).max() <= 1 for name, image in images(tmp_path / "fewer").items())
    synthesize(config(large, model, tmp_path / "other", seed=1))
    assert not near({k: v for k, v in images(tmp_path / "other").items() if k in whole}, whole)


def test_in_tiles_as_whole(large, model, tmp_path, monkeypatch):
    synthesize(config(large, model, tmp_path / "whole", n=3))
    monkeypatch.setattr(cascade, "WHOLE_PIXELS", 100)
    monkeypatch.setattr(cascade, "TILE", 16)
    synthesize(config(large, model, tmp_path / "tiles", n=3))
    assert near(images(tmp_path / "tiles"), images(tmp_path / "whole"))


def test_sizes(large, model, tmp_path):
    for size, expected in ((None, LARGE), ("native", LARGE), ("base", (24, 32)), ((36, 48), (36, 48))):
        out = tmp_path / str(size)
        synthesize(config(large, model, out, n=1, size=size))
        (image,) = images(out).values()
        assert image.shape == (*expected, 3)
        (label,) = (out / "labels").iterdir()
        assert np.asarray(Image.open(label)).shape == expected
    rows = json.loads((tmp_path / "base" / "manifest.jsonl").read_text())
    assert "second" not in rows and "stages" not in rows


def test_masks_far_from_the_models_size_are_brought_to_it_and_it_is_said(large, model, tmp_path):
    for path in large.iterdir():
        Image.open(path).resize((192, 144), Image.Resampling.NEAREST).save(path)
    heard = Heard()
    synthesize(config(large, model, tmp_path / "out", n=1), heard)
    (image,) = images(tmp_path / "out").values()
    assert image.shape == (*LARGE, 3)
    assert any("--size native keeps theirs" in message for message in heard.infos)


def test_a_size_near_the_first_stages_is_told_what_makes_such_pictures(large, model, tmp_path):
    heard = Heard()
    synthesize(config(large, model, tmp_path / "out", n=1, size=(24, 32)), heard)
    assert any("of 24x32 say --size base" in message for message in heard.warnings)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"second.steps": 2.5}, "expected a number"), ({"second.start": 3}, "from 0.05 to 1"),
     ({"second.start": 0}, "--set second.start=0: from 0.05 to 1"),
     ({"second.picture_noise": -1}, "picture_noise"), ({"second.grain": -1}, "grain"),
     ({"second.sharper": 3}, "from 0 to 2"),
     ({"second.eta": 0.5}, "sampler dpmpp has")],
)  # fmt: skip
def test_settings_of_the_second_stage_are_checked(large, model, tmp_path, options, says):
    with pytest.raises(UsageError, match=says):
        synthesize(config(large, model, tmp_path / "out", options=options))


def test_they_make_a_difference(large, model, tmp_path):
    made = {}
    for name, options in (("usual", {}), ("noise", {"second.picture_noise": 0.0}), ("start", {"second.start": 0.5}),
                          ("steps", {"second.steps": 4})):  # fmt: skip
        synthesize(config(large, model, tmp_path / name, n=1, options=options))
        made[name] = images(tmp_path / name)
    assert all(not near(made[name], made["usual"]) for name in ("noise", "start", "steps"))


def test_the_second_stage_is_asked_for_sharper_pictures(large, model, tmp_path):
    for name, sharper in (("plain", 0.0), ("sharper", 2.0)):
        synthesize(config(large, model, tmp_path / name, options={"second.sharper": sharper}))
    plain, sharp = images(tmp_path / "plain"), images(tmp_path / "sharper")
    assert any(np.abs(plain[k] - sharp[k]).max() for k in plain)  # an untrained network heeds styles little
    rows = [json.loads(line)["second"] for line in (tmp_path / "sharper" / "manifest.jsonl").read_text().splitlines()]
    assert all(row["sharper"] == 2.0 for row in rows)
    enlarger = cascade.Enlarger(
        load_model(model).stages[1], SamplingSettings("dpmpp", 2, sharper=0.5), torch.device("cpu"), None
    )
    codes = np.array([[1, 2, 3, 4, 5, 6, 7], [np.nan] * 7], np.float32)
    np.testing.assert_array_equal(enlarger.asked(codes), codes + np.float32([0, 0, 0, 0, 0, 0, 0.5]))


def test_grain_is_noise_on_top_and_another_for_each_image(large, model, tmp_path):
    """Of its standard deviation where nothing is cut off, white, and without effect on what lies below."""
    for name, grain in (("without", 0.0), ("with", 4 / 127.5)):
        synthesize(config(large, model, tmp_path / name, options={"second.grain": grain}))
    without, grainy = images(tmp_path / "without"), images(tmp_path / "with")
    inside = [np.where((image > 20) & (image < 235), grainy[name] - image, 0) for name, image in without.items()]
    values = np.stack(inside)[np.stack(inside) != 0]
    assert len(values) > 5000
    assert values.std() == pytest.approx(4, rel=0.1)  # zeros are left out, and are rare
    assert abs(values.mean()) < 0.3
    assert not np.array_equal(inside[0], inside[1])
    rows = [json.loads(line) for line in (tmp_path / "with" / "manifest.jsonl").read_text().splitlines()]
    assert all(row["second"]["grain"] == 4 / 127.5 for row in rows)


def test_a_model_of_one_stage_has_no_second(masks, model_file, model, tmp_path):
    with pytest.raises(UsageError, match="no second stage"):
        synthesize(config(masks, model_file, tmp_path / "out", options={"second.steps": 2}))
    with pytest.raises(UsageError, match="cannot begin"):
        synthesize(config(masks, model.parent / "second.safetensors", tmp_path / "out"))


def test_styles_of_either_size(large, model, tmp_path):
    synthesize(config(large, model, tmp_path / "one", n=1, style="frame0"))
    synthesize(config(large, model, tmp_path / "other", n=1, style="frame3"))
    rows = [json.loads((tmp_path / name / "manifest.jsonl").read_text())["style"] for name in ("one", "other")]
    assert rows == ["frame0", "frame3"]
    (one,), (other,) = (images(tmp_path / name).values() for name in ("one", "other"))
    assert not np.array_equal(one, other)
