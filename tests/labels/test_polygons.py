from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from surgaug.errors import DataError
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.codecs.polygons import PolygonCodec, match_title, space_of_titles, titles_in
from surgaug.labels.label_space import LabelClass, LabelSpace

C1K = load_space("cataract1k")


def _square(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def _write(path: Path, *objects: tuple, height: int = 20, width: int = 30) -> Path:
    listed = [
        {"classTitle": title, "geometryType": kind, "points": {"exterior": points, "interior": holes}}
        for title, kind, points, holes in objects
    ]
    path.write_text(json.dumps({"size": {"height": height, "width": width}, "objects": listed}))
    return path


def test_drawn_cornea_pupil_lens_then_instruments_whatever_the_files_order(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.png.json",
        ("Gauge", "polygon", _square(0, 0, 5, 5), []),
        ("Lens", "polygon", _square(2, 2, 8, 8), []),
        ("pupil1", "polygon", _square(0, 0, 12, 12), []),
        ("Cornea", "polygon", _square(0, 0, 15, 15), []),
    )
    ids = PolygonCodec(C1K).decode(path)
    assert ids.shape == (20, 30) and ids.dtype == np.uint8
    assert [ids[3, 3], ids[7, 7], ids[10, 10], ids[14, 14], ids[18, 25]] == [5, 3, 2, 1, 0]


def test_of_two_instruments_the_later_lies_above(tmp_path: Path) -> None:
    objects = [("Gauge", "polygon", _square(0, 0, 9, 9), []), ("Slit Knife", "polygon", _square(5, 5, 9, 9), [])]
    assert PolygonCodec(C1K).decode(_write(tmp_path / "a.json", *objects))[7, 7] == 4
    assert PolygonCodec(C1K).decode(_write(tmp_path / "b.json", *objects[::-1]))[7, 7] == 5


def test_holes_and_rectangles(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.json",
        ("Cornea", "polygon", _square(0, 0, 19, 19), [_square(5, 5, 10, 10)]),
        ("Gauge", "rectangle", [[22, 2], [28, 6]], []),
    )
    ids = PolygonCodec(C1K).decode(path)
    assert ids[7, 7] == 0 and ids[2, 2] == 1 and ids[15, 15] == 1
    assert (ids == 5).sum() == 7 * 5


def test_background_is_a_hole_in_what_was_drawn_before_it(tmp_path: Path) -> None:
    ring = ("Gauge", "polygon", _square(0, 0, 15, 15), [])
    hole, under = ("background", "polygon", _square(5, 5, 9, 9), []), ("Cornea", "polygon", _square(7, 0, 19, 19), [])
    drawn = PolygonCodec(C1K).decode(_write(tmp_path / "a.json", ring, hole, under))
    assert [drawn[6, 6], drawn[8, 8], drawn[6, 12], drawn[6, 3], drawn[19, 19]] == [0, 1, 5, 5, 1]
    drawn = PolygonCodec(C1K).decode(_write(tmp_path / "b.json", under, hole, ring))
    assert [drawn[6, 6], drawn[8, 8]] == [5, 5], "what is drawn after it lies above"
    whole = ("_background_", "polygon", _square(0, 0, 29, 19), [])
    with pytest.raises(DataError, match=r"c\.json: 'Gauge' lies whole under background drawn after it"):
        PolygonCodec(C1K).decode(_write(tmp_path / "c.json", ring, whole))
    assert (PolygonCodec(C1K).decode(_write(tmp_path / "d.json", whole, ring)) == 5).any()


def test_polygons_may_reach_over_the_edge(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.json", ("Cornea", "polygon", _square(-50, -50, 500, 500), []))
    assert (PolygonCodec(C1K).decode(path) == 1).all()


def test_what_no_polygon_covers_is_background_or_ignored(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.json", ("Tool", "polygon", _square(0, 0, 4, 4), []))
    classes = (LabelClass(3, "tool"),)
    assert PolygonCodec(LabelSpace("s", classes, ignore=255)).decode(path)[10, 10] == 255
    assert PolygonCodec(LabelSpace("s", (*classes, LabelClass(8, "Background")))).decode(path)[10, 10] == 8
    with pytest.raises(DataError, match=r"neither a class 'background' nor an ignore id"):
        PolygonCodec(LabelSpace("s", classes)).decode(path)


def test_titles_match_but_for_case_and_a_number_at_the_end() -> None:
    names = ("Cornea", "Slit Knife", "tool", "tool2")
    assert match_title("cornea1", names) == "Cornea" and match_title(" Slit knife_12", names) == "Slit Knife"
    assert match_title("tool2", names) == "tool2" and match_title("Tool3", names) == "tool"
    assert match_title("corneas", names) is None


def test_a_title_that_is_no_class_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.json", ("Scalpel", "polygon", _square(0, 0, 4, 4), []))
    with pytest.raises(DataError, match=r"a\.json: title 'Scalpel' is no class of the label space 'cataract1k'"):
        PolygonCodec(C1K).decode(path)
    assert "Scalpel" in PolygonCodec(C1K).scan(path).problem


def test_spaces_from_titles(tmp_path: Path) -> None:
    _write(tmp_path / "a.json", ("Pupil", "polygon", _square(0, 0, 4, 4), []))
    _write(tmp_path / "b.json", ("cornea1", "polygon", _square(0, 0, 4, 4), []))
    (tmp_path / "c.json").write_text("no")
    titles = titles_in(sorted(tmp_path.iterdir()))
    assert titles == ["Pupil", "cornea1"]
    assert space_of_titles(titles) == C1K
    found = space_of_titles(["Whisk", "pupil", "whisk2", "Iris"])
    assert found.names == ("background", "Iris", "pupil", "Whisk") and found.ids == (0, 1, 2, 3)
    assert [c.kind for c in found.classes] == ["other", "anatomy", "anatomy", "other"]
    assert found.by_id(1).depth < found.by_id(2).depth < found.by_id(3).depth


def test_titles_that_numbers_alone_tell_apart_are_classes_of_their_own() -> None:
    found = space_of_titles(["instrument1", "instrument2"], listed=True)
    assert found.names == ("background", "instrument1", "instrument2")
    assert space_of_titles(["instrument", "instrument2"]).names == space_of_titles(["instrument1"]).names
    assert space_of_titles(["Pupil", "cornea", "cornea1"], listed=True) == C1K


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not a Supervisely annotation"),
        ("[]", "not a Supervisely annotation"),
        ('{"objects": []}', "'size' missing"),
        ('{"size": {"height": 0, "width": 5}, "objects": []}', "size 0x5"),
        ('{"size": {"height": 99999, "width": 99999}, "objects": []}', "size 99999x99999"),
        (
            '{"size": {"height": 5, "width": 5}, "objects": [{"classTitle": "Lens", "geometryType": "bitmap"}]}',
            "'Lens' is a bitmap",
        ),
        (
            '{"size": {"height": 5, "width": 5}, "objects": [{"classTitle": "Lens", "geometryType": "polygon", '
            '"points": {"exterior": [[1, 1]], "interior": []}}]}',
            "'Lens' has 1 points",
        ),
    ],
)
def test_damaged_annotations_are_refused_with_the_file(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=rf"a\.json: .*{said}"):
        PolygonCodec(C1K).decode(tmp_path / "a.json")


def test_titles_that_are_listed_as_classes_are_not_merged():
    assert space_of_titles(["grasper", "grasper 2"]).names == ("background", "grasper")
    assert space_of_titles(["grasper", "grasper 2"], listed=True).names == ("background", "grasper", "grasper 2")
    assert match_title("Grasper 2", ("background", "grasper", "grasper 2")) == "grasper 2"
