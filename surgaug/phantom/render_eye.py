"""Iris and pupil, and the light that the wet eye throws back."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.phantom.canvas import Frame, Window, blurred, coverage, lay
from surgaug.phantom.scene import IRIS, PUPIL, Scene
from surgaug.phantom.texture import Textures


def eye(frame: Frame, scene: Scene, textures: Textures, rng: np.random.Generator) -> None:
    """Iris and pupil, with the limbus, the light from the fundus, and what the phase of the operation shows."""
    style = scene.style
    window = _box(frame, scene.centre, 1.3 * scene.radius)
    dx, dy = _offsets(frame, window, scene.centre, scene.radius)
    r = np.sqrt(dx * dx + dy * dy)
    # The limbus: sclera and iris run into each other over a tenth of the radius.
    rim = 0.5 * np.array(style.iris, np.float32) + 0.3 * np.array(style.sclera, np.float32)
    view = frame.image[window]
    view += (rim - view) * (np.float32(0.3 + 0.35 * style.limbus_soft) * np.exp(np.minimum(1 - r, 0) / 0.06))[..., None]

    found = coverage(frame, scene.iris)
    if found is not None:
        inner, alpha = found
        part = _within(inner, window)
        r_iris = r[part]
        colour = _disk(textures.iris, dx[part], dy[part], 0.15 * np.sin(scene.seed % 1000))
        edge = np.clip((r_iris - 0.8) / 0.2, 0, 1)
        colour *= (1 - np.float32(0.5 - 0.2 * style.limbus_soft) * edge * edge)[..., None]
        soft = np.float32(0.15 + 0.5 * style.limbus_soft) * np.exp((r_iris - 1) / 0.045)
        colour += (rim * np.float32(0.9) - colour) * np.minimum(soft, 1)[..., None]
        lay(frame, inner, alpha, IRIS, colour)

    found = coverage(frame, scene.pupil)
    if found is None:
        return
    inner, alpha = found
    # The pupil's own shadow on the iris round it.
    shadow = blurred(np.pad(alpha, 2).astype(np.float32), max(0.8, 0.012 * frame.scale))[2:-2, 2:-2]
    frame.image[inner] *= (1 - shadow * np.float32(0.5 / 255))[..., None]
    dx, dy = _offsets(frame, inner, scene.pupil_centre, scene.pupil_radius)
    lay(frame, inner, alpha, PUPIL, _pupil_colour(scene, textures, rng, dx, dy))


def wet_light(frame: Frame, scene: Scene, rng: np.random.Generator) -> None:
    """Reflections of the microscope's lamps on the cornea, and on the tear film round the limbus."""
    layer = np.zeros(frame.hw, np.uint8)
    centres, axes, angles, greys = _reflections(scene, rng)
    axes = axes * frame.scale
    greys = 255 * greys * np.minimum(1, 4 * axes[:, 0] * np.maximum(axes[:, 1], 0.5))  # small spots are fainter
    whole = np.rint(16 * np.concatenate([frame.pixels(centres), np.maximum(axes, 0.25)], axis=1)).astype(int).tolist()
    for (x, y, long, short), angle, grey in zip(whole, angles.tolist(), greys.tolist(), strict=True):
        cv2.ellipse(layer, (x, y), (long, short), angle, 0, 360, int(grey), -1, cv2.LINE_AA, 4)
    glow = layer.astype(np.float32) * np.float32(1 / 255)
    glow += np.float32(0.45) * blurred(glow, 0.012 * frame.scale)
    cv2.add(frame.image, cv2.merge((glow, glow * np.float32(0.97), glow * np.float32(0.86))), dst=frame.image)


def _box(frame: Frame, centre: tuple[float, float], radius: float) -> Window:
    """The pixels of the square round a circle that lie in the frame, at least one."""
    low, high = frame.pixels(np.array([np.subtract(centre, radius), np.add(centre, radius)]))
    (left, top), (right, bottom) = np.floor(low).astype(int), np.ceil(high).astype(int) + 1
    h, w = frame.hw
    top, left = min(max(top, 0), h - 1), min(max(left, 0), w - 1)
    return slice(top, max(min(bottom, h), top + 1)), slice(left, max(min(right, w), left + 1))


def _within(inner: Window, outer: Window) -> Window:
    """`inner` counted from the corner of `outer`."""
    return tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True))  # type: ignore[return-value]


