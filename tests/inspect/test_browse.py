"""The page of many pairs: its rows, the files beside it, and what its filters and orders choose."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
from PIL import Image

from surgaug.errors import DataError
from surgaug.inspect.browse import BrowseConfig, browse
from surgaug.io.atomic import write_png
from surgaug.labels.builtin_spaces import load_space
from surgaug.phantom import render

CADIS = load_space("cadis")
NODE = shutil.which("node")


def pair(folder: Path, name: str, hw: tuple[int, int] = (24, 40)) -> np.ndarray:
    """A phantom frame with its label map; returns the latter."""
    image, label_map = render(sum(map(ord, name)), hw)
    for kind, array in (("images", image), ("labels", label_map)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        write_png(folder / kind / f"{name}.png", array)
    return label_map


@pytest.fixture
def synth(tmp_path: Path) -> Path:
    """Two synthetic pairs, of two masks of the data set `real set` beside them."""
    for name in ("Video7_frame1", "Video8_frame2"):
        pair(tmp_path / "real set", name)
    rows = []
    for i, mask in enumerate(("Video7_frame1", "Video8_frame2")):
        pair(tmp_path / "synth", f"{i:06d}", (200, 400))
        source = str(tmp_path / "real set" / "labels" / f"{mask}.png")
        row = {"index": i, "image": f"images/{i:06d}.png", "label": f"labels/{i:06d}.png", "mask": mask}
        row |= {"source": source, "video": mask[:6], "agreement": [0.9, 0.5][i], "style": "auto", "seed": 3}
        row |= {"perturbations": [{"op": "flip"}] * i, "checks": {"finite": i == 0}, "version": 2}
        rows.append(json.dumps(row))
    (tmp_path / "synth" / "manifest.jsonl").write_text("\n".join(rows))
    return tmp_path / "synth"


def data_of(page: Path) -> dict:
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    return json.loads(block[1])


def test_real_frames_are_found_from_any_working_folder(
    synth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = synth / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace(f"{tmp_path}/", ""))
    monkeypatch.chdir(synth)
    assert browse(BrowseConfig(synth, tmp_path / "page", classes="cadis")).with_real == 2


def test_rows_and_files(synth: Path, tmp_path: Path) -> None:
    done = browse(BrowseConfig(synth, tmp_path / "page", classes="cadis"))
    assert (done.pairs, done.with_real, done.left_out) == (2, 2, 0)
    data = data_of(done.page)
    assert [c["name"] for c in data["classes"]] == list(CADIS.names)
    assert data["aspect"] == 0.5
    first, second = data["rows"]
    assert (first["name"], first["mask"], first["video"]) == ("000000", "Video7_frame1", "Video7")
    assert (first["agreement"], second["agreement"], first["style"], first["seed"]) == (0.9, 0.5, "auto", 3)
    assert (first["operations"], second["operations"]) == ([], ["flip"])
    assert (first["failed"], second["failed"]) == ([], ["finite"])
    assert unquote(second["real"]) == "../real set/images/Video8_frame2.png"
    for row in data["rows"]:
        for kind in ("image", "thumb", "label", "real"):
            assert (done.page.parent / unquote(row[kind])).is_file(), kind
        assert Image.open(done.page.parent / row["thumb"]).size == (320, 160)
        label_map = np.asarray(Image.open(synth / "labels" / f"{row['name']}.png"))
        shown = np.asarray(Image.open(done.page.parent / row["label"]).convert("RGB"))
        np.testing.assert_array_equal(shown, CADIS.colorize(label_map))
        shares = dict(zip(row["classes"][::2], row["classes"][1::2], strict=True))
        ids, counts = np.unique(label_map, return_counts=True)
        expected = {
            int(CADIS.index_table[i]): round(1000 * n / label_map.size) for i, n in zip(ids, counts, strict=True)
        }
        assert shares == expected


def test_again_only_what_changed_is_drawn(synth: Path, tmp_path: Path) -> None:
    page = browse(BrowseConfig(synth, tmp_path / "page", classes="cadis")).page
    before = {path: path.stat().st_mtime_ns for path in page.parent.glob("*/*.*")}
    pair(synth, "000001", (200, 400))
    browse(BrowseConfig(synth, tmp_path / "page", classes="cadis"))
    changed = {path.stem for path, stamp in before.items() if path.stat().st_mtime_ns != stamp}
    assert changed == {"000001"}


def test_pictures_of_another_set_of_these_names_are_drawn_anew_though_it_is_older(synth: Path, tmp_path: Path) -> None:
    other = shutil.copytree(synth, tmp_path / "other")
    for folder in (other / "images", other / "labels"):  # the pairs of `other` are those of `synth` exchanged
        for name, image in zip(("000001", "000000"), [f.read_bytes() for f in sorted(folder.iterdir())], strict=True):
            (folder / f"{name}.png").write_bytes(image)
            os.utime(folder / f"{name}.png", (1, int(name) + 2))
    first = browse(BrowseConfig(synth, tmp_path / "page", classes="cadis")).page.parent
    kept = {k: (first / k).read_bytes() for k in ("thumbnails/000000.jpg", "labels/000000.png")}
    page = browse(BrowseConfig(other, tmp_path / "page", classes="cadis")).page.parent
    for kind, suffix in (("thumbnails", "jpg"), ("labels", "png")):
        assert (page / kind / f"000001.{suffix}").read_bytes() == kept[f"{kind}/000000.{suffix}"]


def test_label_maps_are_drawn_anew_in_other_colours(synth: Path, tmp_path: Path) -> None:
    page = browse(BrowseConfig(synth, tmp_path / "page", classes="cadis")).page.parent
    classes = tmp_path / "classes.csv"
    rows = [f"{c.id},{c.name},{c.kind},#{c.id:02x}0000" for c in CADIS.classes]
    classes.write_text("\n".join(["id,name,kind,color", *rows]))
    browse(BrowseConfig(synth, tmp_path / "page", classes=str(classes)))
    shown = np.asarray(Image.open(page / "labels" / "000000.png").convert("RGB"))
    np.testing.assert_array_equal(shown[..., 0], np.asarray(Image.open(synth / "labels" / "000000.png")))


def test_small_images_are_shown_themselves_and_label_maps_alone_too(synth: Path, tmp_path: Path) -> None:
    real = tmp_path / "real set"
    row = data_of(browse(BrowseConfig(real, tmp_path / "page", classes="cadis")).page)["rows"][0]
    assert row["image"] == row["thumb"] == "../real%20set/images/Video7_frame1.png"
    row = data_of(browse(BrowseConfig(real / "labels", tmp_path / "maps", classes="cadis")).page)["rows"][0]
    assert (row["image"], row["thumb"]) == ("", "")
    assert (tmp_path / "maps" / row["label"]).is_file()


def test_what_cannot_be_read_is_left_out(synth: Path, tmp_path: Path) -> None:
    (synth / "images" / "000000.png").write_bytes(b"no picture")
    done = browse(BrowseConfig(synth, tmp_path / "page", classes="cadis"))
    assert (done.pairs, done.left_out) == (1, 1)
    (synth / "images" / "000001.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="no frame of it can be shown; surgaug inspect"):
        browse(BrowseConfig(synth, tmp_path / "page", classes="cadis"))


def test_names_cannot_leave_their_block(tmp_path: Path) -> None:
    """A name that is markup stays text; quotes of the file's name are quoted."""
    name = "a<script>b'&quot;"
    pair(tmp_path / "data", name)
    page = browse(BrowseConfig(tmp_path / "data", tmp_path / "page", classes="cadis")).page
    assert "<script>b" not in page.read_text()
    row = data_of(page)["rows"][0]
    assert (page.parent / unquote(row["label"])).is_file()


