from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from perturb_cases import CADIS, eye

from surgaug.errors import UsageError
from surgaug.perturb import ops
from surgaug.perturb.geometry.camera import view
from surgaug.perturb.mixer import mix
from surgaug.perturb.operation import Op
from surgaug.perturb.recipe import parse_ops, parse_recipe, read_recipe, settings_of
from surgaug.perturb.scene.scene import Scene


def test_parse_ops_orders_as_the_table_does_and_takes_text_or_parts():
    assert [(op.name, op.probability) for op in parse_ops("flip, shift:0.25")] == [("shift", 0.25), ("flip", 1.0)]
    assert parse_ops(("shift:0.25", "flip")) == parse_ops("flip,shift:0.25")
    assert {op.name for op in parse_ops(ops.USUAL)} <= set(ops.names())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shfit:0.5", "did you mean shift"),
        ("shift:often", "NAME:PROBABILITY"),
        ("shift:0", "above 0"),
        ("shift:1.5", "at most 1"),
        ("shift:0.5:9", "strength"),
        ("shift,shift:0.5", "twice"),
        (" , ", "names no operation"),
    ],
)
def test_parse_ops_refuses(text, said):
    with pytest.raises(UsageError, match=said):
        parse_ops(text)


def test_every_operation_has_settings_with_defaults():
    for name in ops.names():
        module = ops.get(name)
        assert module.Params(**settings_of(name)) == module.Params()
        assert hasattr(module, "motion" if ops.layer(name) == "camera" else "perturb")


def test_the_table_of_operations_names_every_file_once_and_in_order_of_the_layers():
    assert sorted(ops.ORDER) == ops.names()
    layers = [ops.layer(name) for name in ops.ORDER]
    assert layers == sorted(layers, key=["anatomy", "objects", "camera", "picture"].index)


def test_probabilities_are_kept():
    label_map = eye((135, 240))
    counts = {"shift": 0, "flip": 0}
    mild = parse_ops("shift:0.5,flip:0.2")
    for k in range(200):
        outcome = mix(Scene(label_map, CADIS), mild, np.random.default_rng(k), must_change=False)
        for record in outcome.records:
            counts[record["op"]] += 1
    assert 75 < counts["shift"] < 125 and 22 < counts["flip"] < 60


def test_a_map_that_must_change_does():
    label_map = eye((135, 240))
    for k in range(20):
        outcome = mix(Scene(label_map, CADIS), parse_ops("shift:0.01,flip:0.01"), np.random.default_rng(k))
        assert outcome.records and not np.array_equal(outcome.label_map, label_map)


def test_refusals_are_counted_and_the_map_is_left_alone():
    bare = np.full((40, 60), 6, np.uint8)
    outcome = mix(Scene(bare, CADIS), parse_ops("shift,swap"), np.random.default_rng(0))
    assert outcome.records == [] and np.array_equal(outcome.label_map, bare)
    assert set(outcome.refused) == {
        "shift: no instrument or object to move",
        "swap: no instrument with another class of its group to become",
    }


def test_movements_of_the_camera_are_one():
    scene, moves = Scene(eye((135, 240)), CADIS), parse_ops("zoom,tilt,pan")
    for k in range(5):
        outcome = mix(scene, moves, np.random.default_rng(k))
        rng, matrix = np.random.default_rng(k), np.eye(3)
        rng.random(3)  # which operations are drawn
        for op in moves:
            own, _ = ops.get(op.name).motion(scene.frame, rng, op.params())
            matrix = np.vstack([own, (0, 0, 1)]) @ matrix
        assert [record["op"] for record in outcome.records] == ["zoom", "tilt", "pan"]
        assert outcome.records[0]["tries"] > 1 or np.array_equal(outcome.label_map, view(scene, matrix[:2]))


def test_settings_reach_the_operation():
    label_map = eye((135, 240))
    small = Op("shift", settings=(("along", 0.02), ("across", 0.02)))
    for k in range(10):
        for record in mix(Scene(label_map, CADIS), (small,), np.random.default_rng(k)).records:
            assert np.hypot(record["dy"], record["dx"]) <= 0.03 * np.hypot(135, 240) + 1


