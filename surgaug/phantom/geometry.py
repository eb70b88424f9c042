"""What is where in one phantom frame, drawn from a seed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from surgaug.phantom import outlines, strokes
from surgaug.phantom.frequencies import FRAMES, FRAMES_BY_CLASS, INSTRUMENT_SETS, joint_frequencies
from surgaug.phantom.scene import ASPECT, HAND, IRIS_HOOKS, MARKER, MENDEZ_RING, RETRACTORS, TAPE, Scene, Stroke
from surgaug.phantom.video_style import Style, video_style


def make_scene(seed: int, video: int | None = None) -> Scene:
    """The scene of that seed (>= 0); `video` is drawn when it is None."""
    rng = scene_rng(seed)
    video, ids = draw_instruments(rng, video)
    return _compose(seed, rng, video_style(video), ids)


def scene_rng(seed: int) -> np.random.Generator:
    """What `make_scene` draws from: first the video and the instruments."""
    return np.random.default_rng([seed, 0x9EE7])


def draw_instruments(rng: np.random.Generator, video: int | None = None) -> tuple[int, tuple[int, ...]]:
    """A video, and the ids of the instrument classes of one frame, by `frequencies.joint_frequencies`.

    `video` is drawn from the 25 that CaDIS has when it is None; those beyond 25 have the instruments of 1..25 again.
    """
    if video is None:
        cells = _cumulative(None)
        row, column = divmod(
            int(np.searchsorted(cells, rng.random() * cells[-1], "right")), joint_frequencies().shape[1]
        )
        return column + 1, INSTRUMENT_SETS[row][0]
    weights = _cumulative((video - 1) % joint_frequencies().shape[1])
    return video, INSTRUMENT_SETS[int(np.searchsorted(weights, rng.random() * weights[-1], "right"))][0]


@lru_cache(maxsize=32)
def _cumulative(column: int | None) -> np.ndarray:
    joint = joint_frequencies()
    return np.cumsum(joint if column is None else joint[:, column])


def _compose(seed: int, rng: np.random.Generator, style: Style, ids: tuple[int, ...]) -> Scene:
    u = rng.uniform
    radius = style.radius * float(np.clip(rng.normal(1, 0.04), 0.9, 1.1))
    centre = np.array(style.centre) + rng.normal(0, 0.035, 2)
    if MENDEZ_RING in ids:
        radius, centre = min(radius, 0.36), np.array([ASPECT / 2, 0.5]) + rng.normal(0, 0.02, 2)
    centre[1] = np.clip(centre[1], 0.3, 0.68)
    roll = style.roll + rng.normal(0, 0.03)
    flip = -1.0 if style.mirror else 1.0

    hooks = IRIS_HOOKS in ids
    ratio = float(np.clip(style.pupil_ratio + rng.normal(0, 0.035) - 0.1 * hooks, 0.42, 0.92))
    pupil_centre = centre + rng.normal(0, 0.012, 2) * radius
    hook_angles = np.radians([45, 135, 225, 315]) + rng.normal(0, 0.15, 4) + style.roll if hooks else None
    iris = centre + radius * outlines.wobbly(rng, 0.008)
    pupil = outlines.pupil(rng, pupil_centre, ratio * radius, hook_angles)
    # The pupil stays within the iris whatever was drawn.
    away = pupil - centre
    reach = np.hypot(away[:, 0], away[:, 1])
    pupil = centre + away * np.minimum(1, 0.95 * radius / np.maximum(reach, 1e-9))[:, None]

    anchors = np.array(style.anchors) * [flip, 1] * radius + rng.normal(0, 0.03, (6, 2))
    if flip < 0:
        anchors = anchors[[3, 2, 1, 0, 5, 4]]
    anchors = outlines.rotate(anchors, roll) + centre + rng.normal(0, 0.02, 2)

    def drawn(class_id: int) -> bool:
        return rng.random() < FRAMES_BY_CLASS[class_id] / FRAMES

    tapes = outlines.tapes(rng, style, centre, radius, flip) if drawn(TAPE) else ()
    retractors = strokes.retractors(rng, style, centre, radius, anchors) if drawn(RETRACTORS) else ()
    hands = strokes.hands(rng, centre, radius, flip) if drawn(HAND) else ()
    opening = outlines.opening(rng, style, centre, anchors, tapes)
    instruments: list[Stroke] = []
    if MARKER in ids:
        instruments += strokes.ink(rng, centre, radius, roll)
    if MENDEZ_RING in ids:
        instruments += strokes.ring(rng, centre, radius)
    if hook_angles is not None:
        instruments += strokes.iris_hooks(rng, centre, pupil, hook_angles)
    instruments += strokes.tools(rng, ids, centre, radius, ratio * radius, flip)
    return Scene(
        seed=seed,
        style=style,
        ids=ids,
        centre=tuple(centre),
        radius=radius,
        roll=roll,
        pupil_centre=tuple(pupil_centre),
        pupil_radius=ratio * radius,
        opening=opening,
        iris=iris,
        pupil=pupil,
        tapes=tapes,
        hands=hands,
        retractors=retractors,
        instruments=tuple(instruments),
        phase=_phase(rng, ids),
        exposure=style.exposure * u(0.94, 1.06),
    )


def _phase(rng: np.random.Generator, ids: tuple[int, ...]) -> str:
    """How far the operation is, which decides what the pupil shows."""
    for phase, members in (
        ("broken", {13, 21}),
        ("cortex", {15, 18}),
        ("iol", {14, 24, 10, 20, 25, 26, 33, 27}),
        ("lens", {12, 16, 8, 9, 19, 7, 22, 23, 28, 32, 30}),
    ):
        if members & set(ids):
            return phase
    return str(rng.choice(["lens", "cortex", "iol"]))
