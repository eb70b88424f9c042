"""Label maps in every encoding, mode, bit depth and orientation: the same ids come back, or one line refuses.

SURGAUG_EXAMPLES=20 tries twenty times as many.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import cv2
import numpy as np
from encodings_of_ids import IDS_8, as_optimised, write_palette, write_raw_png
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from surgaug.datasets.dataset import LabelMaps, open_masks
from surgaug.datasets.survey import find_faults
from surgaug.errors import DataError
from surgaug.io.images import read_raw
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.runtime.feedback import Silent

TIMES = int(os.environ.get("SURGAUG_EXAMPLES", "1"))
CADIS = load_space("cadis")
SMALL = st.lists(st.integers(0, 20), min_size=1, max_size=6, unique=True)
POOLS = st.one_of(
    st.integers(1, 6).map(lambda k: list(range(k))),
    SMALL,
    st.lists(st.integers(0, 254), min_size=1, max_size=6, unique=True),
    st.sampled_from([[0, 255], [0, 128, 255], [0, 127, 255], [0, 85, 170, 255], [255, 128, 0], [0, 60, 120, 180, 240]]),
    st.sampled_from([[0, 1], [0, 50, 100, 150, 200, 250], [0, 7, 20], [1, 255], [0, 254, 255], [0, 17, 34], [1, 2, 3]]),
)
TURNS = st.integers(1, 8)


def examples(n: int) -> settings:
    """Settings for that many examples, times SURGAUG_EXAMPLES."""
    return settings(deadline=None, max_examples=n * TIMES, suppress_health_check=list(HealthCheck))


@st.composite
def drawn_maps(draw: st.DrawFn, pool: list[int], most: int = 4) -> list[np.ndarray]:
    """Label maps as annotators draw them: areas of ids over one another, at times thin lines and single pixels."""
    maps = []
    for _ in range(draw(st.integers(1, most))):
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        height, width = rng.integers(12, 40, 2)
        ids = np.full((height, width), rng.choice(pool), np.int64)
        for _ in range(rng.integers(0, 6)):
            y, x, value = rng.integers(height), rng.integers(width), rng.choice(pool)
            kind = rng.random()
            if kind < 0.75:
                ids[y : y + rng.integers(3, 20), x : x + rng.integers(3, 20)] = value
            elif kind < 0.9:
                ids[y : y + 1, x : x + rng.integers(1, 20)] = value
            else:
                ids[y, x] = value
        maps.append(ids)
    return maps


def read(folder: Path, classes: LabelSpace | str = "auto") -> tuple[LabelMaps, dict[str, np.ndarray]] | None:
    """The label maps of a folder by name, or None where they are refused."""
    try:
        maps = open_masks(folder, classes=classes)
        if find_faults(maps, Silent(), need_images=False):
            event("refused by the survey")
            return None
        return maps, {item.name: maps.load(i) for i, item in enumerate(maps.items)}
    except DataError as error:
        assert "\n" not in str(error) and str(error).startswith(str(folder)), error
        event("refused")
        return None


def check(folder: Path, meant: dict[str, np.ndarray], classes: LabelSpace | str = "auto") -> bool:
    """Whether the maps were read; if so, their ids are those meant (of two classes where these are 0 and white)."""
    got = read(folder, classes)
    if got is None:
        return False
    maps, ids = got
    values = {int(v) for m in meant.values() for v in np.unique(m)}
    assert ids.keys() == meant.keys()
    for name, expected in meant.items():
        if maps.codec.encoding in ("binary", "two-class") or (values <= {0, 255} and maps.space.ids == (0, 1)):
            assert values <= {0, 255} or values <= {0, 65535}
            expected = np.where(expected > 0, *sorted(maps.space.ids)[::-1])
        np.testing.assert_array_equal(ids[name], expected, err_msg=f"{name} {maps.codec.encoding}")
    if maps.space.ignore is not None and classes == "auto":
        void = sum(int((m == maps.space.ignore).sum()) for m in meant.values())
        rest = sum(int(((m > 0) & (m != maps.space.ignore)).sum()) for m in meant.values())
        assert void <= rest, "more was dropped than kept"
        assert {0, 128, 255} - values or {*values} - {0, 128, 255}, "greys drawn to be seen are classes"
    event("read")
    return True


def named(pool: list[int]) -> LabelSpace:
    """A label space of these ids."""
    return LabelSpace("given", tuple(LabelClass(i, f"c{i}", color=(i // 7, 90, i % 256)) for i in sorted(pool)))


@examples(70)
@given(st.data(), POOLS, st.sampled_from(["auto", "given", "cadis"]))
def test_ids_in_any_file(data: st.DataObject, pool: list[int], classes: str) -> None:
    """Each file of a folder in an encoding of its own."""
    maps = data.draw(drawn_maps(pool))
    kinds = st.sampled_from(sorted(IDS_8))
    one = data.draw(st.one_of(st.none(), kinds))
    with tempfile.TemporaryDirectory() as folder:
        for i, ids in enumerate(maps):
            kind = one or data.draw(kinds)
            suffix, write = IDS_8[kind]
            write(Path(folder) / f"{i}{suffix}", ids.astype(np.uint8), data.draw(TURNS))
        space = {"auto": "auto", "given": named(pool), "cadis": CADIS}[classes]
        assume(classes != "cadis" or set(pool) <= set(CADIS.ids))
        check(Path(folder), {str(i): ids for i, ids in enumerate(maps)}, space)


@examples(40)
@given(st.data(), POOLS, st.booleans())
def test_files_that_an_optimiser_went_over(data: st.DataObject, pool: list[int], given: bool) -> None:
    """Some files keep 8 bits, others show the same greys from fewer bits or from a palette."""
    maps = data.draw(drawn_maps(pool))
    plain = data.draw(st.booleans())
    with tempfile.TemporaryDirectory() as folder:
        for i, ids in enumerate(maps):
            choice, path = data.draw(st.integers(0, 4)), Path(folder) / f"{i}.png"
            if choice == 4 or (plain and i == 0):
                IDS_8["png L"][1](path, ids.astype(np.uint8), data.draw(TURNS))
            else:
                as_optimised(path, ids.astype(np.uint8), data.draw(TURNS), choice)
        # Where every file has few bits, their numbers may be ids, and are read as such.
        stored = [read_raw(p) for p in Path(folder).iterdir()]
        assume(any(raw.bits == 8 and raw.values.any() for raw in stored) or set(pool) <= {0, 255})
        check(Path(folder), {str(i): ids for i, ids in enumerate(maps)}, named(pool) if given else "auto")


@examples(30)
@given(st.data(), st.lists(st.integers(0, 65000), min_size=1, max_size=5, unique=True), st.booleans())
def test_ids_above_255(data: st.DataObject, pool: list[int], given: bool) -> None:
    """16 bits and more; a file of small ids alone may have 8."""
    maps = data.draw(drawn_maps(pool, most=3))
    with tempfile.TemporaryDirectory() as folder:
        for i, ids in enumerate(maps):
            path, turn = Path(folder) / str(i), data.draw(TURNS)
            kind = data.draw(st.sampled_from(["png", "LA", "RGB", "tif", "int", "float", "8 if it fits"]))
            if kind == "8 if it fits" and ids.max() < 256:
                IDS_8["png L"][1](path.with_suffix(".png"), ids.astype(np.uint8), turn)
            elif kind in ("tif", "int", "float"):
                dtype = {"tif": np.uint16, "int": np.int32, "float": np.float32}[kind]
                IDS_8["tiff L"][1](path.with_suffix(".tif"), ids.astype(dtype), turn)
            else:
                channels = {"LA": [ids, ids * 0 + 65535], "RGB": [ids] * 3}.get(kind, [ids])
                write_raw_png(path.with_suffix(".png"), np.dstack(channels), 16, {"LA": 4, "RGB": 2}.get(kind, 0), turn)
        check(Path(folder), {str(i): ids for i, ids in enumerate(maps)}, named(pool) if given else "auto")


@examples(40)
@given(st.data(), st.integers(1, 6), st.sampled_from(["auto", "given", "colours"]))
def test_palettes(data: st.DataObject, count: int, classes: str) -> None:
    """Indices are ids where all files have one palette; where each has its own order, its colours tell, or none do."""
    maps = data.draw(drawn_maps(list(range(count)), most=3))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    colors = rng.choice(255**3, 12, replace=False)
    colors = np.stack([colors // 255**2, colors // 255 % 255, colors % 255], 1).astype(np.uint8)
    shuffled = data.draw(st.booleans())
    own_order = []
    with tempfile.TemporaryDirectory() as folder:
        for i, ids in enumerate(maps):
            order = rng.permutation(count) if shuffled else np.arange(count)  # id k is stored as order[k]
            palette = colors.copy()
            palette[order] = colors[:count]
            own_order.append([int(order[k]) for k in np.unique(ids)] == np.unique(ids).tolist())
            suffix = data.draw(st.sampled_from([".png", ".tif", ".gif", ".bmp"]))
            write_palette(Path(folder) / f"{i}{suffix}", order[ids], palette, data.draw(TURNS))
        spaces = {
            "auto": "auto",
            "given": named(list(range(count))),
            "colours": LabelSpace(
                "c", tuple(LabelClass(k, f"c{k}", color=tuple(map(int, colors[k]))) for k in range(count))
            ),
        }
        # One order throughout, though not that of the ids, is one that nobody can know of without colours.
        assume(classes == "colours" or all(own_order) or len(maps) > 1)
        got = read(Path(folder), spaces[classes])
        if got is None:
            return
        ids = [got[1][str(i)] for i in range(len(maps))]
        if classes == "colours":
            assert all(map(np.array_equal, ids, maps))
        else:  # the same id has the same class everywhere
            pairs = {pair for m, g in zip(maps, ids, strict=True) for pair in zip(m.flat, g.flat, strict=True)}
            assert len({a for a, _ in pairs}) == len(pairs) == len({b for _, b in pairs})
        event("read")


@examples(30)
@given(st.data(), st.integers(1, 6))
def test_colours_of_a_class_file(data: st.DataObject, count: int) -> None:
    """RGB and RGBA in the class file's colours, greys among them, in files of several kinds."""
    maps = data.draw(drawn_maps(list(range(count)), most=3))
    color = st.one_of(st.tuples(*[st.integers(0, 255)] * 3), st.integers(0, 255).map(lambda v: (v, v, v)))
    colors = data.draw(st.lists(color, min_size=count, max_size=count, unique=True))
    space = LabelSpace("c", tuple(LabelClass(k, f"c{k}", color=c) for k, c in enumerate(colors)))
    table = np.array(colors, np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        for i, ids in enumerate(maps):
            shown = table[ids]
            kind = data.draw(st.sampled_from(["RGB", "RGBA", "tif", "bmp", "webp", "palette", "optimised"]))
            path = Path(folder) / f"{i}.png"
            if kind == "palette":
                write_palette(path, ids, table, data.draw(TURNS))
            elif kind == "optimised" and (shown == shown[..., :1]).all():
                as_optimised(path, shown[..., 0], 1, data.draw(st.integers(0, 2)))
            else:
                alpha = [np.full(ids.shape, 255, np.uint8)] if kind == "RGBA" else []
                suffix = f".{kind}" if kind in ("tif", "bmp", "webp") else ".png"
                Image.fromarray(np.dstack([shown, *alpha])).save(
                    path.with_suffix(suffix), **({"lossless": True} if kind == "webp" else {})
                )
        got = read(Path(folder), space)
        if got is not None and got[0].codec.encoding != "binary":
            for i, ids in enumerate(maps):
                np.testing.assert_array_equal(got[1][str(i)], ids)


def _has_area(ids: np.ndarray, value: int) -> bool:
    return bool(cv2.erode((ids == value).astype(np.uint8), np.ones((3, 3)), borderValue=0).any())


def _soften(ids: np.ndarray, how: str, amount: int) -> np.ndarray:
    sharp = ids.astype(np.uint8).repeat(4, 0).repeat(4, 1)
    if how == "jpeg":
        stream = io.BytesIO()
        Image.fromarray(sharp).save(stream, "JPEG", quality=60 + 7 * amount)
        return np.asarray(Image.open(stream))
    if how == "blur":
        return cv2.GaussianBlur(sharp, (0, 0), 0.6 + amount / 3)
    side = [max(8, int(s * (0.3 + amount / 9))) for s in sharp.shape]
    return cv2.resize(sharp, side[::-1], interpolation=cv2.INTER_AREA if how == "area" else cv2.INTER_LINEAR)


@examples(50)
@given(
    st.data(),
    st.sampled_from([[0, 255], [255, 0], [0, 127, 255], [0, 128, 255], [0, 85, 170, 255], [0, 60, 120], [0, 200]]),
    st.sampled_from(["jpeg", "blur", "area", "linear"]),
    st.integers(0, 5),
)
def test_soft_and_once_lossy_masks(data: st.DataObject, pool: list[int], how: str, amount: int) -> None:
    """Two classes, black and white, are snapped to the nearer; nothing else is guessed at."""
    sharp = data.draw(drawn_maps(pool))
    drawn = set(np.unique(np.concatenate([m.ravel() for m in sharp])))
    maps = [_soften(m, how, amount) for m in sharp]
    with tempfile.TemporaryDirectory() as folder:
        for i, m in enumerate(maps):
            Image.fromarray(m).save(Path(folder) / f"{i}.png")
        got = read(Path(folder))
        if got is None:
            return
        found, ids = got
        for i, m in enumerate(maps):
            if found.codec.encoding in ("binary", "two-class"):
                # A line or a dot of a third class cannot be told from an edge once it is blurred.
                assert not any(_has_area(m, v) for m in sharp for v in drawn - {0, 255})
                np.testing.assert_array_equal(ids[str(i)], m >= 128)
            else:
                np.testing.assert_array_equal(ids[str(i)], m)
                nobody_drew = set(np.unique(m)) - drawn
                assert len(nobody_drew) <= 2 or found.doubts, f"{sorted(nobody_drew)} read as classes without a word"


@examples(25)
@given(st.data(), st.sampled_from([".jpg", ".webp", ".tif"]), st.integers(50, 95))
def test_lossy_masks(data: st.DataObject, suffix: str, quality: int) -> None:
    """Two classes saved lossily: what is nearer to black or white; a third area anywhere is refused."""
    maps = data.draw(drawn_maps([0, 255]))
    third = data.draw(st.booleans())
    blocks = [m.repeat(4, 0).repeat(4, 1).astype(np.uint8) for m in maps]
    if third:
        blocks[-1][8:16, 8:16] = data.draw(st.integers(60, 195))
    options = {"compression": "jpeg"} if suffix == ".tif" else {}
    with tempfile.TemporaryDirectory() as folder:
        for i, m in enumerate(blocks):
            Image.fromarray(m).convert("RGB").save(Path(folder) / f"{i}{suffix}", quality=quality, **options)
        got = read(Path(folder))
        if got is None:
            return
        assert not third, "a third class of 8x8 pixels went unnoticed"
        for i, m in enumerate(blocks):
            assert (got[1][str(i)] == (m > 0)).mean() > 0.98
