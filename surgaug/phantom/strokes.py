"""Strokes of a phantom frame: hands, retractors, ink and ring, iris hooks, and the instruments with their handles."""

from __future__ import annotations

import numpy as np

from surgaug.phantom.instruments import FAR, TIP_OF_HANDLE, TOOLS
from surgaug.phantom.outlines import rotate
from surgaug.phantom.scene import (
    ASPECT,
    HAND,
    IRIS_HOOKS,
    MARKER,
    MENDEZ_RING,
    NEEDLE_HOLDER,
    RETRACTORS,
    SUTURE_NEEDLE,
    TROUTMAN_FORCEPS,
    Stroke,
    arc_lengths,
    centre_line,
    part_stroke,
)
from surgaug.phantom.video_style import Style


def retractors(
    rng: np.random.Generator, style: Style, centre: np.ndarray, radius: float, anchors: np.ndarray
) -> tuple[Stroke, ...]:
    """Wire hooks that hold the lids at some of the opening's anchors."""
    strokes = []
    pulls = anchors[[1, 2, 4, 5]]
    inside = np.asarray(((pulls > [0.03, 0.04]) & (pulls < [ASPECT - 0.03, 0.96])).all(axis=1))
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


def hands(rng: np.random.Generator, centre: np.ndarray, radius: float, flip: float) -> tuple[Stroke, ...]:
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


def ink(rng: np.random.Generator, centre: np.ndarray, radius: float, roll: float) -> list[Stroke]:
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


def ring(rng: np.random.Generator, centre: np.ndarray, radius: float) -> list[Stroke]:
    """The Mendez ring round the iris, and its stick."""
    a = np.linspace(0, 2 * np.pi, 49)
    middle, half = radius * rng.uniform(1.3, 1.4), radius * rng.uniform(0.2, 0.27)
    path = centre + middle * np.stack([np.cos(a), np.sin(a)], 1)
    out = np.radians(rng.uniform(60, 150))
    stick = centre + np.array([np.cos(out), np.sin(out)]) * np.array([[middle + half * 0.8], [FAR]])
    return [
        Stroke(MENDEZ_RING, stick, np.array([0.02, 0.03]), "steel", float(rng.random())),
        Stroke(MENDEZ_RING, path, np.full(49, half), "graduated", float(rng.random())),
    ]


def iris_hooks(rng: np.random.Generator, centre: np.ndarray, pupil: np.ndarray, angles: np.ndarray) -> list[Stroke]:
    """A hook from the pupil's edge outwards at each of the angles (radians)."""
    strokes = []
    for a in angles:
        radial = np.array([np.cos(a), np.sin(a)])
        edge = ((pupil - centre) @ radial).max()
        s = np.array([0.0, 0.015, 0.15, 0.35, 0.6, FAR])
        bow = np.array([-radial[1], radial[0]]) * rng.normal(0, 0.12)
        path = centre + radial * (edge * 0.96 + s)[:, None] + bow * (np.minimum(s, 0.8) ** 2)[:, None]
        strokes.append(Stroke(IRIS_HOOKS, path, np.array([0.006, 0.005, 0.004, 0.004, 0.004, 0.004]), "nylon"))
    return strokes


def tools(
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
        line = rotate(centre_line(tool, zoom, side), out) + tip
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


def _inside(points: np.ndarray, margin: float) -> np.ndarray:
    """[n] whether points [n, 2] lie in the frame by at least that margin."""
    return np.asarray(((points > margin) & (points < np.array([ASPECT, 1.0]) - margin)).all(axis=-1))
