"""Label maps told by their content: the same ids, however they are stored, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug.datasets.dataset import LabelMaps, open_masks
from surgaug.datasets.own_maps import are_own, digest, digests_of
from surgaug.datasets.survey import count
from surgaug.runtime.feedback import Silent


def opened(folder: Path, maps: list[np.ndarray]) -> tuple[LabelMaps, np.ndarray]:
    folder.mkdir()
    for i, label_map in enumerate(maps):
        Image.fromarray(np.asarray(label_map, np.uint8)).save(folder / f"{i:03}.png")
    found = open_masks(folder)
    return found, count(found).presence_by_item


def test_a_digest_is_of_the_ids_and_of_the_size():
    ids = np.arange(12).reshape(3, 4)
    assert digest(ids) == digest(ids.astype(np.uint8)) == digest(np.asfortranarray(ids.astype(np.uint16)))
    assert len({digest(a) for a in (ids, ids.reshape(4, 3), ids + 1, ids + 256, ids[::-1])}) == 5


def test_digests_are_of_ids_and_not_of_files(tmp_path):
    masks = [np.tri(6, k=k) for k in (0, 1, 1)]
    as_ids, as_greys = opened(tmp_path / "a", masks)[0], opened(tmp_path / "b", [255 * m for m in masks])[0]
    assert digests_of([as_ids], Silent()) == digests_of([as_greys, as_ids], Silent()) == sorted({*map(digest, masks)})


def test_known_maps_speak_for_the_ids_that_they_show(tmp_path):
    """Of maps with two ids exchanged, those that show neither are known; the others show that they are not."""
    rare, common = np.eye(5, dtype=int) * 2, np.tri(5, dtype=int)
    maps = [np.roll(common, k, axis=1) for k in range(5)] + [rare, rare[::-1]]
    known = set(map(digest, maps))
    exchanged = [np.array([0, 1, 3])[m] for m in maps]
    assert are_own(*opened(tmp_path / "own", maps), known)
    assert are_own(*opened(tmp_path / "with a new one", [*maps, common.T]), known)
    assert not are_own(*opened(tmp_path / "exchanged", exchanged), known)
    assert not are_own(*opened(tmp_path / "empty", [np.zeros((5, 5)), np.eye(5)]), {digest(np.zeros((5, 5)))})


@pytest.mark.parametrize("others", [3, 5])
def test_half_of_the_maps_must_be_known(others, tmp_path):
    maps = [np.tri(8, k=k, dtype=int) for k in range(4)]
    new = [np.tri(8, k=k, dtype=int).T for k in range(1, 1 + others)]
    assert are_own(*opened(tmp_path / "maps", maps + new), set(map(digest, maps))) == (others < len(maps))


def test_a_file_that_is_gone_is_not_known(tmp_path):
    maps = [np.tri(8, k=k, dtype=int) for k in range(3)]
    found, presence = opened(tmp_path / "maps", maps)
    (tmp_path / "maps/001.png").unlink()
    assert are_own(found, presence, set(map(digest, maps)))
    assert not are_own(found, presence, {digest(maps[0])}) and not are_own(found, presence, ())
