from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from perturb_cases import CADIS, MANY, SPACES, dtype_of, eye, label_maps

from surgaug import cli
from surgaug.datasets.dataset import open_masks
from surgaug.datasets.item import Item
from surgaug.errors import DataError, SurgaugError
from surgaug.io.atomic import write_png
from surgaug.labels.class_roles import roles
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.perturb.config import AugmentConfig, configure
from surgaug.perturb.engine import Engine, build, sample_rng
from surgaug.perturb.prior.quotas import Balance
from surgaug.perturb.recipe import Recipe, parse_recipe
from surgaug.perturb.run import augment_masks
from surgaug.perturb.scene.find_objects import find_objects
from surgaug.perturb.scene.scene import Scene
from surgaug.runtime.feedback import Silent

DATA = Path(os.environ.get("SURGAUG_TEST_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))


class Given:
    """Label maps in memory, as an engine learns from them."""

    def __init__(self, maps, space):
        self.maps, self.space = maps, space
        self.items = [Item(f"map {i}", None, Path(f"map {i}.png")) for i in range(len(maps))]

    def __len__(self):
        return len(self.maps)

    def load(self, i):
        return self.maps[i]


def learnt(maps, space, recipe=None, targets=()):
    engine = Engine(space, recipe or Recipe(), dict(targets))
    return build(engine, Given(maps, space), 0, 1, Silent())


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(label_maps(), min_size=1, max_size=3), st.integers(0, 2**32))
def test_an_engine_made_of_any_maps_makes_sound_maps_of_them(cases, seed):
    space = cases[0][1]
    maps = [label_map for label_map, its in cases if its is space]
    engine = learnt(maps, space, parse_recipe("insert,duplicate,swap,shift,zoom,lids"))
    for mask, label_map in enumerate(maps):
        before = label_map.copy()
        outcome = engine.make(engine.scene(label_map), mask, sample_rng(seed, mask))
        after = outcome.label_map
        assert after.shape == before.shape and after.dtype == before.dtype and np.array_equal(label_map, before)
        assert set(np.unique(after)) <= {*space.ids, space.ignore}
        if space.ignore is not None:
            assert np.array_equal(before == space.ignore, after == space.ignore)
        assert outcome.records == [] or 0 < outcome.plausibility <= 1
        again = engine.make(engine.scene(before), mask, sample_rng(seed, mask))
        assert np.array_equal(again.label_map, after) and again.records == outcome.records


@pytest.mark.slow
@settings(deadline=None, max_examples=400, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32), st.floats(0.05, 0.3), st.integers(-40, 40), st.integers(-30, 30))
def test_constraints_hold_on_two_thousand_maps_of_random_eyes(seed, pupil, dx, dy):
    """Instruments reach the border, ids are those of the mask or the bank, the pupil stays in the iris."""
    label_map = np.roll(eye((135, 240)), (dy // 2, dx), (0, 1))
    cv2.ellipse(label_map, (120 + dx, 67 + dy // 2), (int(pupil * 120), int(pupil * 110)), 0, 0, 360, 0, -1)
    cv2.line(label_map, (150 + dx // 4, 134), (118 + dx, 70 + dy // 2), 13, 5)
    engine = learnt([label_map, eye((135, 240))], CADIS)
    scene = engine.scene(label_map)
    free = Counter(obj.class_ids for obj in scene.objects if not obj.entries)
    beside = cv2.dilate((label_map == 0).view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
    for k in range(5):
        outcome = engine.make(scene, 0, sample_rng(seed, k))
        after = outcome.label_map
        assert set(np.unique(after)) <= {*np.unique(label_map), *np.unique(eye((135, 240)))}
        for obj in find_objects(after, roles(CADIS), None):
            if not obj.entries and obj.area > 60:
                assert free[obj.class_ids] > 0, f"{obj.class_ids} floats after {outcome.records}"
        touched = cv2.dilate((after == 0).view(np.uint8), np.ones((3, 3), np.uint8)).view(bool)
        outside = (touched & np.isin(after, (5, 6))).sum()
        assert outside <= 1.6 * (beside & np.isin(label_map, (5, 6))).sum() + 20, outcome.records


def test_implausible_maps_are_drawn_again_or_given_up_with_the_reason():
    maps = [np.roll(eye((68, 120)), i - 4, 1) for i in range(8)]
    strict = learnt(
        maps, CADIS, Recipe(parse_recipe("shift,rotate,zoom,tilt:1:3,pan:1:3").ops, plausibility=0.85, tries=3)
    )
    refused = Counter()
    for k in range(12):
        outcome = strict.make(strict.scene(maps[k % 8]), k % 8, sample_rng(0, k))
        assert not outcome.records or outcome.plausibility >= 0.85
        refused += outcome.refused
    assert any(reason.startswith("map: implausible (") for reason in refused)


def test_a_draw_that_changes_nothing_is_drawn_again():
    """A pan along horizontal bands: one that moves along the bands alone leaves them as they are."""
    bands = np.repeat(np.arange(4, dtype=np.uint8), 2)[:, None].repeat(60, 1)
    engine = learnt([bands], CADIS, Recipe(parse_recipe("pan").ops))
    made = [engine.make(engine.scene(bands), 0, sample_rng(0, k)) for k in range(30)]
    assert all(outcome.records for outcome in made)
    assert sum(outcome.refused["map: nothing changed"] for outcome in made) > 0


@pytest.mark.parametrize("space", SPACES, ids=lambda s: f"{s.name}-{s.ignore}")
def test_maps_of_one_class_of_one_pixel_and_of_nothing_but_ignored_pixels(space):
    dtype = dtype_of(space)
    maps = [np.full((20, 30), space.ids[0], dtype), np.full((1, 1), space.ids[-1], dtype)]
    if space.ignore is not None:
        maps.append(np.full((20, 30), space.ignore, dtype))
    dot = maps[0].copy()
    dot[7, 9] = space.ids[-1]
    full = np.full((20, 30), space.ids[-1], dtype)
    engine = learnt([*maps, dot, full], space)
    for mask, label_map in enumerate([*maps, dot, full]):
        outcome = engine.make(engine.scene(label_map), mask, sample_rng(0, mask))
        assert (
            set(np.unique(outcome.label_map)) <= {*space.ids, space.ignore}
            and outcome.label_map.shape == label_map.shape
        )


def test_huge_ids_from_16_bit_files(tmp_path):
    space = LabelSpace("auto", (LabelClass(0, "a"), LabelClass(65534, "b")))
    for i in range(3):
        label_map = np.zeros((40, 60), np.uint16)
        cv2.line(label_map, (59, 10 * i), (20, 20), 65534, 3)
        write_png(tmp_path / f"{i}.png", label_map)
    maps = open_masks(tmp_path)
    assert maps.space.ids == space.ids and maps.space.by_id(65534).kind == "instrument"
    result = augment_masks(AugmentConfig(tmp_path, tmp_path / "out", n=6, workers=1))
    assert result.maps == 6
    for path in (tmp_path / "out" / "labels").iterdir():
        assert set(np.unique(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))) <= {0, 65534}


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nrubbish", b"not a picture"])
def test_files_that_are_no_pictures_are_named(tmp_path, content):
    write_png(tmp_path / "good.png", eye((68, 120)))
    (tmp_path / "bad.png").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.png"):
        augment_masks(AugmentConfig(tmp_path, tmp_path / "out", classes="cadis", workers=1))
    assert not (tmp_path / "out").exists()


@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_damaged_file_is_refused_or_read(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("masks")
    write_png(folder / "a.png", eye((30, 40)))
    content = bytearray((folder / "a.png").read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "a.png").write_bytes(bytes(content))
    try:
        augment_masks(AugmentConfig(folder, folder / "out", n=1, classes="cadis", workers=1))
    except SurgaugError as error:
        assert "a.png" in str(error)


def test_a_flag_on_the_line_wins_over_the_recipe(tmp_path):
    (tmp_path / "r.toml").write_text(
        "n = 7\nseed = 3\nplausibility = 0.1\nbalance = 0.2\ntries = 5\nkeep-originals = true\n[ops]\nflip = 0.5\n"
    )
    config = configure(tmp_path, tmp_path / "out", str(tmp_path / "r.toml"), None, 0.2, None, {"n": 9, "seed": None})
    assert (config.n, config.seed, config.keep_originals) == (9, 3, True)
    assert (config.recipe.plausibility, config.recipe.balance, config.recipe.tries) == (0.2, Balance(0.2), 5)
    assert [op.name for op in config.recipe.ops] == ["flip"]
    plain = configure(tmp_path, tmp_path / "out", "", None, None, None, {})
    assert plain == AugmentConfig(tmp_path, tmp_path / "out")


def test_the_whole_command_from_a_recipe(tmp_path, capsys):
    masks = tmp_path / "masks"
    masks.mkdir()
    write_png(masks / "a.png", eye((68, 120)))
    (tmp_path / "r.toml").write_text('n = 3\nclasses = "cadis"\nworkers = 1\nkeep_originals = true\n[ops]\nshift = 1\n')
    out = tmp_path / "out"
    line = ["augment-masks", "--masks", str(masks), "--recipe", str(tmp_path / "r.toml"), "--out", str(out)]
    assert cli.run(line) == 0
    said = capsys.readouterr()
    assert len(said.out.split()) == 4 and "plausibility" in said.err
    (tmp_path / "r.toml").write_text(
        'n = 3\nclasses = "cadis"\nworkers = 1\nkeep_originals = true\n[ops]\nshift = 0.5\n'
    )
    assert cli.run(line) == 2
    refusal = capsys.readouterr().err
    assert "ops.shift.probability: 1.0 there, 0.5 now" in refusal and len(refusal) < 400


def test_what_a_hand_holds_stays_held():
    label_map = eye()
    label_map[label_map == 17] = 6
    label_map[label_map == 13] = 6
    label_map[label_map == 21] = 6
    label_map[90:190, :60] = 2
    cv2.line(label_map, (60, 140), (230, 140), 17, 5)
    engine = learnt([label_map], CADIS, parse_recipe("shift,rotate,scale"))
    for k in range(15):
        after = engine.make(engine.scene(label_map), 0, sample_rng(1, k)).label_map
        tool = cv2.dilate((after == 17).view(np.uint8), np.ones((9, 9), np.uint8)).view(bool)
        assert (tool & (after == 2)).any(), "the instrument floats"


def test_nothing_is_known_of_many_classes():
    engine = learnt([np.zeros((30, 30), np.uint8)], MANY)
    assert engine.make(engine.scene(np.zeros((30, 30), np.uint8)), 0, sample_rng(0, 0)).records == []


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real data at {DATA}")
def test_real_maps_of_cadis_keep_their_eye_in_one_piece_and_their_instruments_held():
    maps = open_masks(DATA / "cadis_labels")
    small = [cv2.resize(maps.load(i), (240, 135), interpolation=cv2.INTER_NEAREST) for i in range(len(maps))]
    engine = learnt(small, maps.space)
    floating = 0
    for k in range(96):
        label_map = small[k % len(small)]
        scene = Scene(label_map, maps.space)
        after = engine.make(engine.scene(label_map), k % len(small), sample_rng(5, k)).label_map
        assert set(np.unique(after)) <= {i for m in small for i in np.unique(m)}
        free = sum(not obj.entries for obj in scene.objects)
        floating += sum(not t.entries and t.area > 60 for t in find_objects(after, roles(maps.space), None)) > free
    assert floating <= 2