def test_strength_makes_amounts_larger_and_factors_more_extreme():
    (shift,) = parse_ops("shift:0.5:2")
    assert shift.params().along == pytest.approx(2 * settings_of("shift")["along"])
    (pupil,) = parse_ops("pupil:0.5:2")
    assert pupil.params().largest == pytest.approx(settings_of("pupil")["largest"] ** 2)
    assert pupil.params().smallest == pytest.approx(settings_of("pupil")["smallest"] ** 2)
    (flip,) = parse_ops("flip:0.5:2")
    assert flip.params().up_down is False


def test_a_recipe_file_says_the_same_as_a_list(tmp_path):
    recipe = tmp_path / "mild.toml"
    recipe.write_text("[ops]\nflip = 0.5\nshift = { probability = 0.25, along = 0.2 }\npupil = { strength = 1.5 }\n")
    assert parse_recipe(str(recipe)).ops == (
        Op("pupil", 1.0, 1.5),
        Op("shift", 0.25, settings=(("along", 0.2),)),
        Op("flip", 0.5),
    )
    assert parse_recipe((str(recipe),)) == parse_recipe(str(recipe))


def test_the_example_is_a_recipe():
    recipe = parse_recipe(str(Path(__file__).resolve().parents[2] / "examples" / "masks.toml"))
    assert recipe.plausibility and recipe.balance and recipe.run["n"] == 1000 and len(recipe.ops) == 11


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[ops]\nshift = { alogn = 1 }", r"ops\.shift\.alogn: no such setting; did you mean along"),
        ("[ops]\npan = { way = 0.1, displacement = 0.2 }", r"ops\.pan\.way: no such setting"),
        ("[ops]\nflip = { way = 0.1 }", r"ops\.flip\.way: no such setting"),
        ("[ops]\nshift = { along = 'far' }", r"ops\.shift\.along = 'far': expected a number"),
        ("[ops]\nshfit = 0.5", "did you mean shift"),
        ("[ops]\nshift = true", "expected a number"),
        ("[ops]\nflip = { up_down = 1 }", "true or false"),
        ("[ops]\nflip = { left_right = false }", r"ops\.flip: one of left_right, up_down must be true"),
        ("[ops]\nelastic = { cells = 0 }", r"ops\.elastic\.cells = 0: from 1 to"),
        ("[ops]\nzoom = { farthest = 0.0 }", r"ops\.zoom\.farthest = 0\.0: from 0\.001 to"),
        ("[ops]\npupil = { smallest = -1 }", r"ops\.pupil\.smallest = -1: from"),
        ("[ops]\nzoom = { off = inf }", r"ops\.zoom\.off = inf: from 0 to"),
        ("[ops]\ngaze = { displacement = nan }", r"ops\.gaze\.displacement = nan: from 0"),
        ("[ops]\npan = { way = -1.0 }", r"ops\.pan\.way = -1\.0: from 0"),
        ("[opps]\nshift = 0.5", "opps: no such key; did you mean ops"),
        ("seed = 'x'", "seed = 'x': expected a whole number"),
        ("plausibility = 1.5", "plausibility 1.5: from 0"),
        ("tries = 0", "tries 0: from 1"),
        ("balance = 'much'", "expected a threshold"),
        ("balance = 2", "at most 1"),
        ("[balance]\nKnife = 2", "Knife = 2: a share"),
        ("[ops]", "names no operation"),
        ("ops = ", "not a TOML file"),
    ],
)
def test_a_bad_recipe_is_refused_with_file_key_and_value(tmp_path, text, said):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(UsageError, match=said) as refusal:
        parse_recipe(str(tmp_path / "bad.toml"))
    assert "bad.toml" in str(refusal.value)


def test_settings_of_old_recipes_are_read_and_stay_as_they_are_written(tmp_path):
    (tmp_path / "r.toml").write_text("[ops]\npan = { way = 0.3, strength = 2 }")
    (op,) = read_recipe(tmp_path / "r.toml").ops
    assert op.params().displacement == 0.6
    assert read_recipe(tmp_path / "r.toml").to_dict()["ops"]["pan"]["way"] == 0.3  # a stopped run goes on
