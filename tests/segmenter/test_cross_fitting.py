"""Folds, cross-entropy and its means against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from surgaug.segmenter.cross_fitting import class_means, cross_entropy, folds_of, held_out_cross_entropy
from surgaug.segmenter.frames import LabelledFrames

CPU = torch.device("cpu")


class Constant(nn.Module):
    """Says the same probabilities of every pixel, whatever it sees."""

    def __init__(self, *probabilities):
        super().__init__()
        self.logits = torch.tensor(probabilities).log().view(1, -1, 1, 1)

    def forward(self, images):
        return self.logits.expand(len(images), -1, *images.shape[-2:])


def test_every_fold_has_one_stretch_of_every_video():
    groups = ["a"] * 9 + ["b"] * 6
    folds = folds_of(groups)
    for video, n in (("a", 3), ("b", 2)):
        own = folds[[g == video for g in groups]]
        assert sorted(np.bincount(own)) == [n, n, n]
        assert (np.diff(own) != 0).sum() == 2  # each in one piece


@pytest.mark.parametrize("groups", [list("abcdefg"), ["a", "a", *"bcdefghij"]])
def test_short_videos_are_spread_over_the_folds(groups):
    counts = np.bincount(folds_of(groups), minlength=3)
    assert counts.max() - counts.min() <= 1


def test_cross_entropy_is_minus_log_of_the_labels_probability_and_its_mean_over_networks():
    maps = np.array([[[0, 1], [255, 0]]], np.uint8)
    images = np.zeros((1, 2, 2, 3), np.uint8)
    found = cross_entropy([Constant(0.8, 0.2), Constant(0.5, 0.5)], images, maps, CPU)
    right, wrong = -(math.log(0.8) + math.log(0.5)) / 2, -(math.log(0.2) + math.log(0.5)) / 2
    assert found[0] == pytest.approx(np.array([[right, wrong], [math.nan, right]]), nan_ok=True)


def test_each_frame_is_read_by_the_network_that_did_not_see_it():
    names = ("a", "b", "c")
    frames = LabelledFrames(
        names, np.zeros((3, 2, 2, 3), np.uint8), np.zeros((3, 2, 2), np.uint8), names, (None,) * 3, None
    )
    networks = [Constant(0.5, 0.5), Constant(0.25, 0.75), Constant(0.1, 0.9)]
    found = held_out_cross_entropy(networks, frames, np.array([2, 0, 1]), CPU)
    assert found[:, 0, 0] == pytest.approx(-np.log([0.1, 0.5, 0.25]))


def test_means_by_class():
    values = np.array([[[1.0, 3.0], [5.0, np.nan]], [[2.0, 8.0], [4.0, 4.0]]], np.float32)
    maps = np.array([[[0, 0], [1, 255]], [[0, 1], [1, 1]]], np.uint8)
    assert class_means(values, maps, 3) == pytest.approx([2.0, 5.25, np.nan], nan_ok=True)
