from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from heard import Heard
from perturb_cases import CADIS, eye

from surgaug.errors import UsageError
from surgaug.io.atomic import write_png
from surgaug.perturb.config import AugmentConfig
from surgaug.perturb.prior.quotas import (
    Balance,
    Trials,
    corrected,
    first_rates,
    parse_balance,
    target_shares,
    unreachable,
)
from surgaug.perturb.recipe import Recipe, parse_recipe
from surgaug.perturb.run import augment_masks

KNIFE, PHACO, MANIPULATOR, HANDLE = 12, 13, 17, 21


def test_a_threshold_sets_targets_of_rare_classes_by_their_repeat_factor():
    targets = target_shares(Balance(threshold=0.25), CADIS, {0: 1.0, KNIFE: 0.04, PHACO: 0.25, 14: 0.0})
    assert targets == {KNIFE: pytest.approx(0.1)}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("b.toml", '"Primary Knife" = 0.5\n13 = 0\n'),
        ("c.toml", '[balance]\n"primary knife" = 0.5\n13 = 0\n'),
        ("b.json", '{"Primary Knife": 0.5, "13": 0}'),
        ("b.csv", "class,share\nPrimary Knife,0.5\n13,0\n"),
        ("c.csv", "Primary Knife,0.5\n13,0\n"),
    ],
)
def test_shares_from_a_file(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    assert target_shares(parse_balance(str(tmp_path / name)), CADIS, {}) == {KNIFE: 0.5, PHACO: 0.0}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('"Primary Knive" = 0.5', "did you mean Primary Knife"),
        ("zzz = 0.5", "no class of the label space 'cadis'. It has Pupil, Surgical Tape, Hand"),
        ("Pupil = 1.5", "from 0 to 1"),
        ("Pupil = true", "from 0 to 1"),
        ("", "expected a threshold"),
        ("= 3", "not a TOML"),
    ],
)
def test_bad_shares_are_refused(tmp_path, content, said):
    (tmp_path / "b.toml").write_text(content)
    with pytest.raises(UsageError, match=said):
        target_shares(parse_balance(str(tmp_path / "b.toml")), CADIS, {})


@pytest.mark.parametrize("text", ["0", "-1", "2", "missing.toml", "often"])
def test_impossible_balances_are_refused(text):
    with pytest.raises(UsageError, match="--balance"):
        parse_balance(text)


def test_chances_make_up_for_tries_that_fail():
    trials = Trials(100, seen={1: 10, 2: 50}, requested={1: 40, 3: 20}, came={1: 20})
    targets = {1: 0.4, 2: 0.2, 3: 0.5}
    rates = first_rates(targets, trials)
    assert rates.add == ((1, pytest.approx((0.4 - 0.1) / (0.9 * 0.5))),)
    assert rates.drop == ((2, pytest.approx(0.6)),)
    assert unreachable(targets, rates, trials) == [3]
    half_way = Trials(100, seen={1: 25}, requested={}, came={})
    assert corrected(rates, targets, trials, half_way).add[0][1] == pytest.approx(min(1.0, 2 * rates.add[0][1]))


@pytest.fixture
def masks(tmp_path):
    """Ten maps: nine with phaco handpiece and micromanipulator, one with a knife only."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for i in range(9):
        write_png(folder / f"{i}.png", np.roll(eye((68, 120)), i - 4, 1))
    knife = np.where(np.isin(eye((68, 120)), (PHACO, MANIPULATOR, HANDLE)), 6, eye((68, 120))).astype(np.uint8)
    cv2.line(knife, (119, 50), (82, 40), KNIFE, 4)
    write_png(folder / "knife.png", knife)
    return folder


def shares(out):
    counts = json.loads((out / "dataset.json").read_text())["counts"]
    return {c["id"]: (c["masks"] / 10, c["maps"] / counts["maps"], c.get("wanted")) for c in counts["classes"]}


@pytest.mark.slow
def test_quotas_are_reached_by_insertion_and_removal(masks, tmp_path):
    (tmp_path / "quota.toml").write_text('"Primary Knife" = 0.3\n"Micromanipulator" = 0.5\n')
    recipe = Recipe(
        parse_recipe("shift:0.5,remove:0.5,flip:0.5").ops, balance=parse_balance(str(tmp_path / "quota.toml"))
    )
    augment_masks(AugmentConfig(masks, tmp_path / "out", recipe, n=300, classes="cadis", workers=1))
    found = shares(tmp_path / "out")
    assert found[KNIFE][0] == 0.1 and found[KNIFE][2] == 0.3
    assert found[KNIFE][1] == pytest.approx(0.3, abs=0.08)
    assert found[MANIPULATOR][1] == pytest.approx(0.5, abs=0.08)
    assert 2 not in {i for i, (_, _, wanted) in found.items() if wanted}


def test_no_instrument_of_a_held_out_mask_is_lent(masks, tmp_path):
    for split, pattern in (("val", "knife.png"), ("train", "*.png")):
        for mask in sorted(masks.glob(pattern)):
            for kind in ("images", "labels"):
                (tmp_path / "data" / split / kind).mkdir(parents=True, exist_ok=True)
            write_png(tmp_path / "data" / split / "images" / mask.name, np.zeros((68, 120, 3), np.uint8))
            mask.rename(tmp_path / "data" / split / "labels" / mask.name)
    recipe = parse_recipe("remove:1,insert:1")
    augment_masks(AugmentConfig(tmp_path / "data", tmp_path / "out", recipe, n=20, classes="cadis", workers=1))
    rows = [json.loads(line) for line in (tmp_path / "out" / "manifest.jsonl").read_text().splitlines()]
    lent = [r for row in rows for r in row["perturbations"] if r["op"] == "insert"]
    assert lent and {donor["split"] for record in lent for donor in record["donors"]} == {"train"}
    assert not [row for row in rows if row["mask"] != "knife" and str(KNIFE) in row["classes"]]


def test_what_cannot_be_reached_is_said(masks, tmp_path):
    heard, recipe = Heard(), Recipe(balance=Balance(shares=(("Skin", 0.1), ("Hand", 0.9))))
    augment_masks(AugmentConfig(masks, tmp_path / "out", recipe, n=2, classes="cadis", workers=1), heard)
    assert any("Hand, Skin" in message for message in heard.warnings)
