"""What is asked for over what the model's file says, and what cannot be asked for."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from surgaug.errors import UsageError
from surgaug.models.checkpoint import load_model
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.sampling_settings import choose_settings


@pytest.fixture(scope="module")
def model(model_file):
    defaults = {"sampler": "dpmpp", "steps": 7, "guidance": 2.0, "guidance_below": 5.0}
    return replace(load_model(model_file), defaults=defaults)


def recipe(model, **given):
    return choose_settings(SynthesizeConfig(Path("masks"), **given), model)


def test_the_models_own(model):
    own = recipe(model)
    assert (own.sampler, own.steps, own.guidance, own.guidance_below) == ("dpmpp", 7, 2.0, 5.0)
    assert own.options == {"guidance_below": 5.0} and own.sampler_options == {}


def test_what_is_said_counts_and_the_rest_stays(model):
    assert recipe(model, guidance=3.0).guidance_below == 5
    other = recipe(model, sampler="ddim", options={"guidance_below": 2, "eta": 0.5})
    assert (other.guidance, other.guidance_below, other.sampler_options) == (2.0, 2.0, {"eta": 0.5})
    assert other.steps == 40, "the model's steps are its own sampler's"


@pytest.mark.parametrize("everywhere", ["inf", math.inf])
def test_guidance_at_all_levels(model, everywhere):
    assert recipe(model, options={"guidance_below": everywhere}).options == {}, "a manifest has no word for infinity"


def test_a_file_that_says_nothing_of_levels_means_all(model):
    older = replace(model, defaults={"sampler": "dpmpp", "steps": 7, "guidance": 2.0})
    assert recipe(older).guidance_below == math.inf


def test_without_guidance_there_is_nothing_to_limit(model):
    assert recipe(model, guidance=1.0).options == {}
    with pytest.raises(UsageError, match=r"--set guidance_below: with --guidance 1"):
        recipe(model, guidance=1.0, options={"guidance_below": 3})


@pytest.mark.parametrize("wrong", [0, -1, "much", "nan", [1]])
def test_a_noise_level_must_be_one(model, wrong):
    with pytest.raises(UsageError, match=r"--set guidance_below=.*above 0"):
        recipe(model, options={"guidance_below": wrong})


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_guidance_without_which_labels_would_not_be_shown_is_refused(model, wrong):
    with pytest.raises(UsageError, match=r"--guidance .*: above 0"):
        recipe(model, guidance=wrong)


def test_a_student_that_always_saw_maps_cannot_be_guided(model):
    """As any model: of pictures without a label map it knows nothing."""
    defaults = {"sampler": "ddim", "steps": 4, "guidance": 1.0, "student": True, "options": {"spacing": "student"}}
    student = replace(model, defaults=defaults, meta={"train": {"drop_map": 0.0, "init": None}})
    assert recipe(student, guidance=1.0).guidance == recipe(student).guidance == 1
    with pytest.raises(UsageError, match="--guidance 2: this model was trained with every label map"):
        recipe(student, guidance=2.0)
