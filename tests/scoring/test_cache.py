"""What was found of an image is kept by its content."""

from __future__ import annotations

import numpy as np
import pytest
from heard import Heard

from surgaug.runtime.feedback import Silent
from surgaug.scoring.compute.cache import FILE_NAME, FeatureCache, key


def test_arrays_come_back(tmp_path):
    cache = FeatureCache(tmp_path / "new", Silent())
    arrays = {
        b"1": np.arange(3, dtype=np.float32),
        b"2": np.ones((2, 4), np.float32),
        b"3": np.empty((0, 4), np.float32),
    }
    cache.put(arrays.items())
    cache.close()
    again = FeatureCache(tmp_path / "new", Silent())
    for name, array in arrays.items():
        np.testing.assert_array_equal(again.get(name), array)
    assert again.get(b"4") is None
    double = np.array([np.pi])
    again.put([(b"5", double.view(np.float32))])
    assert again.get(b"5").view(np.float64)[0] == np.pi


def test_keys_tell_borders():
    assert key("ab", "c") != key("a", "bc")
    assert key("ab") == key(b"ab")


def test_without_a_folder_it_keeps_nothing():
    cache = FeatureCache(None, Silent())
    cache.put([(b"1", np.ones(2))])
    assert cache.get(b"1") is None


@pytest.mark.parametrize("content", [b"this is no database" * 100, None])
def test_a_cache_that_cannot_be_used_is_done_without(tmp_path, content):
    if content:
        (tmp_path / FILE_NAME).write_bytes(content)
    else:
        (tmp_path / FILE_NAME).mkdir()
    heard = Heard()
    cache = FeatureCache(tmp_path, heard)
    cache.put([(b"1", np.ones(2))])
    assert cache.get(b"1") is None
    assert len(heard.warnings) == 1
    assert "no cache" in heard.warnings[0]
