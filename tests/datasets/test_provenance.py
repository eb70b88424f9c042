from __future__ import annotations

import json
from pathlib import Path

import pytest

from surgaug.datasets.item import Item
from surgaug.datasets.provenance import Origin, origin_of, read_origins, shown_by, source_row
from surgaug.errors import DataError


def write(folder: Path, *rows: dict | str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return folder


def made(name: str, source: object, *changes: str, **more: object) -> dict:
    """A row of surgaug 0.1, of an image and its label map."""
    row = {"image": f"images/{name}.png", "label": f"labels/{name}.png", "mask": Path(str(source)).stem}
    return {**row, "source": str(source), "perturbations": [{"op": op} for op in changes], **more}


def test_a_chain_of_0_1_leads_to_the_real_map(tmp_path: Path) -> None:
    """Real map, augmented, synthesized, augmented again, synthesized again; changed in the first step alone."""
    real = tmp_path / "frames" / "labels" / "real.png"
    folder, source, changes = tmp_path, real, ("flip",)
    for k, key in enumerate(("mask_file", "source", "mask_file", "source")):
        folder = tmp_path / f"step{k}"
        row = made(f"x{k}", source, *changes)
        write(folder, {key: row.pop("source"), **row} | ({"video": "v1", "split": "val"} if k == 0 else {}))
        source, changes = folder / "labels" / f"x{k}.png", ()
    assert read_origins(folder) == {"x3.png": Origin("real", str(real), "v1", "val", True)}
    assert read_origins(folder, "label") == read_origins(folder)
    assert origin_of(source) == read_origins(folder)["x3.png"] and origin_of(real) is None


def test_what_the_manifest_nearest_to_the_real_map_knows_counts(tmp_path: Path) -> None:
    masks = write(tmp_path / "masks", made("m", "real.png", video="case7"))
    out = write(tmp_path / "out", made("s", masks / "labels" / "m.png", video="m", split="train"))
    assert read_origins(out)["s.png"] == Origin("real", "real.png", "case7", "train", False)


def test_relative_paths_are_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "masks", made("m", "frames/real.png", "shift"))
    out = write(tmp_path / "out", made("s", "masks/labels/m.png"))
    expected = Origin("real", "frames/real.png", changed=True)
    assert read_origins(out)["s.png"] == expected
    monkeypatch.chdir(tmp_path)
    assert read_origins(Path("out"))["s.png"] == expected


def test_rows_of_today_need_no_folder_but_their_own(tmp_path: Path) -> None:
    masks = write(tmp_path / "masks", made("m", "frames/real.png", "shift", video="v1"))
    row = source_row(Item("m", None, masks / "labels" / "m.png", None, "train"))
    assert row["source"] == str(masks / "labels" / "m.png") and row["mask"] == "m" and row["split"] == "train"
    (masks / "manifest.jsonl").unlink()
    out = write(tmp_path / "out", {"version": 2, "image": "images/s.png", "perturbations": [], **row})
    assert read_origins(out)["s.png"] == Origin("real", "frames/real.png", "v1", None, True)
    assert "origin" not in source_row(Item("real", None, Path("frames/real.png")))


def test_lenders_of_instruments_are_followed(tmp_path: Path) -> None:
    """Of a map with an instrument of one that has an instrument itself; and of 0.1, which noted the name alone."""
    lent = {"op": "insert", "from": "m", "donors": [{"mask": "m", "file": "real/m.png", "video": "v2", "split": "val"}]}
    first = write(tmp_path / "first", {**made("a", "real/a.png"), "version": 2, "perturbations": [lent]})
    twice = made("b", first / "labels" / "a.png", "shift") | {"version": 1}
    second = write(tmp_path / "second", {**twice, "perturbations": [{"op": "insert", "from": "old"}]})
    row = source_row(Item("b", None, second / "labels" / "b.png"))
    out = write(tmp_path / "out", {"version": 2, "image": "images/s.png", **row})
    origin = read_origins(out)["s.png"]
    lenders = (Origin("m", "real/m.png", "v2", "val"), Origin("old", ""))
    assert origin == Origin("a", "real/a.png", changed=True, donors=lenders)
    assert shown_by(Item("b", None, second / "labels" / "b.png")) == origin.all()
    assert shown_by(Item("a", None, tmp_path / "real.png", "v9", "test"))[0].video == "v9"
    swapped = {"op": "swap", "from": [3], "to": [4]}
    assert (
        read_origins(write(tmp_path / "c", made("c", "real/c.png") | {"perturbations": [swapped]}))["c.png"].donors
        == ()
    )


def test_copies_by_export_are_followed_and_real_frames_have_no_origin(tmp_path: Path) -> None:
    synth = write(tmp_path / "synth", made("s", "frames/real.png", "flip"))
    copied = {"image": "a.png", "synthetic": True, "source": "frames/real.png"}
    rows = [{**copied, "image_source": str(synth / "images" / "s.png")}, {"image": "b.png", "synthetic": False}]
    out = write(tmp_path / "set", *rows)
    assert read_origins(out) == {"a.png": Origin("real", "frames/real.png", changed=True)}
    (synth / "manifest.jsonl").unlink()
    assert read_origins(out)["a.png"].path == "frames/real.png"


def test_circles_end(tmp_path: Path) -> None:
    out = write(tmp_path / "out", made("a", tmp_path / "out" / "labels" / "b.png"), made("b", "out/labels/a.png"))
    assert read_origins(out)["a.png"].mask in ("a", "b")


def test_lines_that_are_no_row_are_passed_over_unless_none_is(tmp_path: Path) -> None:
    assert read_origins(tmp_path) == {}
    out = write(tmp_path / "out", "{half", made("s", "real.png"), '{"image": 3}')
    assert list(read_origins(out)) == ["s.png"]
    with pytest.raises(DataError, match=r"manifest.jsonl:1: not a manifest row"):
        read_origins(write(tmp_path / "none", "{half"))


def test_parts_of_shards_count(tmp_path: Path) -> None:
    write(tmp_path, made("a", "x/real.png")).joinpath("manifest.jsonl").rename(tmp_path / "manifest-1-of-2.jsonl")
    assert read_origins(tmp_path)["a.png"].path == "x/real.png"


def test_one_real_map_has_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    same = {Origin("m", "a/m.png").key, Origin("m", "./a/m.png").key, Origin("m", str(tmp_path / "a" / "m.png")).key}
    assert len(same) == 1 and same != {Origin("m", "b/m.png").key} and Origin("m", "").key == "m"
    assert Origin("x", "C:\\frames\\a.png").stem == "a" and Origin("x", "coco.json/case 3").stem == "case 3"
