"""Which frames train the segmenter and which test it: never the same one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from surgaug.datasets.splits import hold_out
from surgaug.errors import DataError
from surgaug.scoring.inputs import that_train
from surgaug.segmenter.frames import LabelledFrames

FEWEST = 4  # frames, on either side
TEST_SHARE = 0.25


class NotEvaluated(DataError):
    """The folders hold no frames that a segmenter could be trained and tested on."""


@dataclass(frozen=True)
class Split:
    """Positions int [n] of the frames that train and of those that test, and `notes` that go into the report."""

    train: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...]


def split(train: LabelledFrames, real: LabelledFrames) -> Split:
    """Frames of `train` to train on and frames of `real` to test on, without a frame in both.

    The data set's own split is kept where `train` has one. Frames of `real` that are training frames too do not test;
    where too few others remain, they are taken out of training instead. Where both folders hold the same frames, whole
    videos (or single frames where no videos are known) are held out, chosen by a hash of their names.

    Raises:
        NotEvaluated: too few frames for two sides.
    """
    digests_train, digests_real = np.array(train.digests()), np.array(real.digests())
    trained, tested = np.array(that_train(train.splits), int), np.arange(len(real))
    notes = []
    if len(trained) < len(train):
        notes.append(f"segmenter: trained on the {len(trained)} frames of the data set's own training split")
    shared = np.isin(digests_real, digests_train[trained])
    if shared.any() and (~shared).sum() >= FEWEST:
        tested = np.flatnonzero(~shared)
        notes.append(f"segmenter: {shared.sum()} of {len(real)} real frames are training frames too and do not test it")
    elif shared.any():
        others = trained[~np.isin(digests_train[trained], digests_real)]
        if len(others) >= FEWEST:
            notes.append(f"segmenter: {len(trained) - len(others)} training frames are in the real folder: left out")
            trained = others
        else:
            order = sorted(set(real.groups), key=lambda name: hashlib.blake2b(name.encode()).digest())
            held = hold_out(real.groups, order, TEST_SHARE * len(real))
            tested = np.array([i for i, group in enumerate(real.groups) if group in held], int)
            trained = trained[~np.isin(digests_train[trained], digests_real[tested])]
            trained = np.array([i for i in trained if train.groups[i] not in held], int)
            notes.append(
                f"segmenter: --train and --real hold the same frames; {len(tested)} of them, chosen by name, test it "
                f"and the other {len(trained)} train it"
            )
    if min(len(trained), len(tested)) < FEWEST:
        raise NotEvaluated(
            f"{len(trained)} frames to train a segmenter and {len(tested)} others to test it; at least {FEWEST} of "
            "each are needed: give more frames by --train and --real"
        )
    videos = {train.groups[i] for i in trained if train.groups[i] != train.names[i]}
    common = sorted(videos & {real.groups[i] for i in tested})
    if common:
        notes.append(
            f"segmenter: trained and tested on frames of the same videos ({', '.join(common[:5])}): what it reaches on "
            "real frames is more than it would on a new video"
        )
    return Split(trained, tested, tuple(notes))


def without_test_frames(synth: LabelledFrames, test: LabelledFrames) -> tuple[LabelledFrames, tuple[str, ...]]:
    """The images of a synthetic set that may train, since they are no copies of test frames; and a note of the others.

    Raises:
        DataError: all are copies.
    """
    copies = np.isin(synth.digests(), test.digests())
    if not copies.any():
        return synth, ()
    if copies.all():
        raise DataError("utility: every synthetic image is a copy of a frame it would be tested on")
    note = f"utility: {copies.sum()} synthetic images are copies of test frames and were left out"
    return synth.take(np.flatnonzero(~copies)), (note,)
