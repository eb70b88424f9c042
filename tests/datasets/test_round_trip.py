"""Random label maps in every layout that is written: read back as the same ids, or refused when written."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgaug.datasets import layouts
from surgaug.datasets.dataset import open_pairs
from surgaug.datasets.item import WrittenItem
from surgaug.datasets.survey import survey
from surgaug.datasets.writer import DatasetWriter
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.runtime.feedback import Silent

HW = (7, 9)
NAMES = ("background", "Eye", "knife, left", 'tool "A"', "lid")


@st.composite
def spaces(draw: st.DrawFn) -> LabelSpace:
    """Two to five classes with any ids, with or without background, ignore id, instruments."""
    ids = draw(st.lists(st.integers(0, 400), min_size=3, max_size=6, unique=True))
    names = draw(st.permutations(NAMES))[: len(ids) - 1]
    kinds = draw(st.lists(st.sampled_from(("anatomy", "instrument")), min_size=5, max_size=5))
    classes = [
        LabelClass(i, name, kind, (k, 7 * k + 1, 9))
        for k, (i, name, kind) in enumerate(zip(ids, names, kinds, strict=False))
    ]
    return LabelSpace("drawn", tuple(classes), ids[-1] if draw(st.booleans()) else None)


@pytest.mark.parametrize("layout", layouts.written())
@settings(max_examples=6, deadline=None)
@given(space=spaces(), seed=st.integers(0, 2**32 - 1), splits=st.booleans())
def test_what_is_written_is_read(layout: str, space: LabelSpace, seed: int, splits: bool) -> None:
    rng = np.random.default_rng(seed)
    values = [*space.ids, *([] if space.ignore is None else [space.ignore])]
    maps = [rng.choice(values, HW) for _ in range(3)]
    maps[1] = np.full(HW, space.ids[0])
    items = [
        WrittenItem(f"Video{k + 1}_frame{k:06d}", k, split if splits else None, f"Video{k + 1:02d}")
        for k, split in enumerate(("train", "val", "test"))
    ]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "Dataset501_X"
        writer = DatasetWriter(root, layout, space)
        writer.check()
        writer.prepare(items)
        for item, label_map in zip(items, maps, strict=True):
            image, label = writer.paths(item)
            write_png(root / image, np.zeros((*HW, 3), np.uint8))
            writer.write_label(label, writer.encode(label_map))
        writer.finish(items)
        write_text(writer.description_file, json.dumps(writer.description()))
        found = open_pairs(root)
        survey(found, Silent(), need_images=True)
        assert found.space == space and len(found) == 3
        by_image = {item.image: i for i, item in enumerate(found.items)}
        for item, label_map in zip(items, maps, strict=True):
            i = by_image[root / writer.paths(item)[0]]
            np.testing.assert_array_equal(found.load_label(i), label_map)
            np.testing.assert_array_equal(writer.decode(root / writer.paths(item)[1]), label_map)
