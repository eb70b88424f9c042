from __future__ import annotations

import json
from dataclasses import replace

import pytest
from heard import Heard

from surgaug.synthesis.config import SynthesizeConfig, over_recipe
from surgaug.synthesis.run import synthesize


@pytest.fixture
def config(model_file, masks, tmp_path) -> SynthesizeConfig:
    return SynthesizeConfig(masks=masks, model=model_file, out=tmp_path / "out", steps=1, device="cpu")


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_text(
        'n = 7\nseed = 3\nclasses = "cadis"\nworkers = 1\nkeep_originals = true\n[ops]\nflip = 1.0\n', encoding="utf-8"
    )
    return str(file)


def test_a_flag_wins_over_the_recipe_and_the_recipe_over_the_defaults(recipe):
    assert over_recipe((recipe,)) == {"n": 7, "seed": 3, "classes": "cadis"}
    assert over_recipe((recipe,), n=2, seed=0, classes="auto") == {"n": 2, "seed": 0, "classes": "auto"}
    assert over_recipe(("flip:0.5",), n=4) == {"n": 4} and over_recipe(()) == {}
    assert SynthesizeConfig(masks=(), **over_recipe(())).n == 5000


def test_what_a_recipe_asks_for_and_synthesize_cannot_do_is_said(config, recipe, tmp_path):
    said = over_recipe((recipe,), classes=config.classes)
    first = replace(config, augment=(recipe,), **said)
    heard = Heard()
    synthesize(first, heard)
    assert any("keep_originals" in message and "recipe.toml" in message for message in heard.warnings)
    assert len(list((first.out / "images").iterdir())) == 7
    rows = [json.loads(line) for line in (first.out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {row["seed"] for row in rows} == {3} and all(row["perturbations"] for row in rows)
    (tmp_path / "quiet.toml").write_text("[ops]\nflip = 1.0\n", encoding="utf-8")
    quiet = replace(config, augment=(str(tmp_path / "quiet.toml"),), out=tmp_path / "quiet", n=7, seed=3)
    heard = Heard()
    synthesize(quiet, heard)
    assert not any("keep_originals" in message for message in heard.warnings)
    for image in (first.out / "images").iterdir():
        assert image.read_bytes() == (quiet.out / "images" / image.name).read_bytes()
