"""Which frames validate, and which of them are shown."""

from __future__ import annotations

import numpy as np
import pytest

from surgaug.training.validation import SHEET, fixed_frames


class Numbered:
    """Frames that show their numbers."""

    def __init__(self, count: int):
        self.count = count

    def __len__(self):
        return self.count

    def view(self, i):
        return np.full((2, 3, 3), i, np.uint8), np.full((2, 3), i, np.uint8)


@pytest.mark.parametrize(("frames", "count"), [(200, 32), (33, 32), (5, 32), (200, 4), (1, 32)])
def test_frames_and_those_shown_are_spread_over_all(frames, count):
    images, index_maps = fixed_frames(Numbered(frames), count)
    numbers = images[:, 0, 0, 0].tolist()
    assert len(set(numbers)) == len(numbers) == min(frames, count)
    assert np.array_equal(index_maps[:, 0, 0], numbers)
    shown = numbers[:SHEET]
    assert (min(shown), max(shown)) == (0, frames - 1)
    steps = np.diff(sorted(shown))
    assert not len(steps) or steps.max() <= 2 * steps.min() + 2
