"""What is where in one phantom frame, in scene units: y from 0 to 1, x from 0 to 16/9, whatever the pixel size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from surgaug.data.phantom.frequencies import FRAMES, FRAMES_BY_CLASS, INSTRUMENT_SETS, joint_frequencies
from surgaug.data.phantom.instruments import (
    FAR,
    TIP_OF_HANDLE,
    TOOLS,
    Stroke,
    arc_lengths,
    centre_line,
    part_stroke,
)
from surgaug.data.phantom.style import Style, video_style

ASPECT = 16 / 9
PUPIL, TAPE, HAND, RETRACTORS, IRIS, SKIN, CORNEA = range(7)
SUTURE_NEEDLE, NEEDLE_HOLDER, TROUTMAN_FORCEPS = 25, 26, 33
MENDEZ_RING, MARKER, IRIS_HOOKS = 30, 31, 35
_CIRCLE = np.linspace(0, 2 * np.pi, 72, endpoint=False)


@dataclass(frozen=True)
class Scene:
    """One frame's geometry. Outlines are [n, 2] (x, y)."""

    seed: int
    style: Style
    ids: tuple[int, ...]
    centre: tuple[float, float]
    radius: float
    roll: float
    pupil_centre: tuple[float, float]
    pupil_radius: float
    opening: np.ndarray
    iris: np.ndarray
    pupil: np.ndarray
    tapes: tuple[np.ndarray, ...]
    hands: tuple[Stroke, ...]
    retractors: tuple[Stroke, ...]
    instruments: tuple[Stroke, ...]
    phase: str
    exposure: float


def make_scene(seed: int, video: int | None = None) -> Scene:
    """The scene of that seed (>= 0); `video` is drawn when it is None."""
    rng = np.random.default_rng([seed, 0x9EE7])
    video, ids = draw_instruments(rng, video)
    return _compose(seed, rng, video_style(video), ids)


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
    iris = centre + radius * _wobbly(rng, 0.008)
    pupil = _pupil(rng, pupil_centre, ratio * radius, hook_angles)
    # The pupil stays within the iris whatever was drawn.
    away = pupil - centre
    reach = np.hypot(away[:, 0], away[:, 1])
    pupil = centre + away * np.minimum(1, 0.95 * radius / np.maximum(reach, 1e-9))[:, None]

    anchors = np.array(style.anchors) * [flip, 1] * radius + rng.normal(0, 0.03, (6, 2))
    if flip < 0:
        anchors = anchors[[3, 2, 1, 0, 5, 4]]
    anchors = _rotate(anchors, roll) + centre + rng.normal(0, 0.02, 2)

    def wanted(class_id: int) -> bool:
        return rng.random() < FRAMES_BY_CLASS[class_id] / FRAMES

    tapes = _tapes(rng, style, centre, radius, flip) if wanted(TAPE) else ()
    retractors = _retractors(rng, style, centre, radius, anchors) if wanted(RETRACTORS) else ()
    hands = _hands(rng, centre, radius, flip) if wanted(HAND) else ()
    opening = _opening(rng, style, centre, anchors, tapes)
    instruments: list[Stroke] = []
    if MARKER in ids:
        instruments += _ink(rng, centre, radius, roll)
    if MENDEZ_RING in ids:
        instruments += _ring(rng, centre, radius)
    if hook_angles is not None:
        instruments += _iris_hooks(rng, centre, pupil, hook_angles)
    instruments += _tools(rng, ids, centre, radius, ratio * radius, flip)
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


