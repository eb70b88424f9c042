"""A student that meets its targets exactly samples what its teacher does."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_samplers_on_a_gaussian import optimal

from surgaug.diffusion import distillation, parameterisation
from surgaug.diffusion.samplers import ddim, dpmpp
from surgaug.diffusion.schedules import Schedule
from surgaug.errors import UsageError

COSINE = Schedule("cosine", 1000)


@given(st.integers(1, 30))
def test_segments_follow_each_other_and_begin_and_end_where_the_student_stands(steps):
    segments = distillation.segments(COSINE, steps)
    assert [s[-1] for s in segments[:-1]] == [s[0] for s in segments[1:]]
    assert [s[0] for s in segments] + [1.0] == COSINE.sampling_levels(steps, distillation.SPACING).tolist()
    assert len({len(s) for s in segments}) == 1 and sum(len(s) - 1 for s in segments) >= 20


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_perfect_student_arrives_where_its_teacher_does(steps):
    teacher = optimal(0.3, 0.4)
    segments = distillation.segments(COSINE, steps)
    known = {segment[0]: segment for segment in segments}
    x_t = torch.linspace(-3, 3, 13, dtype=torch.float64)[:, None]

    def student(x, alpha_bar):
        return distillation.x0_target(teacher, x, known[alpha_bar])

    levels = COSINE.sampling_levels(steps, distillation.SPACING)
    arrived = x_t
    for segment in segments:
        arrived = dpmpp.sample(teacher, arrived, segment, lambda step: x_t)
    torch.testing.assert_close(ddim.sample(student, x_t, levels, lambda step: x_t), arrived)
    assert (ddim.sample(teacher, x_t, levels, lambda step: x_t) - arrived).abs().max() > 1e-3  # it had to be learnt


@pytest.mark.parametrize("kind", parameterisation.KINDS)
def test_an_output_and_its_estimate_are_each_others_inverse(kind):
    x_t, out = torch.randn(2, 5, 3, 4, 4, dtype=torch.float64).unbind()
    level = torch.tensor([0.01, 0.2, 0.5, 0.9, 0.999], dtype=torch.float64)
    x_0 = parameterisation.to_x0(kind, out, x_t, level)
    torch.testing.assert_close(parameterisation.from_x0(kind, x_0, x_t, level), out)


def test_a_teacher_of_eps_is_refused():
    with pytest.raises(UsageError, match="eps"):
        distillation.check("eps")
