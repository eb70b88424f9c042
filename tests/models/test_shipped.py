"""The model that ships: the very file, small, and good for what the label map says."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from surgaug.diffusion.parameterisation import clip_x0, denoiser
from surgaug.diffusion.samplers import get
from surgaug.diffusion.schedules import Schedule
from surgaug.labels.resize import resize_image
from surgaug.models.checkpoint import file_hash, load_model, read_header
from surgaug.models.model_files import SHIPPED
from surgaug.phantom import render
from surgaug.synthesis.cascade import Enlarger
from surgaug.synthesis.noise import batch_noise
from surgaug.synthesis.sampling_settings import SamplingSettings

SHA256 = "2092ea0978395490c37964407c42f30f02a706292ef9cc10e88721b462bd03db"


def test_it_is_the_published_file_and_small():
    assert file_hash(SHIPPED) == SHA256
    assert SHIPPED.stat().st_size <= 15 * 2**20


def test_it_says_no_more_of_the_machine_that_trained_it_than_the_script_does():
    for stage in read_header(SHIPPED)["stages"].values():
        trained = stage["meta"]["train"]
        told = [*trained.values(), *(trained.get("cascade") or {}).values()]
        assert not any(isinstance(value, str) and Path(value).is_absolute() for value in told)


def test_it_shows_what_the_label_map_says():
    """On phantom maps that it never saw, each large region comes out in about the colour that the renderer gives it:
    nearer, on average, than if regions had each other's colours."""
    model = load_model(SHIPPED).first
    scenes = [render(10_000 + i, model.size) for i in range(6)]
    images, maps = (np.stack(x) for x in zip(*scenes, strict=True))
    detail = model.net.config.label_detail
    fine = model.space.to_index(maps).repeat(detail, 1).repeat(detail, 2)
    cond = model.net.encode(torch.from_numpy(fine))
    start = torch.randn((len(maps), 3, *model.size), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        denoise = clip_x0(denoiser(model.prediction, lambda x, level: model.net(x, level, cond)))
        schedule = Schedule.from_dict(model.schedule)
        sampled = get("dpmpp")(denoise, start, schedule.sampling_levels(10), lambda step: start)
    sampled = ((sampled.permute(0, 2, 3, 1).numpy() + 1) * 127.5).clip(0, 255)

    def means(pictures: np.ndarray, k: int) -> np.ndarray:
        return pictures[maps == k].mean(axis=0)

    pupil, cornea, skin = 0, 6, 5
    for pictures in (images.astype(float), sampled):  # the sclera is the brightest in both, the pupil not its colour
        assert means(pictures, cornea).mean() > means(pictures, pupil).mean() + 15
    own = np.mean([np.abs(means(sampled, k) - means(images, k)).mean() for k in (pupil, cornea, skin)])
    swapped = np.abs(means(sampled, pupil) - means(images, cornea)).mean()
    assert own < 0.6 * swapped


def test_its_second_stage_makes_small_pictures_sharp():
    """Of phantom scenes that it never saw: as near to the scene as bicubic enlargement, with its fine detail."""
    model = load_model(SHIPPED)
    second, steps = model.stages[1], model.stages[1].defaults["steps"]
    settings = SamplingSettings("dpmpp", steps, 1.0, second.defaults["options"], start=1.0)
    enlarger = Enlarger(second, settings, torch.device("cpu"), None)
    ratios = []
    for seed in (20_000, 20_001):
        scene, label_map = render(seed, second.size)
        small = resize_image(scene, model.first.size)
        index_map = second.space.to_index(label_map)
        noise = partial(batch_noise, 0, [seed])
        made = enlarger.enlarge(small[None], [index_map], [0], noise)[0]
        plain = cv2.resize(small, second.size[::-1], interpolation=cv2.INTER_CUBIC)
        assert np.abs(made.astype(float) - scene).mean() < 1.1 * np.abs(plain.astype(float) - scene).mean()
        detail = [cv2.Laplacian(image, cv2.CV_64F).std() for image in (made, plain, scene)]
        ratios.append([detail[0] / detail[2], detail[1] / detail[2]])
    sharp, soft = np.mean(ratios, axis=0)
    assert sharp > soft + 0.15
