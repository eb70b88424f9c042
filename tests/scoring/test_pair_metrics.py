"""PSNR and SSIM against scikit-image, and at their ends."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from surgaug.scoring.metrics import msssim, psnr, ssim


def images(kind, hw=(40, 53), seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 256, (*hw, 3), dtype=np.uint8)
    ramp = np.broadcast_to(np.linspace(0, 255, hw[1]).astype(np.uint8)[None, :, None], (*hw, 3)).copy()
    return {
        "noise": (noise, rng.integers(0, 256, (*hw, 3), dtype=np.uint8)),
        "noisy ramp": (ramp, np.clip(ramp.astype(int) + rng.integers(-9, 10, ramp.shape), 0, 255).astype(np.uint8)),
        "black and white": (np.zeros_like(noise), np.full_like(noise, 255)),
        "nearly equal white": (np.full_like(noise, 255), np.full_like(noise, 254)),
        "equal": (noise, noise.copy()),
    }[kind]


KINDS = ["noise", "noisy ramp", "black and white", "nearly equal white", "equal"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("hw", [(40, 53), (11, 11), (64, 64)])
def test_ssim_is_scikit_images_with_wangs_settings(kind, hw):
    a, b = images(kind, hw)
    theirs = structural_similarity(
        a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=-1
    )
    assert ssim.compute(a, b) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_psnr_is_scikit_images(kind):
    a, b = images(kind)
    assert psnr.compute(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), abs=1e-12)


def test_known_values():
    black, white = images("black and white")
    assert psnr.compute(black, white) == pytest.approx(0)
    assert psnr.compute(white, white) == math.inf
    assert ssim.compute(white, white) == pytest.approx(1)
    # Constant images: only the luminance term is left.
    assert ssim.compute(black, white) == pytest.approx(6.5025 / (255**2 + 6.5025))
    grey = np.full_like(black, 128)
    assert psnr.compute(black, grey) == pytest.approx(20 * math.log10(255 / 128))
    off_by_one = images("nearly equal white")
    assert psnr.compute(*off_by_one) == pytest.approx(20 * math.log10(255))


def test_a_large_image_does_not_overflow():
    black, white = np.zeros((1080, 1920, 3), np.uint8), np.full((1080, 1920, 3), 255, np.uint8)
    assert psnr.compute(black, white) == pytest.approx(0)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(11, 40), st.integers(11, 40), st.integers(1, 128))
def test_bounds_and_symmetry(seed, height, width, spread):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    b = np.clip(a.astype(int) + rng.integers(-spread, spread + 1, a.shape), 0, 255).astype(np.uint8)
    assert -1 <= ssim.compute(a, b) <= 1 + 1e-12
    assert ssim.compute(a, b) == pytest.approx(ssim.compute(b, a), abs=1e-12)
    assert psnr.compute(a, b) == psnr.compute(b, a) >= 0
    flipped = ssim.compute(a[:, ::-1].copy(), b[:, ::-1].copy())
    assert flipped == pytest.approx(ssim.compute(a, b), abs=1e-12)


def test_refusals():
    with pytest.raises(ValueError, match="window"):
        ssim.compute(np.zeros((10, 30, 3), np.uint8), np.zeros((10, 30, 3), np.uint8))
    for metric in (psnr, ssim):
        with pytest.raises(ValueError, match="shapes differ"):
            metric.compute(np.zeros((20, 30, 3), np.uint8), np.zeros((30, 20, 3), np.uint8))


@pytest.mark.parametrize("hw", [(176, 192), (256, 208)])
def test_ms_ssim_is_pytorch_msssims(hw):
    theirs = pytest.importorskip("pytorch_msssim").ms_ssim
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.random((9, 12, 3)), hw[::-1], interpolation=cv2.INTER_CUBIC) * 255
    a, b = (np.clip(smooth + rng.normal(0, sd, smooth.shape), 0, 255).astype(np.uint8) for sd in (2, 25))
    pair = [torch.from_numpy(x).permute(2, 0, 1)[None].double() for x in (a, b)]
    assert msssim.compute(a, b) == pytest.approx(float(theirs(*pair, data_range=255)), abs=1e-5)
    assert msssim.compute(a, a) == pytest.approx(1, abs=1e-12)
    assert msssim.compute(a, 255 - a) < 0.1


def test_ms_ssim_of_small_images_says_why_not():
    small = np.zeros((64, 300, 3), np.uint8)
    with pytest.raises(ValueError, match="five scales need 176x176"):
        msssim.compute(small, small)
