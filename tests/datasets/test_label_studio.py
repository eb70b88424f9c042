"""Label Studio's JSON export: brushes bit for bit, polygons in percents, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgaug.datasets.dataset import open_pairs
from surgaug.datasets.survey import find_faults
from surgaug.errors import DataError
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.codecs.label_studio import decode_rle
from surgaug.runtime.feedback import Silent

HW = (20, 30)


def encode_rle(values: np.ndarray, runs: bool) -> list[int]:
    """A brush as the format says: in runs, or word by word."""
    sizes = (3, 4, 8, 16)
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    edges = np.flatnonzero(np.diff(values)) + 1 if runs else np.arange(5, len(values), 5)
    for piece in np.split(values, edges):
        for start in range(0, len(piece), 1 << 16):
            part = piece[start : start + (1 << 16)]
            which = next(k for k, size in enumerate(sizes) if len(part) - 1 < 1 << size)
            words = part[:1] if runs else part
            bits += f"{int(runs)}{which:02b}{len(part) - 1:0{sizes[which]}b}" + "".join(f"{v:08b}" for v in words)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


@settings(max_examples=40, deadline=None)
@given(values=st.lists(st.integers(0, 255), min_size=1, max_size=400), repeat=st.integers(1, 40), runs=st.booleans())
def test_brushes_are_read_as_written(values: list[int], repeat: int, runs: bool) -> None:
    drawn = np.repeat(np.array(values, np.uint8), repeat)
    packed = bytes(encode_rle(drawn, runs))
    np.testing.assert_array_equal(decode_rle(packed, len(drawn)), drawn)
    with pytest.raises(ValueError, match="a brush"):
        decode_rle(packed[: len(packed) // 2], len(drawn))
    with pytest.raises(ValueError, match="in place of"):
        decode_rle(packed, len(drawn) + 1)


def region(kind: str, label: str, **value: Any) -> dict:
    return {
        "type": kind, "original_width": HW[1], "original_height": HW[0], "value": {**value, kind: [label]},
    }  # fmt: skip


def brush(label: str, mask: np.ndarray) -> dict:
    return region("brushlabels", label, format="rle", rle=encode_rle(np.repeat(mask.ravel() * np.uint8(255), 4), True))


def task(name: str, *results: dict, address: str = "/data/upload/3/0a1b2c3d-{}", **more: Any) -> dict:
    return {"id": 1, "data": {"image": address.format(name)}, "annotations": [{"result": list(results), **more}]}


def export(root: Path, *tasks: dict) -> Path:
    write_text(root / "project-3.json", json.dumps(tasks))
    (root / "images").mkdir(exist_ok=True)
    for name in ("a.png", "b.png", "c.png"):
        write_png(root / "images" / name, np.zeros((*HW, 3), np.uint8))
    return root


def test_what_was_drawn(tmp_path: Path) -> None:
    square = [[20, 25], [60, 25], [60, 75], [20, 75]]  # percents: x 6 to 18, y 5 to 15
    blob = np.zeros(HW, np.uint8)
    blob[8:12, 10:25] = 1
    tasks = [
        task("a.png", region("polygonlabels", "Iris", points=square), brush("forceps", blob), {"type": "choices"}),
        task("b.png", region("rectanglelabels", "Iris", x=20, y=25, width=40, height=50, rotation=0)),
        task("c.png", address="/data/local-files/?d=my%20frames/{}"),
    ]
    found = open_pairs(export(tmp_path, *tasks))
    assert found.layout == "label_studio"
    assert [item.name for item in found.items] == ["a", "b", "c"]
    assert all(item.image and item.image.is_file() for item in found.items)
    names = found.space.names
    iris, forceps = (next(c.id for c in found.space.classes if c.name.lower() == n) for n in ("iris", "forceps"))
    drawn = found.load_label(0)
    np.testing.assert_array_equal(drawn == forceps, blob > 0)
    inner = np.zeros(HW, bool)
    inner[6:15, 7:18] = True
    assert (np.isin(drawn, (iris, forceps))[inner]).all()
    assert not np.isin(drawn, (iris, forceps))[:5].any()
    box = found.load_label(1) == iris
    np.testing.assert_array_equal(box & (drawn != forceps), drawn == iris)
    assert "background" in names
    assert np.unique(found.load_label(2)).tolist() == [found.space.ids[names.index("background")]]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (task("a.png", region("ellipselabels", "iris", x=1, y=1, radiusX=1, radiusY=1)), "a region of ellipselabels"),
        (task("a.png", region("polygonlabels", "iris", points=[[0, 0], [1, 1]])), "three points or more"),
        (task("a.png", region("brushlabels", "iris", rle=[1, 2, 3])), "a damaged region (a brush that breaks off)"),
        (task("a.png", region("polygonlabels", "iris")), "'points' missing"),
        (task("a.png") | {"annotations": [{"result": []}, {"result": []}]}, "2 annotations; keep one"),
    ],
)
def test_what_cannot_be_drawn_is_named(tmp_path: Path, wrong: dict, said: str) -> None:
    right = task("b.png", region("rectanglelabels", "iris", x=20, y=25, width=40, height=50))
    faults = find_faults(open_pairs(export(tmp_path, wrong, right)), Silent(), need_images=True)
    assert [fault.item for fault in faults] == [0]
    assert said in faults[0].line


def test_tasks_without_annotation_are_passed_over(tmp_path: Path) -> None:
    right = task("b.png", region("rectanglelabels", "iris", x=20, y=25, width=40, height=50))
    cancelled = task("c.png", was_cancelled=True)
    found = open_pairs(export(tmp_path, task("a.png") | {"annotations": []}, right, cancelled))
    assert [item.name for item in found.items] == ["b"]
    assert [path.name for path in found.unread] == ["a.png", "c.png"]


def test_two_images_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="two tasks have images called"):
        open_pairs(export(tmp_path, task("a.png"), task("a.png")))


def test_uploads_of_one_name_keep_what_tells_them_apart(tmp_path: Path) -> None:
    tasks = [task("a.png", address=f"/data/upload/3/{k}a1b2c3d-{{}}") for k in range(2)]
    assert [item.name for item in open_pairs(export(tmp_path, *tasks)).items] == ["0a1b2c3d-a", "1a1b2c3d-a"]
