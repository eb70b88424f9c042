"""Label Studio's JSON export: brushes bit for bit, polygons in percents, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from written_cases import CADIS, GAPS, write

from surgaug.datasets.dataset import open_pairs
from surgaug.datasets.survey import find_faults
from surgaug.errors import DataError
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.codecs.label_studio import decode_rle
from surgaug.labels.codecs.label_studio import encode_rle as written_rle
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


@settings(max_examples=40, deadline=None)
@given(runs=st.lists(st.integers(1, 90), min_size=1, max_size=30), first=st.booleans())
def test_brushes_are_written_as_read(runs: list[int], first: bool) -> None:
    mask = np.repeat((np.arange(len(runs)) + first) % 2 == 1, runs)[None]
    np.testing.assert_array_equal(decode_rle(written_rle(mask), 4 * mask.size), np.repeat(mask[0], 4) * np.uint8(255))


def test_long_runs_are_written_in_pieces() -> None:
    mask = np.zeros((400, 500), bool)
    mask[200, 3] = True
    np.testing.assert_array_equal(decode_rle(written_rle(mask), 4 * mask.size)[3::4] > 0, mask.ravel())


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


TRIANGLE = [[0, 0], [50, 0], [50, 50]]
BOX = region("rectanglelabels", "iris", x=20, y=25, width=40, height=50) | {"id": "box"}
# The tags Polygon and Labels: the region and its label are two results of one id.
TWO_RESULTS = [
    region("polygon", "", points=TRIANGLE) | {"id": "1"},
    region("labels", "iris", points=TRIANGLE) | {"id": "1"},
]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (task("a.png", region("ellipselabels", "iris", x=1, y=1, radiusX=1, radiusY=1)), "a region of ellipselabels"),
        (task("a.png", region("polygonlabels", "iris", points=[[0, 0], [1, 1]])), "three points or more"),
        (task("a.png", region("brushlabels", "iris", rle=[1, 2, 3])), "a damaged region (a brush that breaks off)"),
        (task("a.png", region("polygonlabels", "iris")), "'points' missing"),
        (task("a.png") | {"annotations": [{"result": []}, {"result": []}]}, "2 annotations; keep one"),
        (task("a.png", *TWO_RESULTS), "a region of the kind polygon; regions of brushlabels, polygonlabels"),
        (task("a.png", region("bitmasklabels", "iris", imageDataURL="data:")), "a region of the kind bitmasklabels"),
        (
            task("a.png", BOX | {"to_name": "left"}, BOX | {"to_name": "right"}),
            "regions of several images (left, right)",
        ),
        (
            task("a.png", BOX) | {"data": {"one": "a.png", "two": "b.png"}},
            "several images (a.png, b.png), and not which",
        ),
    ],
)
def test_what_cannot_be_drawn_is_named(tmp_path: Path, wrong: dict, said: str) -> None:
    right = task("b.png", region("rectanglelabels", "iris", x=20, y=25, width=40, height=50))
    faults = find_faults(open_pairs(export(tmp_path, wrong, right)), Silent(), need_images=True)
    assert [fault.item for fault in faults] == [0]
    assert said in faults[0].line


def test_answers_about_a_region_are_no_regions_and_its_image_is_the_one_it_names(tmp_path: Path) -> None:
    answer = {"id": "box", "type": "choices", "to_name": "eye", "value": {"x": 20, "y": 25, "choices": ["sharp"]}}
    labelled = task("b.png", BOX | {"to_name": "eye"}, answer, {"id": "q", "type": "rating", "value": {"rating": 3}})
    found = open_pairs(export(tmp_path, labelled | {"data": {"before": "a.png", "eye": "b.png"}}))
    assert not find_faults(found, Silent(), need_images=True)
    assert [item.name for item in found.items] == ["b"]
    assert len(np.unique(found.load_label(0))) == 2


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
    root = export(tmp_path, *tasks)
    with pytest.raises(DataError, match=r"a\.png: could be the image of two entries, 0a1b2c3d-a and 1a1b2c3d-a; call"):
        open_pairs(root)
    for k in range(2):
        (root / "images" / f"{k}a1b2c3d-a.png").write_bytes((root / "images" / "a.png").read_bytes())
    assert [item.name for item in open_pairs(root).items] == ["0a1b2c3d-a", "1a1b2c3d-a"]


# Written for correction


def test_a_background_is_what_no_brush_covers_and_ignored_pixels_have_a_brush(tmp_path: Path) -> None:
    made = write(tmp_path, "label_studio", GAPS)
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    assert len(tasks) == len(made.frames)
    regions = {r["value"]["brushlabels"][0]: r for r in tasks[0]["annotations"][0]["result"]}
    assert regions.keys() == {"Organ, left", 'tool "A"', "__ignore__"}
    frame, label_map = made.frames[0], made.maps[0]
    assert tasks[0]["data"] == {
        "image": f"/data/local-files/?d={tmp_path.name}/images/{frame.name}.png",
        "split": "train", "video": "Video01", "synthetic": False,
    }  # fmt: skip
    for name, class_id in (("Organ, left", 10), ('tool "A"', 300), ("__ignore__", 65535)):
        rle = bytes(regions[name]["value"]["rle"])
        drawn = decode_rle(rle, 4 * label_map.size).reshape(*label_map.shape, 4)[..., 3] > 0
        np.testing.assert_array_equal(drawn, label_map == class_id)
    config = ElementTree.parse(tmp_path / "label_config.xml").getroot()
    assert [label.get("value") for label in config.iter("Label")] == ["Organ, left", 'tool "A"', "__ignore__"]
    assert {r["from_name"] for r in regions.values()} == {config.find("BrushLabels").get("name")}
    assert {r["to_name"] for r in regions.values()} == {config.find("Image").get("name")}


def test_what_was_corrected_there_is_read_back(tmp_path: Path) -> None:
    """As its server exports a task: under another address, with the regions that were changed and a new one."""
    made = write(tmp_path / "set", "label_studio")
    tasks = json.loads((tmp_path / "set" / "tasks.json").read_text())
    wanted = made.maps[1].copy()
    wanted[5:9, 5:9] = 0
    mask = np.zeros(wanted.shape, np.uint8)
    mask[5:9, 5:9] = 1
    results = tasks[1]["annotations"][0]["result"]
    for result in results:
        rle, wide = bytes(result["value"]["rle"]), 4 * mask.size
        own = decode_rle(rle, wide)[3::4].reshape(mask.shape) & (1 - mask) * 255
        result["value"]["rle"] = encode_rle(np.repeat(own.ravel(), 4), True)
    pupil = CADIS.by_id(0).name
    results.append(brush(pupil, mask) | {"original_width": mask.shape[1], "original_height": mask.shape[0]})
    other = tmp_path / "corrected"
    (other / "images").mkdir(parents=True)
    for path in (tmp_path / "set" / "images").iterdir():
        (other / "images" / path.name).write_bytes(path.read_bytes())
    for task_ in tasks:
        name = task_["data"]["image"].rpartition("/")[2]
        task_["data"]["image"] = f"/data/upload/7/0a1b2c3d-{name}"
    write_text(other / "project-7.json", json.dumps(tasks))
    found = open_pairs(other, classes=CADIS)
    assert find_faults(found, Silent(), need_images=True) == []
    by_name = {item.name: i for i, item in enumerate(found.items)}
    np.testing.assert_array_equal(found.load_label(by_name[made.frames[1].name]), wanted)
    np.testing.assert_array_equal(found.load_label(by_name[made.frames[0].name]), made.maps[0])
    assert [item.split for item in found.items if item.name == made.frames[3].name] == ["val"]
    assert [item.name for item in open_pairs(other, classes=CADIS, split="test").items] == [made.frames[4].name]


def test_label_studios_own_code_reads_the_brushes(tmp_path: Path) -> None:
    brushes = pytest.importorskip("label_studio_sdk.converter.brush", reason="label-studio-sdk is not installed")
    converter = pytest.importorskip("label_studio_sdk.converter").Converter
    made = write(tmp_path, "label_studio")
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    names = {name: c.id for c in CADIS.classes for name in [c.name]}
    for task_, label_map in zip(tasks, made.maps, strict=True):
        drawn = np.full(label_map.shape, 255, np.uint8)
        for result in task_["annotations"][0]["result"]:
            flat = brushes.decode_rle(result["value"]["rle"])
            picture = np.reshape(flat, (*label_map.shape, 4))
            drawn[picture[..., 3] > 0] = names[result["value"]["brushlabels"][0]]
        np.testing.assert_array_equal(drawn, label_map)
    export_of = [{"id": i, **task_} for i, task_ in enumerate(tasks)]  # as its server numbers them
    for i, task_ in enumerate(export_of):
        task_["annotations"][0] |= {"id": i, "was_cancelled": False}
    write_text(tmp_path / "export.json", json.dumps(export_of))
    its = converter((tmp_path / "label_config.xml").read_text(), str(tmp_path), download_resources=False)
    (tmp_path / "masks").mkdir()
    its.convert(str(tmp_path / "export.json"), str(tmp_path / "masks"), "BRUSH_TO_PNG", is_dir=False)
    written = {path.stem: path for path in (tmp_path / "masks").iterdir()}
    shown = [(i, name) for i, label_map in enumerate(made.maps) for name, k in names.items() if (label_map == k).any()]
    assert len(written) == len(shown)
    for i, name in shown:
        path = next(p for stem, p in written.items() if stem.startswith(f"task-{i}-") and f"-{name}-" in f"{stem}-")
        np.testing.assert_array_equal(np.asarray(Image.open(path)) > 0, made.maps[i] == names[name])
