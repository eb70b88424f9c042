"""The judge: which pixels it doubts, at any size, and that it is kept and read again as it was."""

from __future__ import annotations

import errno
from dataclasses import replace

import numpy as np
import pytest
import torch
from heard import Heard
from torch import nn

from surgaug.errors import ModelError
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.runtime.feedback import Silent
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import LabelledFrames
from surgaug.segmenter.judge import Judge, Reading, fit, load, save

CPU = torch.device("cpu")
SPACE = LabelSpace("two", (LabelClass(0, "ground"), LabelClass(3, "tool")), 255)


class Redness(nn.Module):
    """Takes red pixels for class 1, the others for class 0, with probability 0.9."""

    def forward(self, images):
        red = (images[:, 0] > 0.5).float()
        return torch.stack([0.9 - 0.8 * red, 0.1 + 0.8 * red], 1).log()


def judge(means=(0.2, 0.3)):
    return Judge((Redness(), Redness()), SPACE, (8, 12), np.array(means), "key", CPU)


def picture(label_map):
    return np.where((label_map == 3)[..., None], [255, 0, 0], [0, 0, 0]).astype(np.uint8)


@pytest.mark.parametrize("scale", [1, 5])
def test_what_the_picture_does_not_show_is_doubted_at_any_size(scale):
    shown = np.zeros((8, 12), np.uint8)
    shown[:, 6:] = 3
    told = shown.copy()
    told[:4, :3] = 3  # a tool that is not there
    told[4:, 9:] = 255  # no label
    large, image = told.repeat(scale, 0).repeat(scale, 1), picture(shown).repeat(scale, 0).repeat(scale, 1)
    reading = judge().reading(image, large)
    assert np.array_equal(reading.doubted, ((told == 3) & (shown == 0)).repeat(scale, 0).repeat(scale, 1))
    assert reading.agreement == pytest.approx(1 - 12 / 84)
    assert reading.agreement_by_class() == pytest.approx({0: 1.0, 3: 1 - 12 / 48})
    trusted = reading.trusted_map(255)
    assert np.array_equal(trusted, np.where(reading.doubted, 255, large))


def test_the_limit_is_trust_times_the_mean_of_the_class():
    image, told = np.zeros((8, 12, 3), np.uint8), np.full((8, 12), 3, np.uint8)
    surprise = -np.log(0.1)
    means = (0.2, surprise / 1.25)
    assert judge(means).reading(image, told, 1.26).agreement == 1
    assert judge(means).reading(image, told, 1.24).agreement == 0
    assert judge((0.2, np.nan)).reading(image, told).agreement == 1  # a class of which nothing is known


def test_ids_that_it_does_not_know_are_trusted():
    told = np.full((8, 12), 9, np.uint8)
    assert judge().reading(np.zeros((8, 12, 3), np.uint8), told).agreement == 1


def test_an_ignore_value_beyond_8_bits_widens_the_map():
    reading = Reading(np.full((1, 2), 255, np.uint8), np.array([[True, False]]), np.ones((1, 2), bool))
    assert reading.trusted_map(256).tolist() == [[256, 255]]


def test_hardness_is_the_mean_of_the_class_means_over_the_pixels():
    pixels = np.array([[10, 0], [5, 5], [0, 10], [0, 0]])
    assert judge().hardness(pixels, SPACE) == pytest.approx([0.2, 0.25, 0.3, 0])


def frames(n=6):
    rng = np.random.default_rng(0)
    maps = (rng.random((n, 1, 3)) < 0.5).astype(np.uint8).repeat(16, 1).repeat(8, 2)
    images = np.where((maps == 1)[..., None], [200, 60, 60], [60, 60, 200]).astype(np.uint8)
    names = tuple(map(str, range(n)))
    return LabelledFrames(names, images, maps, names, (None,) * n, SPACE)


def test_one_that_was_cut_short_in_the_cache_is_trained_anew(tmp_path, monkeypatch):
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path))
    config, heard = SegmenterConfig(size=(16, 24), steps=3, batch=2), Heard()
    first = fit(frames(), config, CPU, heard)
    (path,) = (tmp_path / "judges").iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    again = fit(frames(), config, CPU, heard)
    assert np.array_equal(again.class_means, first.class_means) and path.read_bytes() == whole
    assert len(heard.warnings) == 1 and str(path) in heard.warnings[0] and "trained anew" in heard.warnings[0]


def test_a_full_disk_is_told_with_the_file_that_was_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path / "cache"))
    found = fit(frames(), SegmenterConfig(size=(16, 24), steps=3, batch=2), CPU, Silent())

    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left on device") as caught:
        save(found, tmp_path / "mine.safetensors", "unet")
    assert caught.value.filename == str(tmp_path / "mine.safetensors")
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path / "other"))
    with pytest.raises(OSError, match="No space left on device"):
        fit(frames(), SegmenterConfig(size=(16, 24), steps=3, batch=2), CPU, Silent())


@pytest.mark.parametrize(
    "change",
    [
        {"space": replace(SPACE, classes=tuple(replace(c, id=c.id + 1) for c in SPACE.classes))},
        {"space": replace(SPACE, classes=tuple(replace(c, name=f"{c.name} 2") for c in SPACE.classes))},
        {"groups": ("one video",) * 6},
    ],
    ids=["ids", "names", "videos"],
)
def test_one_of_other_classes_or_folds_is_another(tmp_path, monkeypatch, change):
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path))
    config = SegmenterConfig(size=(16, 24), steps=1, batch=2)
    first, other = (fit(of, config, CPU, Silent()) for of in (frames(), replace(frames(), **change)))
    assert first.key != other.key and first.space == SPACE
    assert other.space == change.get("space", SPACE)


def test_one_of_the_cache_has_the_colours_of_today(tmp_path, monkeypatch):
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path))
    config = SegmenterConfig(size=(16, 24), steps=1, batch=2)
    fit(frames(), config, CPU, Silent())
    space = replace(SPACE, classes=tuple(replace(c, color=(1, 2, 3)) for c in SPACE.classes))
    monkeypatch.setattr("surgaug.segmenter.judge.cross_fit", None)
    assert fit(replace(frames(), space=space), config, CPU, Silent()).space == space


def test_it_is_trained_once_and_read_again_as_it_was(tmp_path, monkeypatch):
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path))
    config = SegmenterConfig(size=(16, 24), steps=3, batch=2)
    first = fit(frames(), config, CPU, Silent())
    (path,) = (tmp_path / "judges").iterdir()
    monkeypatch.setattr("surgaug.segmenter.judge.cross_fit", None)
    for again in (fit(frames(), config, CPU, Silent()), load(path, CPU)):
        assert (again.key, again.size, again.space) == (first.key, first.size, first.space)
        assert np.array_equal(again.class_means, first.class_means, equal_nan=True)
        image, told = frames().images[0], SPACE.to_ids(frames().maps[0])
        assert np.array_equal(again.reading(image, told).doubted, first.reading(image, told).doubted)
    (segmenter, *_) = (tmp_path / "segmenters").iterdir()
    with pytest.raises(ModelError, match="no judge of surgaug's"):
        load(segmenter, CPU)
    with pytest.raises(ModelError, match="no such file"):
        load(tmp_path / "nothing.safetensors", CPU)
