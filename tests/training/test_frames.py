"""Training frames: what is kept of them, where, and that it makes no difference to what is drawn."""

from __future__ import annotations

import json
import multiprocessing
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heard import Heard
from test_loop import settings

from surgaug.io.atomic import write_png
from surgaug.models.families.diffusion import PRESETS
from surgaug.runtime.feedback import Silent
from surgaug.training import frames as training_frames
from surgaug.training.data import digests, label_digests, load_data
from surgaug.training.frames import FILE, Frames, batches

SIZE = (16, 24)
TINY_NETWORK = PRESETS["tiny"]
FINE_NETWORK = replace(TINY_NETWORK, label_detail=2)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "frames"


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    for sub in ("images", "labels"):
        (tmp_path / "data" / sub).mkdir(parents=True)
    for i in range(24):
        hw = (32, 48) if i % 3 else (40, 48)  # some are of another shape, so that they are cut
        write_png(tmp_path / "data" / "images" / f"f{i:02}.png", rng.integers(0, 256, (*hw, 3), np.uint8))
        write_png(tmp_path / "data" / "labels" / f"f{i:02}.png", rng.integers(0, 3, hw, np.uint8))
    return tmp_path / "data"


def load(data: Path, heard: Silent | None = None, **changes) -> Frames:
    config = replace(settings(data, data / "run", "init=none"), size=SIZE, **changes)
    return load_data(config, heard or Silent()).frames


def drawn(frames: Frames, zoom: float = 0.0, workers: int = 1) -> list[np.ndarray]:
    stream = batches(
        frames, np.ones(len(frames)), seed=1, batch=4, step=0, part=slice(0, 4), flip="hv", zoom=zoom, workers=workers
    )
    made = [next(stream) for _ in range(7)]
    stream.close()
    return [array for batch in made for array in (batch.images, batch.index_maps)]


