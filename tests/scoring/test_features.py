"""The weight-free description, and the Inception network against torch-fidelity's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from surgaug.errors import ModelError
from surgaug.runtime.feedback import Silent
from surgaug.scoring.compute import colour_texture
from surgaug.scoring.compute.colour_texture import GROUPS
from surgaug.scoring.compute.distances import frechet_distance
from surgaug.scoring.features import inception, names


def noise(hw=(48, 64), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*hw, 3), dtype=np.uint8)


def smooth(seed=0):
    return cv2.GaussianBlur(noise((64, 64), seed), (0, 0), 4)


def description(image):
    return colour_texture.extract(image) / colour_texture.SCALE


def test_names():
    assert names() == ["clip", "colour_texture", "dinov2", "efficientnet_lite0", "inception", "torchvision_network"]


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 70), st.integers(8, 70), st.integers(0, 10**6))
def test_description_has_one_size_and_is_finite(height, width, seed):
    vector = colour_texture.extract(noise((height, width), seed))
    assert vector.shape == (colour_texture.DIMENSION,)
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()
    assert np.abs(vector).max() <= 2 * colour_texture.SCALE


def test_histograms_have_unit_length():
    vector = description(noise())
    assert np.linalg.norm(vector[GROUPS["histogram"]]) == pytest.approx(1, abs=1e-6)
    patterns = vector[GROUPS["patterns"]].reshape(3, 10)
    assert np.linalg.norm(patterns, axis=1) == pytest.approx(np.ones(3), abs=1e-6)


def test_patterns_by_their_definition():
    image = noise((40, 40))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    bits = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]
    centre = grey[1:-1, 1:-1].astype(int)
    ring = np.stack([grey[1 + y : 39 + y, 1 + x : 39 + x] >= centre for y, x in bits])
    uniform = (ring != np.roll(ring, 1, axis=0)).sum(0) <= 2
    counts = np.bincount(np.where(uniform, ring.sum(0), 9).ravel(), minlength=10)
    ours = description(image)[GROUPS["patterns"]][:10]
    assert ours**2 == pytest.approx(counts / counts.sum(), abs=1e-6)


def test_moments_are_those_of_opencvs_lab():
    image = smooth()
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2Lab).reshape(-1, 3).astype(float)
    lab = (lab - [0, 128, 128]) * [1 / 255, 1 / 100, 1 / 100]
    ours = description(image)[GROUPS["moments"]]
    third = np.cbrt(((lab - lab.mean(0)) ** 3).mean(0))
    assert ours == pytest.approx(np.concatenate([lab.mean(0), lab.std(0), third]), abs=1e-6)


def test_haar_of_stripes_has_one_orientation():
    rows = np.zeros((32, 32, 3), np.uint8)
    rows[::2] = 200
    haar = description(rows)[GROUPS["haar"]].reshape(3, 3, 3)  # level, orientation, plane
    assert haar[0, 1, 0] == pytest.approx(np.log1p(100) / np.log(256), abs=1e-6)
    haar[0, 1, 0] = 0
    assert np.abs(haar).max() < 1e-6


def test_an_image_too_small_is_refused():
    with pytest.raises(ValueError, match="8x8"):
        colour_texture.extract(noise((7, 30)))


@pytest.mark.parametrize(
    "fault",
    [
        lambda image: cv2.GaussianBlur(image, (0, 0), 1.5),
        lambda image: np.clip(image * 0.8, 0, 255).astype(np.uint8),
        lambda image: image[..., ::-1].copy(),
        lambda image: np.clip(image + np.random.default_rng(0).normal(0, 8, image.shape), 0, 255).astype(np.uint8),
    ],
    ids=["blurred", "darker", "hue", "noisy"],
)
def test_faults_are_farther_than_other_good_images(fault):
    tint = np.array([1.0, 0.6, 0.5])

    def scene(seed):
        return (smooth(seed) * tint).astype(np.uint8) + (noise((64, 64), seed) // 16)

    def describe(images):
        return np.stack([colour_texture.extract(image) for image in images])

    real, other = describe(map(scene, range(40))), describe(map(scene, range(40, 80)))
    broken = describe(fault(scene(seed)) for seed in range(40, 80))
    assert frechet_distance(real, broken) > 2 * frechet_distance(real, other)


@pytest.fixture(scope="module")
def theirs(weights):
    return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights))


def test_the_weight_file_has_the_published_layout(weights, theirs):
    state = torch.load(weights, weights_only=True)
    assert len(state) == 566
    assert state["fc.weight"].shape == (1008, 2048)
    assert set(state) == set(theirs.state_dict())


@pytest.mark.parametrize("hw", [(64, 64), (301, 150)])
def test_features_are_torch_fidelitys(weights, theirs, hw):
    images = np.stack([noise(hw), np.resize(smooth(), (*hw, 3))])
    extract = inception.Extractor(inception.read_network(weights), "legacy", torch.device("cpu"))
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous())[0].numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(extract(images), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("hw", [(64, 64), (352, 300), (299, 299)])
def test_clean_resize_is_pillows_bicubic_in_float(hw):
    image = noise(hw)
    ours = inception.resize_clean(torch.from_numpy(image).permute(2, 0, 1)[None].float())[0].numpy()
    planes = [Image.fromarray(image[..., c].astype(np.float32)) for c in range(3)]
    theirs = np.stack([np.asarray(p.resize((299, 299), Image.Resampling.BICUBIC)) for p in planes]).clip(0, 255)
    assert np.abs(ours - theirs).max() < 0.02


def test_weights_of_another_checksum_are_refused(weights):
    with pytest.raises(ModelError, match="sha256"):
        inception.verified(weights)
    with pytest.raises(ModelError, match="no such file"):
        inception.verified(weights.with_name("absent.pth"))


def test_what_is_not_a_weight_file_is_refused(tmp_path):
    text = tmp_path / "text.pth"
    text.write_text("hello")
    other = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, other)
    code = tmp_path / "code.pth"
    torch.save(Path("x"), code)  # a pickled object: must not be run
    for path in (text, other, code, tmp_path / "absent.pth"):
        with pytest.raises(ModelError, match=path.name):
            inception.read_network(path)


def test_download_keeps_only_what_has_the_checksum(tmp_path):
    source = tmp_path / "source.pth"
    source.write_bytes(b"weights")
    cache = tmp_path / "cache"
    with pytest.raises(ModelError, match="nothing was kept"):
        inception.download(cache, Silent(), source.as_uri())
    assert list(cache.iterdir()) == []
    checksum = hashlib.sha256(b"weights").hexdigest()
    path = inception.download(cache, Silent(), source.as_uri(), checksum)
    assert path.read_bytes() == b"weights"
    source.unlink()
    assert inception.download(cache, Silent(), source.as_uri(), checksum) == path  # from the cache
    assert [p.name for p in cache.iterdir()] == [inception.FILE_NAME]


def test_download_without_a_connection(tmp_path):
    with pytest.raises(ModelError, match="--inception-weights"):
        inception.download(tmp_path, Silent(), (tmp_path / "absent").as_uri())
