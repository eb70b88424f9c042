from __future__ import annotations

import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgaug.errors import DataError
from surgaug.labels.builtin_spaces import builtin_spaces, known_kinds, load_space, remap_of, spaces_with
from surgaug.labels.class_file import distinct_color, read_class_file
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.labels.space_detection import class_file_space


def test_cadis_has_36_classes_of_which_29_are_instruments_and_no_ignore() -> None:
    cadis = load_space("cadis")
    assert cadis.ids == tuple(range(36)) and cadis.ignore is None
    assert Counter(c.kind for c in cadis.classes) == {"anatomy": 4, "other": 3, "instrument": 29}
    assert cadis.by_id(0).name == "Pupil" and cadis.by_id(35).name == "Iris Hooks"
    assert {c.id: c.handle_of for c in cadis.classes if c.handle_of is not None} == {
        18: 15, 20: 10, 21: 13, 22: 9, 23: 16, 24: 14, 28: 12, 32: 7,
    }  # fmt: skip
    assert cadis.by_id(6).depth < cadis.by_id(4).depth < cadis.by_id(0).depth < cadis.by_id(7).depth


@pytest.mark.parametrize("name", builtin_spaces())
def test_built_in_spaces_are_sound(name: str) -> None:
    space = load_space(name)
    assert space.name == name
    assert len({c.color for c in space.classes}) == space.num_classes
    assert LabelSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    assert all(c.handle_of is None or space.by_id(c.handle_of).kind == "instrument" for c in space.classes)


@pytest.mark.parametrize(("task", "classes", "ignored"), [(1, 8, 0), (2, 17, 7), (3, 25, 11)])
def test_tasks_regroup_the_36_classes(task: int, classes: int, ignored: int) -> None:
    space = load_space(f"cadis-task{task}")
    source, table = remap_of(space)
    assert source == load_space("cadis") and space.num_classes == classes
    assert set(table.tolist()) == set(space.ids) | ({255} if ignored else set())
    assert (table == 255).sum() == ignored and space.ignore == (255 if ignored else None)
    for c in source.classes:
        if table[c.id] != 255:
            assert space.by_id(int(table[c.id])).kind == c.kind


def test_task_2_joins_the_cannulas() -> None:
    _, table = remap_of(load_space("cadis-task2"))
    assert np.flatnonzero(table == 7).tolist() == [7, 8, 10, 20, 27, 32]


def test_a_space_that_only_borrows_a_name_is_no_regrouping() -> None:
    assert remap_of(LabelSpace("cadis-task1", (LabelClass(0, "a"),))) is None
    assert remap_of(load_space("cadis")) is None


def test_kinds_are_known_by_class_name() -> None:
    assert known_kinds()["bonn forceps"] == "instrument" and known_kinds()["lens"] == "anatomy"


@pytest.mark.parametrize(
    "content",
    ['{"sky": 4, "sea": 7}', '{"4": "sky", "7": "sea"}', '[{"id": 4, "name": "sky"}, {"Index": 7, "Class": "sea"}]'],
)
def test_json_forms(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.json").write_text(content)
    space = load_space(str(tmp_path / "c.json"))
    assert (space.name, space.ids, space.names, space.ignore) == ("c", (4, 7), ("sky", "sea"), None)


def test_a_number_in_quotes_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"4": "7", "7": "4"}')
    assert load_space(tmp_path / "c.json").by_id(4).name == "7"


