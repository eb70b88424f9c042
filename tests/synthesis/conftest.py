from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from surgaug.diffusion.schedules import Schedule
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.models.checkpoint import save_model
from surgaug.models.unet import SemanticUNet, UNetConfig

SIZE = (24, 32)
MASKS = 5


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def space() -> LabelSpace:
    names = ("Pupil", "Iris", "Cornea", "Skin", "Cannula")
    return LabelSpace(
        "test", tuple(LabelClass(i, name, color=(40 * i, 255 - 40 * i, 90)) for i, name in enumerate(names))
    )


@pytest.fixture(scope="session")
def model_file(tmp_path_factory, space) -> Path:
    """A small untrained network whose pictures depend on label map, noise level and noise alike."""
    path = tmp_path_factory.mktemp("model") / "best.safetensors"
    config = UNetConfig(
        channels=(16, 32),
        encoder_blocks=(1, 1),
        decoder_blocks=(1, 1),
        attention=(False, True),
        spade=(True, True),
        spade_hidden=16,
        noise_dim=32,
        style=True,
    )
    torch.manual_seed(0)
    net = SemanticUNet(config, space.num_classes)
    for parameter in net.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.05)
    save_model(
        path,
        net.state_dict(),
        config=config,
        space=space,
        schedule=Schedule().to_dict(),
        prediction="v",
        size=SIZE,
        defaults={"sampler": "ddim", "steps": 4, "guidance": 1.0},
        meta={
            "styles": [
                {"name": f"frame{i}", "video": f"Video{i // 2}", "code": [0.2 * i, 0.1, -0.1, 0.5, 0.4, 0.3, -1.0]}
                for i in range(4)
            ]
        },
    )
    return path


@pytest.fixture
def masks(tmp_path, space) -> Path:
    """Five label maps of ids 0 to 4, which a class file above them names; id 4 is in the last one only."""
    (tmp_path / "classes.json").write_text(json.dumps({c.name: c.id for c in space.classes}))
    folder = tmp_path / "masks"
    folder.mkdir()
    for i in range(MASKS):
        label_map = np.zeros(SIZE, np.uint8)
        label_map[4:16, 4 * i : 4 * i + 8] = i % 4
        label_map[17:19, :6], label_map[17:19, 8:12], label_map[20:, 10:20] = 1, 2, 3
        if i == MASKS - 1:
            label_map[:6, :6] = 4
        Image.fromarray(label_map).save(folder / f"Video{i}_frame{i:06d}.png")
    return folder
