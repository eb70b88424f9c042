"""The model that ships: the very file, small, and good for what the label map says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from surgaug.diffusion.parameterisation import clip_x0, denoiser
from surgaug.diffusion.samplers import get
from surgaug.diffusion.schedules import Schedule
from surgaug.models.checkpoint import SHIPPED, file_hash, load_model, read_header
from surgaug.phantom import render

SHA256 = "7d1065f7af9b05b5b098fcd11a2f7737153217d4038fec30d513a02d2e990a30"


def test_it_is_the_published_file_and_small():
    assert file_hash(SHIPPED) == SHA256
    assert SHIPPED.stat().st_size <= 15 * 2**20


def test_it_says_no_more_of_the_machine_that_trained_it_than_the_script_does():
    trained = read_header(SHIPPED)["meta"]["train"]
    assert not any(isinstance(value, str) and Path(value).is_absolute() for value in trained.values())


def test_it_paints_what_the_label_map_says():
    """On phantom maps that it never saw, each large region comes out in about the colour that the renderer gives it:
    nearer, on average, than if regions were painted in each other's colours."""
    model = load_model(SHIPPED)
    scenes = [render(10_000 + i, model.size) for i in range(6)]
    images, maps = (np.stack(x) for x in zip(*scenes, strict=True))
    cond = model.net.encode(torch.from_numpy(model.space.to_index(maps)))
    start = torch.randn((len(maps), 3, *model.size), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        denoise = clip_x0(denoiser(model.prediction, lambda x, level: model.net(x, level, cond)))
        schedule = Schedule.from_dict(model.schedule)
        painted = get("dpmpp")(denoise, start, schedule.sampling_levels(10), lambda step: start)
    painted = ((painted.permute(0, 2, 3, 1).numpy() + 1) * 127.5).clip(0, 255)

    def means(pictures: np.ndarray, k: int) -> np.ndarray:
        return pictures[maps == k].mean(axis=0)

    pupil, cornea, skin = 0, 6, 5
    for pictures in (images.astype(float), painted):  # the sclera is the brightest in both, the pupil not its colour
        assert means(pictures, cornea).mean() > means(pictures, pupil).mean() + 15
    own = np.mean([np.abs(means(painted, k) - means(images, k)).mean() for k in (pupil, cornea, skin)])
    swapped = np.abs(means(painted, pupil) - means(images, cornea)).mean()
    assert own < 0.6 * swapped