def _rotate(points: np.ndarray, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return points @ np.array([[c, s], [-s, c]])


def _chaikin(points: np.ndarray, rounds: int, cut: float) -> np.ndarray:
    """Corner cutting (Chaikin 1974) of a closed polygon: the first round cuts off `cut` of an edge, then a quarter."""
    for _ in range(rounds):
        following = np.roll(points, -1, axis=0)
        points = np.stack([(1 - cut) * points + cut * following, cut * points + (1 - cut) * following], 1).reshape(
            -1, 2
        )
        cut = 0.25
    return points


def _wobbly(rng: np.random.Generator, amount: float) -> np.ndarray:
    """[72, 2] a unit circle with a few low harmonics of that amplitude."""
    k = np.arange(2, 6)[:, None]
    a, phase = rng.normal(0, amount, (4, 1)) * 2 / k, rng.uniform(0, 2 * np.pi, (4, 1))
    r = 1 + (a * np.cos(k * _CIRCLE + phase)).sum(0)
    return np.stack([r * np.cos(_CIRCLE), r * np.sin(_CIRCLE)], 1)


def _pupil(rng: np.random.Generator, centre: np.ndarray, radius: float, hooks: np.ndarray | None) -> np.ndarray:
    if hooks is None:
        return centre + radius * _wobbly(rng, 0.012 if rng.random() < 0.85 else 0.04)
    corners = np.stack([np.cos(hooks), np.sin(hooks)], 1) * radius * rng.uniform(1.15, 1.3, (4, 1))
    return centre + _chaikin(corners, 4, 0.16)


def _opening(
    rng: np.random.Generator, style: Style, centre: np.ndarray, anchors: np.ndarray, tapes: tuple[np.ndarray, ...]
) -> np.ndarray:
    """The lid opening: the anchors' hexagon with rounded, uneven edges, small enough that skin shows in some corner."""
    corners = np.array([[0.09, 0.09], [ASPECT - 0.09, 0.09], [0.09, 0.91], [ASPECT - 0.09, 0.91]])
    free = [c for c in corners if not any(_contains(t, c) for t in tapes)] or list(corners)
    for _ in range(12):
        if any(not _contains(anchors, c) for c in free):
            break
        anchors = centre + 0.94 * (anchors - centre)
    outline = _chaikin(anchors, 4, 0.25 * style.lid_curve)
    phase = np.linspace(0, 2 * np.pi, len(outline), endpoint=False)
    k = np.arange(3, 10)[:, None]
    uneven = (rng.normal(0, 0.035, (7, 1)) / np.sqrt(k / 3) * np.cos(k * phase + rng.uniform(0, 6.3, (7, 1)))).sum(0)
    return centre + (outline - centre) * (1 + uneven)[:, None]


def _contains(polygon: np.ndarray, point: np.ndarray) -> bool:
    return cv2.pointPolygonTest(polygon.astype(np.float32), (float(point[0]), float(point[1])), False) >= 0


def _tapes(
    rng: np.random.Generator, style: Style, centre: np.ndarray, radius: float, flip: float
) -> tuple[np.ndarray, ...]:
    corners = np.array([[0, 0], [ASPECT, 0], [0, 1], [ASPECT, 1]], float)
    tapes = []
    for k, angle in enumerate(style.tape_angles):
        if k and rng.random() < 0.45:
            break
        a = angle + rng.normal(0, 0.05)
        n = np.array([flip * np.cos(a), np.sin(a)])
        reach = ((corners - centre) @ n).max()
        depth = 0.1 + 0.44 * rng.random() ** 1.1 * (0.6 + 0.8 * abs(n[0] * n[1]))
        near = max(reach - depth, 1.12 * radius)
        if near > reach - 0.05:
            near = reach - 0.05
        t = np.array([-n[1], n[0]])
        along = np.linspace(-2.2, 2.2, 12)
        edge = (
            centre
            + t * along[:, None]
            + n * (near + rng.normal(0, 0.012, 12) + 0.03 * rng.normal() * along**2)[:, None]
        )
        tapes.append(np.concatenate([edge, edge[::-1] + n * 3]))
    return tuple(tapes)


def _retractors(
    rng: np.random.Generator, style: Style, centre: np.ndarray, radius: float, anchors: np.ndarray
) -> tuple[Stroke, ...]:
    strokes = []
    pulls = anchors[[1, 2, 4, 5]]
    inside = ((pulls > [0.03, 0.04]) & (pulls < [ASPECT - 0.03, 0.96])).all(axis=1)
    if not inside.any():  # the lid is held beyond the frame: the hooks that reach in furthest
        outside = np.abs(pulls - np.clip(pulls, [0.03, 0.04], [ASPECT - 0.03, 0.96])).sum(axis=1)
        inside[outside.argsort()[: rng.integers(1, 3)]] = True
    for k in np.flatnonzero(inside):
        reach = rng.uniform(0.07, 0.2)
        tip = np.clip(pulls[k], reach, [ASPECT - reach, 1 - reach])
        out = tip - centre
        out /= np.hypot(*out)
        out = out * [0.45, 1.0]
        out /= np.hypot(*out)
        tip = tip - out * 0.02
        straight, turn = rng.uniform(0.16, 0.3), style.retractor_bend * (1 if k % 2 else -1)
        heading = np.arctan2(out[1], out[0])
        points = [tip - out * 0.01, tip, tip + out * straight]
        for _ in range(4):
            heading += turn / 4
            points.append(points[-1] + 0.022 * np.array([np.cos(heading), np.sin(heading)]))
        points.append(points[-1] + FAR * np.array([np.cos(heading), np.sin(heading)]))
        width = np.full(len(points), style.retractor_width)
        width[0] *= 0.55
        strokes.append(Stroke(RETRACTORS, np.array(points), width, "retractor", float(rng.random())))
    return tuple(strokes)


def _hands(rng: np.random.Generator, centre: np.ndarray, radius: float, flip: float) -> tuple[Stroke, ...]:
    """One or two fingers from a border, off the iris."""
    u = rng.uniform
    side = rng.choice(["left", "left", "bottom_left", "bottom_right", "top_left"])
    base, heading = {
        "left": ((-0.1, u(0.25, 0.9)), u(-15, 15)),
        "bottom_left": ((u(0.1, 0.5), 1.12), u(-80, -35)),
        "bottom_right": ((u(1.2, 1.7), 1.12), u(-145, -100)),
        "top_left": ((u(0.0, 0.35), -0.12), u(40, 80)),
    }[str(side)]
    strokes = []
    point, heading = np.array(base), np.radians(heading)
    for k in range(1 + (rng.random() < 0.6)):
        w = u(0.1, 0.18)
        a = heading + k * u(0.1, 0.35)
        forward = np.array([np.cos(a), np.sin(a)])
        start = point + k * np.array([-forward[1], forward[0]]) * u(0.17, 0.26)
        length = u(0.3, 0.62)
        while length > 0.16 and np.hypot(*(start + forward * length - centre)) < radius + 0.06 + w:
            length -= 0.03
        s = np.array([0, 0.02, 0.06, 0.12, 0.2]) * w / 0.13
        s = np.concatenate([s, [0.5, 1.2]])
        width = w * np.array([0.12, 0.45, 0.74, 0.95, 1.0, 1.06, 1.2])
        bow = np.array([-forward[1], forward[0]]) * rng.normal(0, 0.08)
        path = start + forward * (length - s)[:, None] + bow * (s**2)[:, None]
        strokes.append(Stroke(HAND, path, width, "hand", float(rng.random())))
    return tuple(strokes)


def _ink(rng: np.random.Generator, centre: np.ndarray, radius: float, roll: float) -> list[Stroke]:
    """Ink dashes across the limbus, as a toric marker leaves them."""
    strokes = []
    for a in np.radians([0, 180, 90])[: rng.integers(2, 4)] + roll + rng.normal(0, 0.06):
        radial, w = np.array([np.cos(a), np.sin(a)]), rng.uniform(0.018, 0.032)
        s = np.linspace(radius * 0.97, radius * 0.97 + rng.uniform(0.1, 0.2), 6)
        path = centre + radial * s[:, None] + rng.normal(0, 0.004, (6, 2))
        width = w * np.array([0.4, 0.9, 1.0, 1.0, 0.8, 0.3]) * rng.uniform(0.8, 1.2, 6)
        strokes.append(Stroke(MARKER, path, width, "ink", float(rng.random())))
    # At least one dash lies in the frame.
    if not any(_inside(s.path, 0.02).any() for s in strokes):
        a = np.arctan2(0.5 - centre[1], ASPECT / 2 - centre[0])
        radial = np.array([np.cos(a), np.sin(a)])
        s = np.linspace(radius * 0.97, radius * 0.97 + 0.12, 6)
        width = 0.024 * np.array([0.4, 0.9, 1.0, 1.0, 0.8, 0.3])
        strokes.append(Stroke(MARKER, centre + radial * s[:, None], width, "ink", float(rng.random())))
    return strokes


def _ring(rng: np.random.Generator, centre: np.ndarray, radius: float) -> list[Stroke]:
    a = np.linspace(0, 2 * np.pi, 49)
    middle, half = radius * rng.uniform(1.3, 1.4), radius * rng.uniform(0.2, 0.27)
    path = centre + middle * np.stack([np.cos(a), np.sin(a)], 1)
    out = np.radians(rng.uniform(60, 150))
    stick = centre + np.array([np.cos(out), np.sin(out)]) * np.array([[middle + half * 0.8], [FAR]])
    return [
        Stroke(MENDEZ_RING, stick, np.array([0.02, 0.03]), "steel", float(rng.random())),
        Stroke(MENDEZ_RING, path, np.full(49, half), "graduated", float(rng.random())),
    ]


def _iris_hooks(rng: np.random.Generator, centre: np.ndarray, pupil: np.ndarray, angles: np.ndarray) -> list[Stroke]:
    strokes = []
    for a in angles:
        radial = np.array([np.cos(a), np.sin(a)])
        edge = ((pupil - centre) @ radial).max()
        s = np.array([0.0, 0.015, 0.15, 0.35, 0.6, FAR])
        bow = np.array([-radial[1], radial[0]]) * rng.normal(0, 0.12)
        path = centre + radial * (edge * 0.96 + s)[:, None] + bow * (np.minimum(s, 0.8) ** 2)[:, None]
        strokes.append(Stroke(IRIS_HOOKS, path, np.array([0.006, 0.005, 0.004, 0.004, 0.004, 0.004]), "nylon"))
    return strokes


def _inside(points: np.ndarray, margin: float) -> np.ndarray:
    """[n] whether points [n, 2] lie in the frame by at least that margin."""
    return ((points > margin) & (points < np.array([ASPECT, 1.0]) - margin)).all(axis=-1)


def _tools(
    rng: np.random.Generator, ids: tuple[int, ...], centre: np.ndarray, radius: float, pupil_radius: float, flip: float
) -> list[Stroke]:
    """Strokes of the hand-held instruments: the second hand's first, all handles before all tips."""
    tips: list[Stroke] = []
    handles: list[Stroke] = []
    kinds = [i for i in ids if i in TOOLS]
    handle_ids = {TIP_OF_HANDLE[i] for i in ids if i in TIP_OF_HANDLE}
    used: list[float] = []
    held: np.ndarray | None = None  # where a needle holder or a forceps has the needle
    for kind in sorted(kinds, key=lambda i: (i == SUTURE_NEEDLE, i not in (17, 11), i)):
        tool, with_handle = TOOLS[kind], kind in handle_ids
        zoom = 0.5 + 0.5 * radius / 0.4
        degrees = rng.normal(*tool.heading)
        for _ in range(6):  # hands keep apart
            if all(abs((degrees - other + 180) % 360 - 180) > 28 for other in used):
                break
            degrees = rng.normal(tool.heading[0], tool.heading[1] * 2)
        used.append(degrees)
        out = np.radians(degrees)
        out = np.pi - out if flip < 0 else out
        tip = _tip(rng, tool.where, out, centre, radius, pupil_radius, 0.24 if with_handle else 0.06)
        if kind == SUTURE_NEEDLE and held is not None:
            tip = held
        if kind in (NEEDLE_HOLDER, TROUTMAN_FORCEPS):
            held = tip + 0.02 * np.array([np.cos(out), np.sin(out)])
        side = int(rng.choice([-1, 1]))
        line = _rotate(centre_line(tool, zoom, side), out) + tip
        thick, phase = rng.uniform(0.95, 1.25), float(rng.random())
        stop = tool.free[0][1] * zoom if tool.free else FAR
        if with_handle:
            leaves = _leaves_frame(line)
            joint = max(leaves * rng.uniform(0.32, 0.7), min(0.12, 0.7 * leaves))
            stop = joint + 0.01
            handles += [
                s
                for part in tool.handle
                if (s := part_stroke(tool.handle_id or kind, part, line, joint, FAR, zoom, thick, phase)) is not None
            ]
        tips += [
            s for part in tool.parts if (s := part_stroke(kind, part, line, 0.0, stop, zoom, thick, phase)) is not None
        ]
    return handles + tips


def _leaves_frame(line: np.ndarray) -> float:
    """Arc length at which a line that starts in the frame first leaves it."""
    s = arc_lengths(line)
    at = np.linspace(0, min(s[-1], 2.2), 90)
    outside = ~_inside(np.stack([np.interp(at, s, line[:, 0]), np.interp(at, s, line[:, 1])], 1), 0.0)
    return float(at[outside.argmax()]) if outside.any() else float(at[-1])


def _tip(
    rng: np.random.Generator,
    where: str,
    out: float,
    centre: np.ndarray,
    radius: float,
    pupil_radius: float,
    margin: float,
) -> np.ndarray:
    """Where the tip is, for an instrument that comes from direction `out`."""
    if where == "pupil":
        r, a = pupil_radius * rng.uniform(0, 0.75), rng.uniform(0, 2 * np.pi)
    elif where == "limbus_in":
        r, a = rng.uniform(0.3, 1.0) * radius, out + rng.normal(0, 0.4)
    elif where == "limbus_cut":
        r, a = rng.uniform(0.5, 1.0) * radius, out + rng.normal(0, 0.25)
    else:
        r, a = rng.uniform(1.0, 1.22) * radius, out + rng.normal(0, 0.35)
    tip = centre + r * np.array([np.cos(a), np.sin(a)])
    return np.clip(tip, margin, np.array([ASPECT, 1.0]) - margin)
