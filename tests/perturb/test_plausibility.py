from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from perturb_cases import CADIS, eye, label_maps
from scipy.stats import multivariate_t

from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.labels.sides import exchanged, other_sides
from surgaug.perturb.prior.map_features import FEATURES, describe
from surgaug.perturb.prior.plausibility import _log_t, real_maps


def shifted(n=30, seed=0):
    """The scene of `eye`, moved about a little."""
    rng = np.random.default_rng(seed)
    return [np.roll(eye((90, 160)), rng.integers(-6, 7, 2), (0, 1)) for _ in range(n)]


def test_facts_of_a_rectangle():
    label_map = np.full((100, 200), 6, np.uint8)
    label_map[20:40, 100:160] = 5
    facts = describe(label_map, CADIS)
    assert facts.classes.tolist() == [5, 6] and facts.touching.tolist() == [[False, True], [True, False]]
    diagonal = np.hypot(100, 200)
    area, y, x, _, upright, slant, outline = facts.features[0]
    assert area == pytest.approx(np.log(20 * 60 / 20000))
    assert (y, x) == (pytest.approx((29.5 - 49.5) / diagonal), pytest.approx((129.5 - 99.5) / diagonal))
    assert upright == pytest.approx((20**2 - 60**2) / (20**2 + 60**2)) and slant == pytest.approx(0)
    assert outline == pytest.approx(np.log(160 / np.sqrt(1200)), abs=0.01)


def test_of_a_map_without_labels_something_is_said():
    space = LabelSpace("x", (LabelClass(0, "a"), LabelClass(1, "b")), ignore=255)
    real = real_maps({0: describe(np.zeros((60, 90), np.uint8), space)}, space, False)
    assert "hardly anything" in real.strangest(describe(np.full((60, 90), 255, np.uint8), space), 0)


def test_a_mirrored_map_has_the_mirrored_facts():
    label_map = eye((90, 160))
    mirrored = describe(np.ascontiguousarray(label_map[:, ::-1]), CADIS)
    assert np.allclose(describe(label_map, CADIS).mirrored(other_sides(CADIS)).features, mirrored.features)


def test_a_mirrored_map_has_the_facts_of_the_other_sides():
    sided = LabelSpace("own", tuple(LabelClass(i, n) for i, n in enumerate(("rest", "right lung", "left lung"))))
    label_map = np.zeros((60, 90), np.uint8)
    label_map[10:40, 5:30], label_map[20:30, 30:80] = 2, 1
    expected = describe(exchanged(np.ascontiguousarray(label_map[:, ::-1]), sided), sided)
    found = describe(label_map, sided).mirrored(other_sides(sided))
    assert (found.classes == expected.classes).all() and np.allclose(found.features, expected.features)
    assert (found.touching == expected.touching).all()


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(label_maps())
def test_any_map_can_be_described_and_scored(case):
    label_map, space = case
    facts = describe(label_map, space)
    assert np.isfinite(facts.features).all() and facts.features.shape == (len(facts.classes), len(FEATURES))
    if len(facts.classes):
        real = real_maps({0: facts, 1: describe(label_map[::-1], space)}, space, True)
        assert 0 < real.plausibility(facts, 0) <= 1 and np.isfinite(real.scores).all()
        assert real.strangest(facts, 0)


def test_the_predictive_density_is_the_t_of_the_conjugate_prior():
    """Against scipy's t, with the update written out sample by sample."""
    rng = np.random.default_rng(0)
    d, data = len(FEATURES), rng.normal(size=(5, len(FEATURES)))
    mean, scale, x = rng.normal(size=d), np.eye(d) * 0.7, rng.normal(size=(1, d))
    m, s, weight, dof = mean.copy(), scale.copy(), 0.5, d + 2.0
    for value in data:
        s += weight / (weight + 1) * np.outer(value - m, value - m)
        m = (weight * m + value) / (weight + 1)
        weight, dof = weight + 1, dof + 1
    freedom = dof - d + 1
    expected = multivariate_t.logpdf(x[0], m, s * (weight + 1) / (weight * freedom), freedom)
    sums = (np.array([5.0]), data.sum(0)[None], (data.T @ data)[None])
    assert _log_t(x, *sums, mean[None], scale[None])[0] == pytest.approx(expected)


def test_scores_of_real_maps_leave_each_out():
    maps = shifted(8)
    facts = {i: describe(m, CADIS) for i, m in enumerate(maps)}
    real = real_maps(facts, CADIS, False)
    others = real_maps({i: f for i, f in facts.items() if i}, CADIS, False)
    alone = real.surprise(facts[0], 0).total
    # The priors are those of all maps; their sums must not hold the one that is scored.
    assert np.isin(round(alone, 6), real.scores.round(6))
    assert np.allclose(real._without(0).outer, others.statistics.outer)


def test_new_maps_like_the_real_ones_are_even_over_the_scale_and_impossible_ones_are_at_its_end():
    maps = shifted(40)
    real = real_maps({i: describe(m, CADIS) for i, m in enumerate(maps)}, CADIS, False)
    fresh = [real.plausibility(describe(m, CADIS), -1) for m in shifted(60, seed=1)]
    assert 0.35 < np.mean(fresh) < 0.65
    upside_down = [real.plausibility(describe(m[::-1], CADIS), i) for i, m in enumerate(maps)]
    assert max(upside_down) <= 2 / 41
    floating = maps[0].copy()
    floating[5:12, 100:150] = 12
    facts = describe(floating, CADIS)
    assert real.plausibility(facts, 0) < 0.1 and "Primary Knife" in real.strangest(facts, 0)
