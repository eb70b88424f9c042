"""Settings of `--style` that `--set` gives: `style.fourier` and `style.tries`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from surgaug.errors import UsageError
from surgaug.runtime.options import nearest

PREFIX = "style."
FOURIER, TRIES = f"{PREFIX}fourier", f"{PREFIX}tries"
USUAL_TRIES, MOST_TRIES = 3, 50


@dataclass(frozen=True)
class StyleSettings:
    """fourier: up to which share of the size frequencies take a frame's amplitudes (`fourier_style`); None: none do.
    tries: how often pictures are painted to find what must be asked for (`style_tuning`); 0: what is given."""

    fourier: float | None = None
    tries: int = USUAL_TRIES


def read_settings(options: dict[str, Any], asked: str, pictures: int) -> StyleSettings:
    """What `options` say of styles. asked: `--style`, which names so many pictures.

    Raises UsageError for a value out of range, for settings without a picture that they could go by, and for others
    that begin so.
    """
    given = {name: value for name, value in options.items() if name.startswith(PREFIX)}
    if unknown := sorted(given.keys() - {FOURIER, TRIES}):
        likely = nearest(unknown[0], (FOURIER, TRIES), cutoff=0.0)
        raise UsageError(f"--set {unknown[0]}: there is no such setting; did you mean {likely}?")
    if FOURIER in given:
        value, told = given[FOURIER], f"--set {FOURIER}={given[FOURIER]}"
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 0.5:
            raise UsageError(f"{told}: above 0, to 0.5 (all frequencies); 0.01 changes light and colour")
        if pictures != 1:
            raise UsageError(f"{told}: needs a frame to take amplitudes from: --style IMAGE, not {asked}")
    if TRIES in given:
        value, told = given[TRIES], f"--set {TRIES}={given[TRIES]}"
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_TRIES:
            raise UsageError(f"{told}: a number from 0 (ask once, for what is given) to {MOST_TRIES}")
        if not pictures:
            raise UsageError(f"{told}: needs pictures to come near to: --style IMAGE or DIR, not {asked}")
    return StyleSettings(**{name.removeprefix(PREFIX): value for name, value in given.items()})
