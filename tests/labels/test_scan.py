"""The texture of a scan against its definition, pixel by pixel."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from surgaug.labels.scan import scan_raster


def by_definition(values: np.ndarray) -> tuple[dict[int, int], int, int]:
    """Pixels amid 3x3 equal ones by value; pixels that differ from a neighbour in row or column; those between both."""
    padded = np.pad(values.astype(int), 1, mode="edge")
    flat: Counter[int] = Counter()
    steps = ramps = 0
    for (y, x), v in np.ndenumerate(values.astype(int)):
        block = padded[y : y + 3, x : x + 3]
        flat[v] += bool((block == v).all())
        for line in (block[1].tolist(), block[:, 1].tolist()):
            steps += line != [v] * 3
            ramps += all(a < b for a, b in pairwise(line)) or all(a > b for a, b in pairwise(line))
    return {v: n for v, n in flat.items() if n}, steps, ramps


@pytest.mark.parametrize("seed", range(30))
def test_texture_is_what_its_definition_says(seed, tmp_path: Path):
    """One size after another in one thread, whose memory is kept."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, rng.integers(2, 7), rng.integers(1, 8, 2)) * int(rng.choice([1, 40, 9000]))
    values = values.astype(np.uint16 if values.max() > 255 else np.uint8)
    how = cv2.INTER_LINEAR if seed % 2 else cv2.INTER_NEAREST
    values = cv2.resize(values, None, fx=4, fy=4, interpolation=how).reshape(4 * values.shape[0], -1)
    Image.fromarray(values).save(tmp_path / "a.png")
    scan = scan_raster(tmp_path / "a.png")
    assert (scan.flat, scan.steps, scan.ramps) == by_definition(values)
