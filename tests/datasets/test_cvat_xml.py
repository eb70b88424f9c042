"""CVAT's XML for images: polygons, boxes and masks, in the order that they lie, and what is refused."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgaug.datasets.dataset import open_pairs
from surgaug.datasets.survey import find_faults
from surgaug.errors import DataError
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.codecs.cvat_xml import mask_of
from surgaug.runtime.feedback import Silent

HW = (20, 30)


def run_lengths(mask: np.ndarray) -> str:
    """As CVAT counts: row by row, pixels outside first."""
    runs = [(bool(value), len(list(run))) for value, run in groupby(mask.ravel())]
    return ", ".join(map(str, [*([0] if runs[0][0] else []), *(n for _, n in runs)]))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_masks_are_read_as_counted(height: int, width: int, seed: int) -> None:
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    np.testing.assert_array_equal(mask_of(run_lengths(mask), height, width), mask)
    with pytest.raises(ValueError, match="run lengths of"):
        mask_of(run_lengths(mask), height, width + 1)


def image(name: str, *regions: str, subset: str = "") -> str:
    told = f' subset="{subset}"' if subset else ""
    return f'<image id="0" name="{name}"{told} width="{HW[1]}" height="{HW[0]}">{"".join(regions)}</image>'


def task(root: Path, *images: str) -> Path:
    body = "".join(images)
    write_text(
        root / "annotations.xml", f"<?xml version='1.0'?><annotations><version>1.1</version>{body}</annotations>"
    )
    for name in ("a.png", "one/b.png", "two/b.png"):
        (root / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        write_png(root / "images" / name, np.zeros((*HW, 3), np.uint8))
    return root


BOX = '<box label="plate" xtl="2" ytl="3" xbr="9" ybr="8" z_order="{z}"/>'


@pytest.mark.parametrize(("order", "above"), [(-1, "hook"), (1, "plate")])
def test_what_was_drawn(tmp_path: Path, order: int, above: str) -> None:
    blob = np.random.default_rng(0).random((6, 10)) < 0.5
    mask = f'<mask label="hook" rle="{run_lengths(blob)}" left="4" top="5" width="10" height="6" z_order="0"/>'
    found = open_pairs(task(tmp_path, image("a.png", mask, BOX.format(z=order)), image("one/b.png", subset="Test 2")))
    assert found.layout == "cvat_xml"
    assert [(item.name, item.split) for item in found.items] == [("a", None), ("b", "test")]
    assert found.items[1].image == tmp_path / "images" / "one" / "b.png"
    ids = {c.name: c.id for c in found.space.classes}
    hook, plate = np.zeros(HW, bool), np.zeros(HW, bool)
    hook[5:11, 4:14] = blob
    plate[3:9, 2:10] = True
    drawn = found.load_label(0)
    np.testing.assert_array_equal(drawn == ids["hook"], hook if above == "hook" else hook & ~plate)
    np.testing.assert_array_equal(drawn == ids["plate"], plate if above == "plate" else plate & ~hook)
    assert np.unique(found.load_label(1)).tolist() == [ids["background"]]


def test_the_z_order_counts_before_the_depth_of_classes(tmp_path: Path) -> None:
    lid = '<box label="skin" xtl="2" ytl="3" xbr="9" ybr="8" z_order="{}"/>'
    cornea = '<box label="cornea" xtl="4" ytl="3" xbr="14" ybr="12" z_order="0"/>'
    for z, above in ((1, "skin"), (0, "cornea")):
        found = open_pairs(task(tmp_path, image("a.png", lid.format(z), cornea)))
        assert found.space.by_id(int(found.load_label(0)[5, 6])).name == above


def test_two_of_one_stem_get_their_folders(tmp_path: Path) -> None:
    found = open_pairs(task(tmp_path, image("one/b.png", BOX.format(z=0)), image("two/b.png")))
    assert [item.name for item in found.items] == ["one_b", "two_b"]
    assert all(item.image and item.image.is_file() for item in found.items)


def test_one_image_for_two_entries_is_refused(tmp_path: Path) -> None:
    root = task(tmp_path, image("one/c.png"), image("two/c.png"))
    write_png(root / "images" / "c.png", np.zeros((*HW, 3), np.uint8))
    with pytest.raises(DataError, match=r"c\.png: could be the image of two entries"):
        open_pairs(root)


@pytest.mark.parametrize(
    ("region", "said"),
    [
        ('<ellipse label="x" cx="1" cy="1" rx="1" ry="1"/>', "'x' is of the kind ellipse; polygons, boxes and masks"),
        ('<polygon label="x" points="1,1;2,2"/>', "three points or more"),
        ('<polygon label="x" points="1,1;2,2;nan,3"/>', "three points or more"),
        ('<polygon label="x"/>', "'points' missing"),
        (
            '<mask label="x" rle="1, 2" left="0" top="0" width="2" height="2"/>',
            "run lengths of 3 pixels for a mask of 2x2",
        ),
        ('<box label="x" xtl="1" ytl="1" xbr="9" ybr="9" rotation="30"/>', "a turned box"),
    ],
)
def test_what_cannot_be_drawn_is_named(tmp_path: Path, region: str, said: str) -> None:
    frames = open_pairs(task(tmp_path, image("a.png", region), image("one/b.png", BOX.format(z=0))))
    faults = find_faults(frames, Silent(), need_images=True)
    assert [fault.item for fault in faults] == [0]
    assert said in faults[0].line


@pytest.mark.parametrize(
    ("body", "said"), [("<track/>", "tracks of a video"), ("<image/>", "'name' missing"), ("<image>", "not CVAT's XML")]
)
def test_files_that_are_not_it(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_pairs(task(tmp_path, body))
