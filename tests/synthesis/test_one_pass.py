"""The baselines behind `synthesize`: the same promises as for diffusion models, and what is not for them is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from heard import Heard
from PIL import Image

from surgaug.errors import UsageError
from surgaug.models import families
from surgaug.models.checkpoint import save_model
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.plan import Shard
from surgaug.synthesis.run import synthesize

SMALL = {
    "pix2pix": {"channels": 8, "depth": 3},
    "cyclegan": {"channels": 8, "blocks": 1},
    "spade": {"channels": (16, 8), "hidden": 8, "z": 8},
    "clade": {"channels": (16, 8), "z": 8},
    "pix2pixhd": {"channels": 8, "downs": 1, "blocks": 1, "fine_blocks": 1},
}
WITHOUT_NOISE = {"cyclegan", "pix2pixhd"}


@pytest.fixture(scope="module", params=SMALL)
def file(request, tmp_path_factory, space) -> Path:
    """A model file of a small untrained generator."""
    family = families.get(request.param)
    torch.manual_seed(0)
    config = family.Config(**SMALL[request.param])
    net = family.build(config, space.num_classes)
    for p in net.parameters():
        if p.dim() > 1:
            torch.nn.init.normal_(p, std=0.1)
    path = tmp_path_factory.mktemp("model") / f"{request.param}.safetensors"
    save_model(
        path, net.state_dict(), family=request.param, config=config, space=space, schedule={}, prediction="image",
        size=(24, 32), defaults={}, meta={},
    )  # fmt: skip
    return path


def pictures(out: Path) -> dict[int, np.ndarray]:
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    return {row["index"]: np.asarray(Image.open(out / row["image"])).astype(int) for row in rows}


def test_a_sample_depends_on_seed_and_number_alone(file, masks, tmp_path):
    def made(name: str, **settings) -> dict[int, np.ndarray]:
        synthesize(SynthesizeConfig(masks, n=8, model=file, out=tmp_path / name, **settings))
        return pictures(tmp_path / name)

    whole, single = made("whole", batch=8), made("single", batch=1)
    assert all(np.abs(whole[k] - single[k]).max() <= 1 for k in range(8))
    for i in (1, 2):
        synthesize(SynthesizeConfig(masks, n=8, model=file, out=tmp_path / "shards", shard=Shard(i, 2)))
    shards = pictures(tmp_path / "shards")
    assert all(np.abs(whole[k] - shards[k]).max() <= 1 for k in range(8))
    other = made("other", seed=1)
    rows = [json.loads(line) for line in (tmp_path / "whole" / "manifest.jsonl").read_text().splitlines()]
    assert {(row["sampler"], row["steps"], row["guidance"]) for row in rows} == {("one-pass", 1, 1.0)}
    if file.stem not in WITHOUT_NOISE:
        assert max(np.abs(whole[k] - other[k]).max() for k in range(8)) > 1
        by_mask = {}
        for row in rows:
            by_mask.setdefault(row["mask"], []).append(whole[row["index"]])
        a, b = next(pair for pair in by_mask.values() if len(pair) == 2)
        assert np.abs(a - b).max() > 1


@pytest.mark.parametrize(
    ("setting", "says"),
    [({"sampler": "ddim"}, "--sampler"), ({"steps": 9}, "--steps"), ({"guidance": 2.0}, "--guidance"),
     ({"options": {"eta": 0.5}}, "--set eta"), ({"style": "Video1"}, "--style")],
)  # fmt: skip
def test_flags_of_diffusion_are_refused(file, masks, tmp_path, setting, says):
    with pytest.raises(UsageError, match=says):
        synthesize(SynthesizeConfig(masks, n=2, model=file, out=tmp_path / "out", **setting))
    assert not (tmp_path / "out").exists()


def test_a_model_without_noise_says_that_its_pictures_repeat(file, masks, tmp_path):
    heard = Heard()
    synthesize(SynthesizeConfig(masks, n=8, model=file, out=tmp_path / "out"), heard)
    assert any("draws no noise" in warning for warning in heard.warnings) == (file.stem in WITHOUT_NOISE)