def same(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_where_frames_are_kept_and_how_many_threads_make_batches_is_the_same(data, cache, monkeypatch):
    on_disk = load(data)
    assert len(list(cache.glob(f"*/{FILE}"))) == 2  # of training and of validation
    in_memory = load(data, frames_on_disk=False)
    monkeypatch.setattr(training_frames, "OF_MEMORY", 0)
    heard = Heard()
    nowhere = load(data, heard, frames_on_disk=False)
    assert any("decoded again at each use" in said for said in heard.said)
    expected = drawn(in_memory)
    for frames, workers in ((on_disk, 1), (nowhere, 1), (on_disk, 3)):
        assert same(expected, drawn(frames, workers=workers))


def test_mirrored_frames_get_the_classes_of_the_other_side(tmp_path, cache):
    """Images show their label maps, so that it shows which were mirrored, and in which label class it is seen."""
    index = np.zeros((16, 24), np.uint8)
    index[:, :8], index[:, 16:] = 1, 2  # left is red, right is green
    for kind in ("images", "labels"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for i in range(20):
        write_png(tmp_path / f"data/images/f{i:02}.png", np.eye(3, dtype=np.uint8)[[2, 0, 1]][index] * 200)
        write_png(tmp_path / f"data/labels/f{i:02}.png", index)
    for names, flips in (({"rest": 0, "left": 1, "right": 2}, True), ({"rest": 0, "left": 1, "tool": 2}, False)):
        (tmp_path / "data/classes.json").write_text(json.dumps(names))
        frames = load(tmp_path / "data")
        found = [frames.draw(i, np.random.default_rng(i), "h", 0.0) for i in range(len(frames))]
        assert all(index_map[0, 0] == 1 and index_map[0, -1] == 2 for _, index_map, _ in found) == flips
        red_at_left = [bool(image[0, 0, 0] > image[0, 0, 1]) for image, *_ in found]
        assert 4 < sum(red_at_left) < 16


def test_a_later_run_finds_what_was_kept_and_reads_no_image(data, cache, monkeypatch):
    heard = Heard()
    first = load(data, heard)
    assert sum("delete it at will" in said and str(cache) in said for said in heard.said) == 2
    made, record = [], Frames._record
    monkeypatch.setattr(Frames, "_record", lambda self, i: made.append(i) or record(self, i))
    again = load(data)
    assert set(made) == {0}  # the first of each, for its size
    assert same(drawn(first), drawn(again))


@pytest.mark.parametrize("change", ["image", "label", "size", "zoom"])
def test_whatever_decides_what_is_kept_makes_it_anew(data, cache, change):
    before = drawn(load(data))
    changes = {}
    if change == "image":
        write_png(data / "images" / "f05.png", np.zeros((32, 48, 3), np.uint8))
    elif change == "label":
        write_png(data / "labels" / "f05.png", np.ones((32, 48), np.uint8))
    else:
        changes = {"size": (8, 12)} if change == "size" else {"zoom": 0.2}
    config = replace(settings(data, data / "run", "init=none"), **{"size": SIZE, **changes})
    after = load_data(config, Silent()).frames
    assert len({p.parent.name for p in cache.glob(f"*/{FILE}")}) >= 3
    assert not all(np.array_equal(a, b) for a, b in zip(before, drawn(after, config.zoom), strict=True))


def test_a_damaged_file_is_said_and_written_anew(data, cache):
    expected = drawn(load(data))
    for path in cache.glob(f"*/{FILE}"):
        path.write_bytes(path.read_bytes()[:-9])
    heard = Heard()
    assert same(expected, drawn(load(data, heard)))
    assert sum("written anew" in said for said in heard.said) == 2


def test_what_is_kept_may_be_deleted_at_any_time(data, cache):
    frames = load(data)
    expected = drawn(frames)
    for path in cache.glob(f"*/{FILE}"):
        path.unlink()
    assert same(expected, drawn(frames)) and same(expected, drawn(load(data)))


def test_without_room_on_disk_frames_stay_in_memory(data, cache, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(training_frames.shutil, "disk_usage", lambda path: usage(1, 1, 0))
    heard = Heard()
    frames = load(data, heard)
    assert any("has no room for" in said for said in heard.said) and not list(cache.glob(f"*/{FILE}"))
    assert len(drawn(frames)) == 14


def test_frames_are_kept_no_larger_than_the_settings_need(data, cache):
    for zoom, shape in ((0.0, (16, 24, 3)), (0.2, (20, 30, 3)), (0.6, (32, 48, 3))):
        frames = load(data, zoom=zoom)
        i = next(i for i, item in enumerate(frames.paired.items) if item.name == "f01")
        assert frames[i][0].shape == shape


def test_a_draw_without_zoom_resizes_nothing(data, cache, monkeypatch):
    frames = load(data)
    monkeypatch.setattr(training_frames, "resize_image", None)
    drawn(frames)


def _load_beside(arguments) -> int:
    data, cache = arguments
    import os

    os.environ["SURGAUG_CACHE"] = str(cache)
    heard = Heard()
    frames = load(data, heard)
    written = sum("delete it at will" in said for said in heard.said)
    assert sum(int(array.sum()) for array in drawn(frames))
    return written


def test_processes_that_start_at_once_write_it_once(data, cache):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        written = pool.map(_load_beside, [(data, cache.parent)] * 2)
    assert sum(written) == 2  # one file of training, one of validation frames, whoever wrote them
    assert not list(cache.glob("*/.*.tmp-*"))


def test_digests_of_files_and_of_label_maps(data, cache):
    found = load_data(replace(settings(data, data / "run", "init=none"), size=SIZE), Silent())
    assert len(digests(found)) == 24 and len(label_digests(found)) == 24
    write_png(data / "labels" / "f05.png", np.ones((32, 48), np.uint8))
    other = load_data(replace(settings(data, data / "run", "init=none"), size=SIZE), Silent())
    changed = [name for name in digests(found) if digests(found)[name] != digests(other)[name]]
    assert changed == ["f05"] and len(set(label_digests(found)) & set(label_digests(other))) == 23


@pytest.mark.parametrize("zoom", [0.0, 0.3])
def test_finer_index_maps_are_of_the_same_places(data, zoom):
    """Label maps in which all is one class but a corner: cut, flipped and zoomed with the image, only finer."""
    for i, label in enumerate(sorted((data / "labels").iterdir())):
        where = np.zeros(((32 if i % 3 else 40), 48), np.uint8)
        where[5 + i % 8 :, 11 + i :] = 2
        write_png(label, where)
        write_png(data / "images" / label.name, np.repeat(where[..., None], 3, -1) * 100)
    plain, fine = (load(data, zoom=zoom, frames_on_disk=False, network=n) for n in (TINY_NETWORK, FINE_NETWORK))
    for i in range(len(plain)):
        image, index_map = fine.view(i)
        assert (image.shape, index_map.shape) == ((*SIZE, 3), (SIZE[0] * 2, SIZE[1] * 2))
        assert np.array_equal(image, plain.view(i)[0])
    for a, b in zip(drawn(fine, zoom), drawn(plain, zoom), strict=True):
        if a.ndim == 4:
            assert np.array_equal(a, b)
            shown = a[..., 0]
        else:
            shares = (a > 0).reshape(len(a), SIZE[0], 2, SIZE[1], 2).mean((2, 4))
            assert np.abs(shares - shown / 200).max() < 0.6  # the share of a pixel is what the image shows of it
            assert np.abs(shares - shown / 200).mean() < np.abs((b > 0) - shown / 200).mean()
