"""The amplitudes of a frame's low frequencies: closed forms, the whole transform as an oracle, and `synthesize`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from surgaug.errors import UsageError
from surgaug.io.manifest import read_rows
from surgaug.models.checkpoint import save_model
from surgaug.models.families import pix2pix
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.fourier_style import FourierStyle
from surgaug.synthesis.run import synthesize


def pictures(seed: int, n: int = 2, size: tuple[int, int] = (24, 33), low: int = 90, high: int = 160) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, high, (n, *size, 3), dtype=np.uint8)


def test_in_its_own_style_an_image_stays():
    images = pictures(0, 1)
    assert np.array_equal(FourierStyle(images[0], 0.3)(images), images)


def test_below_one_cycle_the_mean_colour_is_taken_and_nothing_else():
    images, reference = pictures(0), pictures(1, 1, low=40, high=60)[0]
    found = FourierStyle(reference, 0.02)(images).astype(float)
    expected = images + (reference.mean(axis=(0, 1)) - images.mean(axis=(1, 2), keepdims=True))
    assert np.abs(found - expected).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("size", [(24, 33), (25, 32)])
@pytest.mark.parametrize("share", [0.05, 0.2, 0.5])
def test_it_is_the_papers_equation(share, size):
    """With the whole transform, its zero moved to the middle, as equations 3 and 4 have it."""
    image, reference = pictures(2, 1, size)[0], pictures(3, 1, size)[0]
    height, width = size
    source, target = (np.fft.fftshift(np.fft.fft2(x, axes=(0, 1)), axes=(0, 1)) for x in (image, reference))
    down, across = np.arange(height) - height // 2, np.arange(width) - width // 2
    mask = (np.abs(down) <= share * height)[:, None, None] & (np.abs(across) <= share * width)[None, :, None]
    amplitude = np.where(mask, np.abs(target), np.abs(source))
    mixed = np.fft.ifftshift(amplitude * np.exp(1j * np.angle(source)), axes=(0, 1))
    expected = np.fft.ifft2(mixed, axes=(0, 1)).real.clip(0, 255)
    found = FourierStyle(reference, share)(image[None])[0]
    assert np.abs(found - expected).max() <= 0.5 + 1e-9


def test_a_reference_of_another_size_is_resized():
    light = np.full((7, 9, 3), [200, 100, 50], np.uint8)
    found = FourierStyle(light, 0.02)(pictures(4))
    assert np.abs(found.mean(axis=(1, 2)) - [200, 100, 50]).max() < 1


@pytest.fixture
def picture(tmp_path) -> Path:
    path = tmp_path / "wanted.png"
    Image.fromarray(np.full((24, 32, 3), [140, 128, 116], np.uint8)).save(path)
    return path


@pytest.fixture
def baseline(tmp_path, space) -> Path:
    config = pix2pix.Config(channels=8, depth=3)
    net = pix2pix.build(config, space.num_classes)
    for p in net.parameters():
        torch.nn.init.normal_(p, std=0.1)
    path = tmp_path / "pix2pix.safetensors"
    save_model(
        path, net.state_dict(), family="pix2pix", config=config, space=space, schedule={}, prediction="image",
        size=(24, 32), defaults={}, meta={},
    )  # fmt: skip
    return path


@pytest.mark.parametrize("kind", ["diffusion", "pix2pix"])
def test_any_model_in_the_light_of_a_frame(kind, model_file, baseline, masks, picture, tmp_path):
    model, out = model_file if kind == "diffusion" else baseline, tmp_path / "out"
    options = {"style.fourier": 0.01, **({"eta": 0.5, "style.tries": 2} if kind == "diffusion" else {})}
    synthesize(SynthesizeConfig(masks, n=3, model=model, out=out, style=str(picture), options=options, device="cpu"))
    rows = read_rows(out)[0]
    assert [(row["style"], row["options"]) for row in rows] == [("wanted.png", options)] * 3
    for row in rows:
        mean = np.asarray(Image.open(out / Path(row["image"]))).mean(axis=(0, 1))
        assert np.abs(mean - [140, 128, 116]).max() < 12, "but for what is clipped"


@pytest.mark.parametrize(
    ("style", "options", "says"),
    [("auto", {"style.fourier": 0.01}, "--style IMAGE, not auto"), ("PICTURE", {"style.fourier": 0}, "above 0, to 0.5"),
     ("PICTURE", {"style.fourier": "much"}, "above 0"), ("PICTURE", {"style.fuorier": 0.1}, "did you mean style.f")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(style, options, says, model_file, masks, picture, tmp_path):
    style = str(picture) if style == "PICTURE" else style
    with pytest.raises(UsageError, match=says):
        synthesize(SynthesizeConfig(masks, n=1, model=model_file, out=tmp_path / "out", style=style, options=options))
    assert not (tmp_path / "out").exists()
