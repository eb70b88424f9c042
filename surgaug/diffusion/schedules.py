"""Noise schedules: how much of the image each level keeps, and which levels training and sampling visit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from surgaug.diffusion.spacing import SPACINGS, alpha_bar_at
from surgaug.errors import UsageError

# Sampling starts from pure noise. A schedule that ends with more of the image than this was trained for another start.
MAX_TERMINAL_ALPHA_BAR = 0.005
# Below this, neighbouring levels may be equal in float64.
MIN_BETA = 1e-9
COSINE_OFFSET, COSINE_MAX_BETA = 0.008, 0.999
LEAST_HAND_OVER = 0.05


def names() -> list[str]:
    """The kinds of schedule, sorted."""
    return sorted(_BETAS)


@dataclass(frozen=True)
class Schedule:
    """A noise schedule: `timesteps` noise levels, and the continuous levels between them.

    Stored in the checkpoint (`to_dict`, `from_dict`), since a network is good only for the levels it was trained on.

    kind: one of `names()`.
    timesteps: T, the length of the table.
    beta_start, beta_end: of kind "linear" only; the defaults are SR3's for T = 2000.
    zero_terminal_snr: stretch the table so that its last level holds no signal at all (Lin et al. 2023, algorithm 1).
    shift: the size of the images over the size that the table suits; 2 for twice the height and width. Divides the
        signal-to-noise ratio by shift ** 2 (Hoogeboom et al. 2023, section 3.1).
    hand_over: sigma = sqrt(1 / alpha_bar - 1) at which the table is cut off, where sampling starts from a picture with
        that much noise on it (Relay Diffusion, Teng et al. 2023); None: it starts from noise alone.

    Raises UsageError for a value out of range.
    """

    kind: str = "cosine"
    timesteps: int = 1000
    beta_start: float = 1e-6
    beta_end: float = 1e-2
    zero_terminal_snr: bool = False
    shift: float = 1.0
    hand_over: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in names():
            raise UsageError(f"schedule.kind: {self.kind!r} is not one of {', '.join(names())}")
        if isinstance(self.timesteps, bool) or not isinstance(self.timesteps, int) or self.timesteps < 2:
            raise UsageError(f"schedule.timesteps: {self.timesteps!r} is not a whole number of at least 2")
        if not isinstance(self.zero_terminal_snr, bool):
            raise UsageError(f"schedule.zero_terminal_snr: {self.zero_terminal_snr!r} is neither true nor false")
        for name in ("beta_start", "beta_end"):
            if not MIN_BETA <= getattr(self, name) < 1:
                raise UsageError(f"schedule.{name}: {getattr(self, name)!r} is not from {MIN_BETA} to below 1")
        if not 0.01 <= self.shift <= 100:
            raise UsageError(f"schedule.shift: {self.shift!r} is not from 0.01 to 100")
        if self.hand_over is not None and not LEAST_HAND_OVER <= self.hand_over <= 100:
            raise UsageError(f"schedule.hand_over: {self.hand_over!r} is not from {LEAST_HAND_OVER:g} to 100")

    def check(self) -> None:
        """Raise UsageError unless a network trained on these levels can be sampled.

        Apart from the checks of single values, so that these may be changed one after the other.
        """
        last = float(self.alpha_bars[-1])
        if self.hand_over is None and last > MAX_TERMINAL_ALPHA_BAR:
            raise UsageError(
                f"schedule: its noisiest level keeps alpha_bar = {last:.3g} of the image, yet sampling starts from "
                f"noise alone; raise timesteps, beta_end or shift until it is at most {MAX_TERMINAL_ALPHA_BAR}, or set "
                "zero_terminal_snr"
            )
        if not bool((self.alpha_bars[1:] < self.alpha_bars[:-1]).all()):
            raise UsageError("schedule: its noisiest levels are all 0; lower timesteps or beta_end")

    @cached_property
    def alpha_bars(self) -> Tensor:
        """float64 [T + 1] on the CPU, decreasing from `alpha_bars[0] == 1`."""
        table = shift_snr(np.cumprod(1 - _BETAS[self.kind](self)), self.shift)
        if self.zero_terminal_snr:
            table = rescale_to_zero_terminal_snr(table)
        if self.hand_over is not None:
            table = table[table >= alpha_bar_at(self.hand_over)]
        return torch.from_numpy(np.concatenate([[1.0], table]))

    def sample_levels(self, u: Tensor) -> Tensor:
        """Continuous noise levels for training (SR3, Saharia et al. 2021, section 2.4; WaveGrad, Chen et al. 2020).

        u: [B], uniform in [0, 1]: `u * T` picks two neighbours in the table of T levels (those that are left where it
        is cut off) and a place between them, uniform in sqrt(alpha_bar). Returns alpha_bar, float64 [B] on the CPU,
        falling with u.
        """
        last = len(self.alpha_bars) - 1
        place = u.detach().to("cpu", torch.float64) * last
        below = place.floor().clamp(0, last - 1)
        roots = self.alpha_bars.sqrt()
        index = below.long()
        return torch.lerp(roots[index], roots[index + 1], place - below).square()

    def sampling_levels(self, steps: int, spacing: str = "trailing") -> Tensor:
        """alpha_bar before each of `steps` sampler steps and after the last: float64 [steps + 1], rising to 1.

        spacing: one of `diffusion.spacing.SPACINGS`. Raises UsageError for another, or unless 1 <= steps <= timesteps.
        """
        if spacing not in list(SPACINGS):  # in a list, as what a user says may have no hash
            raise UsageError(f"spacing: {spacing!r} is not one of {', '.join(SPACINGS)}")
        last = len(self.alpha_bars) - 1
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= last:
            raise UsageError(f"steps: {steps!r} is not a whole number from 1 to {last}, the noise levels of this model")
        return SPACINGS[spacing](self.alpha_bars, steps)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Schedule:
        """The inverse of `to_dict`. Raises UsageError for an unknown key; a missing one has its default."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise UsageError(f"schedule.{unknown[0]}: unknown; known are {', '.join(f.name for f in fields(cls))}")
        return cls(**values)


