from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from surgaug.diffusion.parameterisation import to_x0
from surgaug.diffusion.samplers import get
from surgaug.diffusion.schedules import Schedule
from surgaug.errors import ModelError, UsageError
from surgaug.models.checkpoint import load_model
from surgaug.synthesis.generators import BatchLimit, DiffusionGenerator
from surgaug.synthesis.noise import batch_noise
from surgaug.synthesis.sampling_settings import SamplingSettings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model(model_file):
    return load_model(model_file)


@pytest.fixture(scope="module")
def maps():
    return [np.random.default_rng(i).integers(0, 5, (13, 18), dtype=np.uint8) for i in range(3)]


@pytest.mark.parametrize("guidance", [1.0, 3.0, 0.0])
@pytest.mark.parametrize("sampler", ["ddim", "ddpm"])
def test_what_is_computed_once_a_map_gives_the_pictures_of_computing_it_anew(model, maps, guidance, sampler):
    which, steps = [0, 0, 2, 1, 1, 1], 5

    def noise(step, shape=(3, 13, 18)):
        return batch_noise(0, range(6), step, shape)

    generator = DiffusionGenerator(model, SamplingSettings(sampler, steps, guidance), CPU, None)
    generator.generate([maps[1]] * 2, [1, 1], lambda step, shape: noise(step, shape)[:2])  # map 1 is remembered
    images = generator.generate([maps[i] for i in which], which, noise)

    index_maps = torch.from_numpy(np.stack([maps[i] for i in which]))

    def plain(x, alpha_bar):
        def estimate(labels):
            level = torch.full((len(x),), math.sqrt(alpha_bar))
            return to_x0(model.prediction, model.net(x, level, model.net.encode(labels)), x, alpha_bar)

        with_map, without = estimate(index_maps), estimate(torch.full_like(index_maps, 255))
        return (without + guidance * (with_map - without)).clamp(-1, 1)

    levels = Schedule.from_dict(model.schedule).sampling_levels(steps)
    x_0 = get(sampler)(plain, torch.from_numpy(noise(0)), levels, lambda step: torch.from_numpy(noise(step + 1)))
    expected = ((x_0.clamp(-1, 1) + 1) * 127.5).permute(0, 2, 3, 1).numpy()
    assert images.dtype == np.uint8 and images.shape == (6, 13, 18, 3)
    assert np.abs(images - expected).max() <= 1


def test_options_go_to_the_sampler(model, maps):
    def generate(**options):
        generator = DiffusionGenerator(model, SamplingSettings("ddim", 5, 1.0, options), CPU, None)
        return generator.generate(maps[:1], [0], lambda step, shape: batch_noise(0, [0], step, shape))

    assert np.array_equal(generate(), generate(eta=0.0))
    assert np.abs(generate().astype(int) - generate(eta=1.0)).max() > 1
    assert np.array_equal(generate(), generate(spacing="trailing"))
    assert np.abs(generate().astype(int) - generate(spacing="karras")).max() > 1
    with pytest.raises(UsageError, match="--set variance: sampler ddim has spacing, guidance_below, eta"):
        generate(variance="large")


def test_an_image_that_is_not_finite_is_told(model, maps):
    generator = DiffusionGenerator(model, SamplingSettings("ddim", 2), CPU, None)
    with pytest.raises(FloatingPointError):
        generator.generate(maps[:1], [0], lambda step, shape: np.full((1, *shape), np.nan, np.float32))


def test_batch_limit():
    limit = BatchLimit(None, CPU)
    assert limit((64, 112)) == 9 and limit((540, 960)) == 1 and limit((8, 8)) == 256
    limit.halve((64, 112), 9)
    assert limit((64, 112)) == 4 and limit((64, 64)) == 16
    assert BatchLimit(5, CPU)((540, 960)) == 5
    with pytest.raises(ModelError, match="single image of 64x112"):
        limit.halve((64, 112), 1)