def test_a_list_of_names_counts_from_0(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('["sky", "sea"]')
    assert load_space(tmp_path / "c.json").ids == (0, 1)


def test_what_a_space_writes_it_reads(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(load_space("cadis-task2").to_dict()))
    assert read_class_file(tmp_path / "c.json") == load_space("cadis-task2")


def test_toml(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'name = "mine"\nignore = 255\n[[classes]]\nid = 0\nname = "liver"\nkind = "anatomy"\ncolor = "#ff8000"\n'
        '[[classes]]\nid = 2\nname = "hook"\nkind = "instrument"\ndepth = 3\n'
    )
    space = load_space(tmp_path / "c.toml")
    assert (space.name, space.ignore) == ("mine", 255)
    assert space.by_id(0) == LabelClass(0, "liver", "anatomy", (255, 128, 0))
    assert space.by_id(2) == LabelClass(2, "hook", "instrument", distinct_color(2), 3)


@pytest.mark.parametrize(
    "content",
    [
        "Index,Class\n0,liver\n2,hook\n",
        "id;name;color\n0;liver;1 2 3\n2;hook;#040506\n",
        "\ufeffname,id,r,g,b\nliver,0,1,2,3\n\nhook,2,4,5,6\n",
        "id,name,color,kind\r\n0,liver,1;2;3,\r\n2,hook,(4 5 6),instrument\r\n",
    ],
)
def test_csv(tmp_path: Path, content: str) -> None:
    (tmp_path / "c.csv").write_text(content, encoding="utf-8", newline="")
    space = load_space(tmp_path / "c.csv")
    assert space.ids == (0, 2) and space.names == ("liver", "hook")
    if "1" in content:
        assert [c.color for c in space.classes] == [(1, 2, 3), (4, 5, 6)]


def test_a_class_called_ignore_is_the_ignore_id(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id,name\n0,liver\n255,ignore\n")
    space = load_space(tmp_path / "c.csv")
    assert space.ids == (0,) and space.ignore == 255


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("c.json", "{", "not JSON"),
        ("c.toml", "a =", "not TOML"),
        ("c.csv", "liver\nhook\n", "first line must name the columns.*'liver'"),
        ("c.csv", "id,name\nx,liver\n", "class 1: id is 'x'"),
        ("c.csv", "id,name\n70000,liver\n", "70000"),
        ("c.csv", "id,name\n1,liver\n1,hook\n", "id 1 occurs more than once"),
        ("c.csv", "id,name\n1,liver\n2,Liver\n", "name liver occurs more than once"),
        ("c.csv", "id,name,kind\n1,liver,organ\n", r"class 1 \(liver\): kind 'organ' is none of"),
        ("c.csv", "id,name,color\n1,liver,red\n", "color is 'red'"),
        ("c.csv", "id,name\n", "names no class"),
        ("c.json", '[{"id": 1}]', "name missing"),
        ("c.json", '[{"id": true, "name": "a"}]', "id is True"),
        ("c.json", "3", "not int"),
        ("c.json", "[3]", "3 is neither a name"),
        ("c.json", '{"classes": {"a": 1}, "ignore": 1}', "both the ignore id and the id of a"),
        ("c.json", '[{"id": 1, "name": "a", "handle_of": 9}]', "handle of 9"),
        ("c.json", json.dumps([f"c{i}" for i in range(256)]), "256 classes; at most 255"),
        ("c.txt", "a", "ends in"),
    ],
)
def test_bad_class_files_are_refused_with_file_and_value(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said) as caught:
        load_space(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_binary_class_file(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="not UTF-8"):
        load_space(tmp_path / "c.json")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"cadis2: no label space of that name \(auto, cadis, cadis-task1"):
        load_space("cadis2")
    with pytest.raises(DataError, match=r"none\.json: cannot be read"):
        load_space("none.json")


def test_the_spaces_whose_ids_bare_ids_may_be() -> None:
    assert spaces_with(range(36)) == ["cadis"] and spaces_with(range(100)) == []
    assert spaces_with([*range(12), 20, 24]) == ["cadis-task3"], "of cadis it would be less than half"


def test_generated_colours_differ() -> None:
    assert len({distinct_color(k) for k in range(60)}) == 60


CVAT = "# label:color_rgb:parts:actions\nbackground:0,0,0::\neye:48,112,32::\nhook:1,2,3:a,b:c\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labelmap.txt", CVAT),
        ("class_dict.csv", "name,r,g,b\nbackground,0,0,0\neye,48,112,32\nhook,1,2,3\n"),
        ("_classes.csv", "Pixel Value, Class\n0, background\n1, eye\n2, hook\n"),
    ],
)
def test_class_files_of_other_programs(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    space = load_space(tmp_path / name)
    assert space.ids == (0, 1, 2) and space.names == ("background", "eye", "hook")
    if "48" in content:
        assert [c.color for c in space.classes] == [(0, 0, 0), (48, 112, 32), (1, 2, 3)]
    assert class_file_space([tmp_path]).ids == (0, 1, 2)


@pytest.mark.parametrize(
    ("name", "content"),
    [("labelmap.txt", 'item {\n  id: 1\n  name: "eye"\n}\n'), ("_classes.csv", "filename,eye\na,1\n")],
)
def test_files_of_other_content_by_these_names_are_passed_over(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert class_file_space([tmp_path]) is None


SEEDS = {
    ".json": ['{"sky": 4, "sea": 7}', '[{"id": 4, "name": "sky", "color": [1, 2, 3], "handle_of": null}]', '["a"]'],
    ".toml": ['name = "x"\nignore = 255\n[[classes]]\nid = 0\nname = "a"\nkind = "other"\ncolor = "#ff8000"\n'],
    ".csv": ["id;name;color\n0;a;1 2 3\n", "name,r,g,b\na,1,2,3\n", "Pixel Value, Class\n0, a\n"],
    ".txt": [CVAT],
}
PIECES = [b"null", b"NaN", b"Infinity", b"-1", b"1e999", b"9" * 5000, b"true", b"[]", b"{}", b'""', b'"\\ud800"', b"\0"]
PIECES += [b"\xff", b"\xef\xbb\xbf", b'"', b"\n", b"\r", b":", b"1979-05-27T07:32:00Z", b"0x10", b"[" * 3000, b"\\n"]


@settings(deadline=None, max_examples=300)
@given(st.data(), st.sampled_from(sorted(SEEDS)))
def test_no_bytes_of_a_class_file_raise_anything_but_our_own(data: st.DataObject, suffix: str) -> None:
    content = data.draw(st.sampled_from(SEEDS[suffix])).encode()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        piece = data.draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=3)))
        content = content[:at] + piece + content[at + data.draw(st.integers(0, 6)) :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"c{suffix}"
        path.write_bytes(content)
        try:
            space = read_class_file(path)
        except DataError as error:
            assert str(error).startswith(str(path))
            return
        json.dumps(space.to_dict(), ensure_ascii=False).encode()
        assert space.index_table.size == space.max_id + 1 and len(space.palette) >= 1
