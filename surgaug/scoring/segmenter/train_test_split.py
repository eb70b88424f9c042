"""Which frames train the segmenter and which test it: never the same one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from surgaug.errors import DataError
from surgaug.scoring.segmenter.frames import LabelledFrames

FEWEST = 4  # frames, on either side
TEST_SHARE = 0.25


class NotJudged(DataError):
    """The folders hold no frames that a segmenter could learn from and be tested on."""


@dataclass(frozen=True)
class Apart:
    """Positions of the frames that train and of those that test, and what a reader must hear about it."""

    train: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...]


def keep_apart(train: LabelledFrames, real: LabelledFrames) -> Apart:
    """Frames of `train` to learn from and frames of `real` to test on, without a frame in both.

    A data set's own split is kept where `train` has one. Frames of `real` that training saw are left out of the test;
    where too few remain, those that the test needs are left out of training; and where both folders hold the same
    frames, whole films (or single frames where no films are known) are held out, chosen by a hash of their names.

    Raises:
        NotJudged: too few frames for two sides.
    """
    digests_train, digests_real = np.array(train.digests()), np.array(real.digests())
    learn, test = np.arange(len(train)), np.arange(len(real))
    notes = []
    own = np.array([split == "train" for split in train.splits])
    if own.any() and not own.all():
        learn = np.flatnonzero(own)
        notes.append(f"segmenter: trained on the {len(learn)} frames of the data set's own training split")
    seen = np.isin(digests_real, digests_train[learn])
    if seen.any() and (~seen).sum() >= FEWEST:
        test = np.flatnonzero(~seen)
        notes.append(f"segmenter: {seen.sum()} of {len(real)} real frames are training frames too and do not test it")
    elif seen.any():
        kept = learn[~np.isin(digests_train[learn], digests_real)]
        if len(kept) >= FEWEST:
            notes.append(f"segmenter: {len(learn) - len(kept)} training frames are in the real folder: left out")
            learn = kept
        else:
            held = _held_out(real.groups)
            test = np.array([i for i, group in enumerate(real.groups) if group in held], int)
            learn = np.flatnonzero(~np.isin(digests_train, digests_real[test]))
            learn = np.array([i for i in learn if train.groups[i] not in held], int)
            notes.append(
                f"segmenter: --train and --real hold the same frames; {len(test)} of them, chosen by name, test it and "
                f"the other {len(learn)} train it"
            )
    if min(len(learn), len(test)) < FEWEST:
        raise NotJudged(
            f"{len(learn)} frames to train a segmenter and {len(test)} others to test it; at least {FEWEST} of each "
            "are needed: give more frames by --train and --real"
        )
    films = {train.groups[i] for i in learn if train.groups[i] != train.names[i]}
    shared = sorted(films & {real.groups[i] for i in test})
    if shared:
        notes.append(
            f"segmenter: trained and tested on frames of the same films ({', '.join(shared[:5])}): what it reaches on "
            "real frames is more than it would on a new film"
        )
    return Apart(learn, test, tuple(notes))


def _held_out(groups: tuple[str, ...]) -> set[str]:
    """The groups, in the order of a hash of their names, that together are `TEST_SHARE` of the frames or more."""
    held: set[str] = set()
    for group in sorted(set(groups), key=lambda name: hashlib.blake2b(name.encode()).digest()):
        if sum(g in held for g in groups) >= TEST_SHARE * len(groups):
            break
        held.add(group)
    return held
