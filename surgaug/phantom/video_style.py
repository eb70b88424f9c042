"""What stays the same within one phantom video: the eye, the light, the camera, the drapes.

Lengths are in frame heights; angles in radians, clockwise on the screen (y runs down).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

Colour = tuple[float, float, float]

IRIS_COLOURS: tuple[Colour, ...] = (
    (0.36, 0.35, 0.32),  # grey
    (0.31, 0.36, 0.40),  # blue grey
    (0.35, 0.37, 0.29),  # green
    (0.37, 0.29, 0.19),  # hazel
    (0.30, 0.19, 0.11),  # brown
    (0.20, 0.13, 0.09),  # dark brown
)
PUPIL_COLOURS: tuple[Colour, ...] = (
    (0.50, 0.14, 0.07),  # red reflex
    (0.60, 0.22, 0.09),  # orange reflex
    (0.34, 0.10, 0.06),  # deep red
    (0.17, 0.09, 0.07),  # no reflex
    (0.47, 0.36, 0.24),  # brunescent lens
    (0.52, 0.48, 0.42),  # white lens
)
KNIFE_HANDLES: tuple[Colour, ...] = ((0.05, 0.36, 0.31), (0.08, 0.22, 0.52), (0.62, 0.60, 0.10), (0.40, 0.42, 0.44))


@dataclass(frozen=True)
class Style:
    """One video's look. Made by `video_style`."""

    video: int
    mirror: bool
    radius: float
    centre: tuple[float, float]
    roll: float
    pupil_ratio: float
    anchors: tuple[tuple[float, float], ...]
    lid_curve: float
    tape_angles: tuple[float, ...]
    tape_kind: str
    retractor_width: float
    retractor_bend: float
    gloved: bool
    gain: Colour
    exposure: float
    vignette: float
    light_centre: tuple[float, float]
    blur: float
    noise: float
    iris: Colour
    iris_inner: Colour
    limbus_soft: float
    lens: Colour
    reflex: Colour
    skin: Colour
    sclera: Colour
    redness: float
    vessels: float
    knife_handle: Colour
    lens_tint: Colour
    reflex_at: tuple[float, float]


def _vary(rng: np.random.Generator, colour: Colour, amount: float) -> Colour:
    tint = np.asarray(colour) * rng.uniform(1 - amount, 1 + amount) * rng.uniform(1 - amount / 2, 1 + amount / 2, 3)
    return tuple(float(c) for c in np.clip(tint, 0.01, 0.98))  # type: ignore[return-value]


@lru_cache(maxsize=512)
def video_style(video: int) -> Style:
    """The style of a video, any integer >= 0; the same number always gives the same style."""
    rng = np.random.default_rng([video, 0x5747])
    u = rng.uniform
    radius = float(np.clip(rng.normal(0.392, 0.05), 0.28, 0.47))
    # Lid margin as a hexagon: left canthus, two points where the upper lid is held, right canthus, two below.
    anchors = (
        (-u(2.1, 3.3), u(-0.45, 0.35)),
        (-u(0.7, 1.9), -u(1.2, 2.0)),
        (u(0.6, 1.8), -u(1.2, 2.0)),
        (u(2.1, 3.3), u(-0.5, 0.3)),
        (u(0.7, 1.9), u(1.2, 1.95)),
        (-u(0.7, 1.9), u(1.2, 1.95)),
    )
    warm = float(np.clip(rng.normal(0.0, 1.0), -1.6, 1.5))
    gain = (1.05 + 0.05 * warm, 0.94 - 0.03 * warm + u(-0.03, 0.03), 0.80 - 0.10 * warm + u(-0.04, 0.04))
    iris = _vary(rng, IRIS_COLOURS[rng.integers(len(IRIS_COLOURS))], 0.2)
    return Style(
        video=video,
        mirror=bool(rng.random() < 0.4),
        radius=radius,
        centre=(16 / 18 + u(-0.13, 0.13), 0.5 + u(-0.09, 0.07)),
        roll=u(-0.3, 0.3),
        pupil_ratio=float(np.clip(rng.normal(0.79, 0.08), 0.55, 0.9)),
        anchors=anchors,
        lid_curve=u(0.3, 1.0),
        tape_angles=tuple(
            np.radians(rng.choice([25, 60, 95, 120, 150, 205, 335], size=2, replace=False) + u(-12, 12, 2))
        ),
        tape_kind=str(rng.choice(["gauze", "gauze", "film"])),
        retractor_width=u(0.016, 0.023),
        retractor_bend=np.radians(u(60, 105)) * rng.choice([-1, 1]),
        gloved=bool(rng.random() < 0.6),
        gain=tuple(float(np.clip(g, 0.6, 1.15)) for g in gain),  # type: ignore[arg-type]
        exposure=u(0.85, 1.25),
        vignette=u(0.1, 0.4),
        light_centre=(16 / 18 + u(-0.2, 0.2), 0.48 + u(-0.15, 0.15)),
        blur=u(0.0008, 0.0024),
        noise=u(0.004, 0.011),
        iris=iris,
        iris_inner=_vary(rng, tuple(0.6 * c + 0.4 * d for c, d in zip(iris, (0.42, 0.32, 0.2), strict=True)), 0.15),  # type: ignore[arg-type]
        limbus_soft=u(0.4, 1.0),
        lens=_vary(rng, PUPIL_COLOURS[rng.integers(len(PUPIL_COLOURS))], 0.2),
        reflex=_vary(rng, PUPIL_COLOURS[rng.integers(3)], 0.2),
        skin=_vary(rng, (0.67, 0.44, 0.34), 0.16),
        sclera=_vary(rng, (0.82, 0.69, 0.57), 0.1),
        redness=u(0.25, 1.0),
        vessels=u(0.3, 1.0),
        knife_handle=_vary(rng, KNIFE_HANDLES[rng.integers(len(KNIFE_HANDLES))], 0.15),
        lens_tint=_vary(rng, ((0.55, 0.72, 0.74), (0.70, 0.72, 0.70), (0.32, 0.60, 0.68))[rng.integers(3)], 0.1),
        reflex_at=(u(-0.35, 0.45), u(-0.4, 0.2)),
    )