def _offsets(frame: Frame, window: Window, centre: tuple[float, float], radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Offsets float32 [h, w] of a window's pixels from a centre, in radii: to the right and down."""
    hw = (window[0].stop - window[0].start, window[1].stop - window[1].start)
    dx = (frame.x[0, window[1]] - np.float32(centre[0])) * np.float32(1 / radius)
    dy = (frame.y[window[0], 0] - np.float32(centre[1])) * np.float32(1 / radius)
    return np.broadcast_to(dx, hw), np.broadcast_to(dy[:, None], hw)


def _disk(texture: np.ndarray, dx: np.ndarray, dy: np.ndarray, spin: float) -> np.ndarray:
    """A disk texture at offsets in radii, turned by `spin`; float32 [h, w, 3] 0..1."""
    half, c, s = texture.shape[0] / 2, np.cos(spin), np.sin(spin)
    u = (dx * np.float32(c * half) + dy * np.float32(s * half)) + np.float32(half - 0.5)
    v = (dy * np.float32(c * half) - dx * np.float32(s * half)) + np.float32(half - 0.5)
    out = cv2.remap(texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out.astype(np.float32) * np.float32(1 / 255)


def _pupil_colour(
    scene: Scene, textures: Textures, rng: np.random.Generator, dx: np.ndarray, dy: np.ndarray
) -> np.ndarray:
    """float32 [h, w, 3] at offsets in pupil radii."""
    u, r = rng.uniform, np.sqrt(dx * dx + dy * dy)
    spin, lit = u(-0.6, 0.6), u(0, 2 * np.pi)
    clear = {"lens": u(0.0, 0.25), "broken": u(0.2, 0.7), "cortex": u(0.6, 0.95), "iol": u(0.85, 1.0)}[scene.phase]
    clear = np.float32(clear)
    colour = _disk(textures.lens, dx, dy, spin) * (1 - clear) + _disk(textures.reflex, dx, dy, -spin) * clear
    sweep = dx * np.float32(np.cos(lit)) + dy * np.float32(np.sin(lit))
    level = (1 + 0.28 * sweep) * (1 - 0.42 * np.clip((r - 0.6) / 0.4, 0, 1) ** 2)
    if scene.phase == "broken":  # grooves in the nucleus
        a = u(0, np.pi)
        for angle in (a, a + u(1.2, 1.9)):
            across = dx * np.float32(np.sin(angle)) - dy * np.float32(np.cos(angle)) + u(-0.1, 0.1)
            level -= 0.3 * np.exp(-((across / 0.08) ** 2)) * (r < 0.75)
    elif scene.phase == "iol":  # rim of the implanted lens
        rim = np.hypot(dx - np.float32(u(-0.1, 0.1)), dy - np.float32(u(-0.1, 0.1))) - np.float32(u(0.68, 0.84))
        level += 0.22 * np.exp(-((rim / 0.025) ** 2)) - 0.14 * np.exp(-(((rim - 0.05) / 0.04) ** 2))
    elif rng.random() < 0.5:  # edge of the opened capsule
        rim = r - np.float32(u(0.6, 0.75)) - 0.05 * sweep
        level += 0.13 * np.exp(-((rim / 0.03) ** 2))
    return colour * level[..., None]


def _reflections(scene: Scene, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Ellipses: centres [n, 2] and half axes [n, 2] in scene units, angles [n] in degrees, brightness [n] 0..1."""
    u, centre, radius = rng.uniform, np.array(scene.centre), scene.radius
    reflex = np.array(scene.style.reflex_at)
    rows, n = int(rng.integers(1, 4)), int(rng.integers(6, 16))
    main = centre + radius * (reflex + rng.normal(0, 0.06, 2))
    second = centre - radius * (reflex * u(0.8, 1.6)) + [0, 0.3 * radius]
    # The wet rim: rows of short glints.
    a = (rng.normal(1.5, 1.2, (rows, 1)) + np.arange(6) * u(0.04, 0.09, (rows, 1)))[u(0, 1, (rows, 6)) < 0.7]
    out = radius * (np.repeat(u(0.98, 1.3, rows), 6)[: len(a)] + u(-0.02, 0.02, len(a)))
    glints = centre + out[:, None] * np.stack([np.cos(a), np.sin(a)], axis=1)
    return (
        np.concatenate([main[None], main + rng.normal(0, 1, (n, 2)) * [0.014, 0.022], second[None], glints]),
        np.concatenate(
            [
                u(0.008, 0.013, (1, 2)),
                u(0.0015, 0.006, (n, 1)) * [1, 0.75],
                u(0.008, 0.028) * np.array([[1, u(0.1, 0.35)]]),
                u(0.003, 0.014, (len(a), 1)) * [1, u(0.12, 0.4)],
            ]
        ),
        np.concatenate([u(0, 180, n + 1), u(-35, 35, 1), np.degrees(a) + 90 + u(-17, 17, len(a))]),
        np.concatenate([[1.0], u(0.3, 1, n), u(0.4, 0.9, 1), u(0.15, 0.9, len(a))]),
    )
