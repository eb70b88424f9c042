"""Fine lines cover what their width and length say, however the pixels lie to them."""

from __future__ import annotations

import numpy as np
import pytest

from surgaug.phantom.fine_lines import fine_lines


def straight(width: float, strength: float = 1.0, offset: float = 0.0) -> np.ndarray:
    line = np.stack([np.linspace(10, 60, 9), np.linspace(12, 40, 9) + offset], axis=1)[None]
    return fine_lines((56, 72), line, np.full((1, 9), width), np.array([strength]))


@pytest.mark.parametrize("width", [0.3, 0.6, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("offset", [0.0, 0.37])
def test_a_line_covers_its_length_times_its_width(width, offset):
    length = np.hypot(50, 28)
    assert straight(width, offset=offset).sum() == pytest.approx(length * width, rel=0.5, abs=4)


def test_what_is_thinner_or_weaker_is_fainter():
    sums = [straight(w).sum() for w in (0.1, 0.25, 0.5, 1, 2)]
    assert sums == sorted(sums) and sums[0] < 0.35 * sums[2]
    assert straight(1.0, 0.5).sum() == pytest.approx(0.5 * straight(1.0).sum(), rel=0.1)


def test_it_lies_where_it_is_put():
    cover = straight(1.0)
    rows, columns = np.indices(cover.shape)
    assert (cover * columns).sum() / cover.sum() == pytest.approx(35, abs=0.3)
    assert (cover * rows).sum() / cover.sum() == pytest.approx(26, abs=0.3)


def test_a_line_without_width_is_not_drawn():
    assert not straight(0.0).any()