def cosine_betas(schedule: Schedule) -> np.ndarray:
    """float64 [T] (Nichol & Dhariwal 2021, equation 17).

    `1 - f(t) / f(t - 1)`, at most 0.999, of `f(t) = cos((t / T + s) / (1 + s) * pi / 2) ** 2` with s = 0.008.
    """
    t = np.arange(schedule.timesteps + 1, dtype=np.float64) / schedule.timesteps
    f = np.cos((t + COSINE_OFFSET) / (1 + COSINE_OFFSET) * np.pi / 2) ** 2
    return np.minimum(1 - f[1:] / f[:-1], COSINE_MAX_BETA)


def linear_betas(schedule: Schedule) -> np.ndarray:
    """float64 [T], from `beta_start` to `beta_end` inclusive: 1e-4 to 0.02 over T = 1000 in DDPM (Ho et al. 2020), 1e-6
    to 0.01 over T = 2000 in SR3 (Saharia et al. 2021)."""
    return np.linspace(schedule.beta_start, schedule.beta_end, schedule.timesteps, dtype=np.float64)


_BETAS: dict[str, Callable[[Schedule], np.ndarray]] = {"cosine": cosine_betas, "linear": linear_betas}


def shift_snr(alpha_bars: np.ndarray, shift: float) -> np.ndarray:
    """alpha_bar after dividing the signal-to-noise ratio `alpha_bar / (1 - alpha_bar)` by shift ** 2."""
    return alpha_bars / (alpha_bars + shift**2 * (1 - alpha_bars))


def rescale_to_zero_terminal_snr(alpha_bars: np.ndarray) -> np.ndarray:
    """Stretch sqrt(alpha_bar) linearly: the first value stays, the last becomes 0 (Lin et al. 2023, algorithm 1)."""
    roots = np.sqrt(alpha_bars)
    return ((roots - roots[-1]) * (roots[0] / (roots[0] - roots[-1]))) ** 2