def test_nothing_is_fetched_from_elsewhere(synth: Path, tmp_path: Path) -> None:
    text = browse(BrowseConfig(synth, tmp_path / "page", classes="cadis")).page.read_text()
    assert not re.search(r"https?:|//cdn|@import|fetch\(|XMLHttpRequest", text)


@pytest.mark.skipif(NODE is None, reason="the page's script is run by node where it is installed")
def test_filters_and_orders(synth: Path, tmp_path: Path) -> None:
    page = browse(BrowseConfig(synth, tmp_path / "page", classes="cadis")).page
    script = re.search(r"<script>\n(.*)</script>", page.read_text(), re.DOTALL)[1]
    rows = [
        {"name": n, "mask": m, "video": v, "operations": o, "failed": [], "classes": c, "agreement": a}
        | {"suspicion": {"a": 1, "b": 3, "c": 2}[n], "doubts": ["iris, read as cornea"] * (n == "b")}
        for n, m, v, o, c, a in [
            ("a", "m1", "Video1", ["flip"], [0, 900, 1, 100], 0.2),
            ("b", "m2", "Video1", [], [0, 1000], None),
            ("c", "m1", "Video2", ["flip", "shift"], [1, 700, 0, 300], 0.9),
        ]
    ]
    asked = [
        [{}, "", "as made"], [{"class": "iris"}, "", "as made"], [{"op": "flip", "video": "Video2"}, "", "as made"],
        [{}, "M1", "as made"], [{}, "", "agreement, least first"], [{"class": "iris"}, "", "most of the class"],
        [{"marked": "yes"}, "", "as made"], [{}, "", "agreement, most first"],
        [{"doubts": "iris, read as cornea"}, "", "as made"], [{}, "", "suspicion, most first"],
    ]  # fmt: skip
    data = {"classes": [{"name": "cornea"}, {"name": "iris"}], "rows": rows}
    script += f"\nconst data = {json.dumps(data)};"
    script += f"console.log(JSON.stringify({json.dumps(asked)}.map(q => choose(data, ...q, new Set(['b'])))));"
    limits = [
        {"agreement": [0.2, "none"]},
        {"agreement": ["none", 0.5]},
        {"agreement": [0.3, 0.8], "suspicion": [0, 9]},
    ]
    script += f"const none = NaN, limits = {json.dumps(limits)};".replace('"none"', "none")
    script += "console.log(JSON.stringify(limits.map(l => choose(data, {}, '', 'as made', new Set(), l))));"
    done = subprocess.run([NODE, "-"], input=script, capture_output=True, text=True, timeout=60, check=True)
    chosen, limited = map(json.loads, done.stdout.splitlines())
    assert chosen == [[0, 1, 2], [0, 2], [2], [0, 2], [0, 2, 1], [2, 0], [1], [2, 0, 1], [1], [1, 2, 0]]
    assert limited == [[0, 2], [0], []]
