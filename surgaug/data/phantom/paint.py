"""A scene's geometry to pixels: the image and the label map, drawn layer by layer from the same outlines.

A pixel takes a layer's label where the layer covers at least half of it, and its colour by the covered share, so that
image and label map agree to within a pixel.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from surgaug.data.phantom.geometry import ASPECT, CORNEA, IRIS, PUPIL, SKIN, TAPE, Scene
from surgaug.data.phantom.instruments import Stroke, arc_lengths, outline
from surgaug.data.phantom.material import MATERIALS
from surgaug.data.phantom.style import Style
from surgaug.data.phantom.texture import CANVAS, Textures, octaves, video_textures

Window = tuple[slice, slice]


class Frame:
    """The picture in the making: image float32 [H, W, 3] 0..1, label_map uint8 [H, W], `scale` pixels a frame height.

    A frame that is not 16:9 shows the middle of the scene, filled to its borders.
    """

    def __init__(self, hw: tuple[int, int]) -> None:
        self.hw = hw
        self.scale = max(hw[0], hw[1] / ASPECT)
        self.origin = np.array([(ASPECT * self.scale - hw[1]) / 2, (self.scale - hw[0]) / 2])
        self.x, self.y = _grid(hw)
        self.image = np.empty((*hw, 3), np.float32)
        self.label_map = np.full(hw, SKIN, np.uint8)

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Scene points [..., 2] to pixel coordinates, in which pixel centres are whole numbers."""
        return points * self.scale - self.origin - 0.5


@lru_cache(maxsize=8)
def _grid(hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Scene coordinates float32 [H, W] of the pixel centres: x and y."""
    scale = max(hw[0], hw[1] / ASPECT)
    x = (np.arange(hw[1], dtype=np.float32) + 0.5 + (ASPECT * scale - hw[1]) / 2) / scale
    y = (np.arange(hw[0], dtype=np.float32) + 0.5 + (scale - hw[0]) / 2) / scale
    return np.broadcast_to(x, hw), np.broadcast_to(y[:, None], hw)


def coverage(frame: Frame, points: np.ndarray) -> tuple[Window, np.ndarray] | None:
    """Share uint8 (0..255) of each pixel in the closed outline [n, 2] of scene points, for the window it needs.

    None when the outline lies outside of the frame. Even-odd where it crosses itself.
    """
    p = frame.pixels(points)
    (left, top), (right, bottom) = p.min(axis=0).tolist(), p.max(axis=0).tolist()
    left, top = max(int(left) - 1, 0), max(int(top) - 1, 0)
    right, bottom = min(int(right) + 3, frame.hw[1]), min(int(bottom) + 3, frame.hw[0])
    if right <= left or bottom <= top:
        return None
    w, h = right - left, bottom - top
    fine = 4 if frame.scale <= 200 else 2
    mask = np.zeros((h * fine, w * fine), np.uint8)
    corners = (p - (left, top)) * (fine * 16) + (fine - 1) * 8
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 255, cv2.LINE_8, 4)
    return (slice(top, bottom), slice(left, right)), cv2.resize(mask, (w, h), interpolation=cv2.INTER_AREA)


def _lay(frame: Frame, window: Window, alpha: np.ndarray, class_id: int, colour: np.ndarray) -> None:
    """Blend `colour` [h, w, 3] into the window by alpha uint8 [h, w], and label."""
    view = frame.image[window]
    view += (colour - view) * (alpha.astype(np.float32) * np.float32(1 / 255))[..., None]
    frame.label_map[window][alpha >= 128] = class_id


def _soft(alpha: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of a float32 map by `sigma` pixels, computed on a coarser grid where sigma allows."""
    step = int(sigma / 2.5)
    if step < 2:
        return cv2.GaussianBlur(alpha, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    h, w = alpha.shape
    small = cv2.resize(alpha, (max(1, w // step), max(1, h // step)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / step, borderType=cv2.BORDER_REPLICATE)
    return cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR)


def paint_scene(scene: Scene, hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Image uint8 RGB [H, W, 3] and label map uint8 [H, W] of a scene."""
    frame = Frame(hw)
    textures = video_textures(scene.style.video, max(16, round(frame.scale)))
    rng = np.random.default_rng([scene.seed, 0xC01])
    _surroundings(frame, scene, textures, rng)
    _eye(frame, scene, textures, rng)
    _tapes(frame, scene, textures)
    _wet_light(frame, scene, rng)
    for stroke in (*scene.hands, *scene.retractors, *scene.instruments):
        _stroke(frame, stroke, scene.style)
    return _expose(frame, scene, rng), frame.label_map


def _warp(frame: Frame, scene: Scene, textures: Textures, canvas: np.ndarray) -> np.ndarray:
    """A canvas moved with the eye, float32 [H, W, 3] 0..1."""
    scale = textures.scale / frame.scale * scene.style.radius / scene.radius
    c, s = np.cos(scene.roll) * scale, np.sin(scene.roll) * scale
    a = np.array([[c, s], [-s, c]])
    eye = frame.pixels(np.array(scene.centre))
    middle = np.array([CANVAS[1], CANVAS[0]]) * textures.scale / 2 - 0.5
    m = np.concatenate([a, (middle - a @ eye)[:, None]], axis=1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(canvas, m, (frame.hw[1], frame.hw[0]), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return out.astype(np.float32) * np.float32(1 / 255)


def _surroundings(frame: Frame, scene: Scene, textures: Textures, rng: np.random.Generator) -> None:
    """Skin, and in the lid opening the white of the eye (CaDIS's Cornea)."""
    style = scene.style
    skin, sclera = _warp(frame, scene, textures, textures.skin), _warp(frame, scene, textures, textures.sclera)
    frame.image[:] = skin
    found = coverage(frame, scene.opening)
    if found is None:
        return
    window, alpha = found
    whole = np.zeros(frame.hw, np.float32)
    whole[window] = alpha
    whole *= np.float32(1 / 255)
    depth = _soft(whole, 0.045 * frame.scale)  # 0.5 at the lid margin, 1 well inside the opening
    margin = np.exp(-(((depth - 0.4) / 0.16) ** 2))
    crease = np.exp(-(((depth - 0.07) / 0.06) ** 2))
    frame.image *= (1 - 0.14 * crease)[..., None]
    frame.image += (0.5 * (frame.image + sclera * np.array([1.0, 0.72, 0.7], np.float32)) - frame.image) * (
        0.75 * margin
    )[..., None]
    _lashes(frame, scene, rng)
    near = np.clip((1 - depth) * 2, 0, 1)[..., None]
    sclera = sclera * (1 - near * _fornix(style))
    _lay(frame, window, alpha, CORNEA, sclera[window])


def _fornix(style: Style) -> np.ndarray:
    """How much darker and redder the white of the eye becomes towards the lids, float32 [3]."""
    return (0.12 + np.array([0.02, 0.3, 0.32]) * (0.3 + 0.7 * style.redness)).astype(np.float32)


def _lashes(frame: Frame, scene: Scene, rng: np.random.Generator) -> None:
    """Dark hairs that grow outwards from the lid margin; they stay skin in the label map."""
    n = len(scene.opening)
    tufts = np.repeat(np.arange(int(rng.integers(2, 6))), 11)
    tufts = tufts[rng.random(len(tufts)) < 0.8]
    if not len(tufts):
        return
    first, lean = rng.integers(n, size=6)[tufts], rng.normal(0, 0.5, 6)[tufts]
    length = rng.uniform(0.05, 0.14, 6)[tufts] * rng.uniform(0.7, 1.2, len(tufts))
    root = scene.opening[(first + np.arange(len(tufts)) % 11 // 2) % n] + rng.normal(0, 0.012, (len(tufts), 2))
    angle = np.arctan2(root[:, 1] - scene.centre[1], root[:, 0] - scene.centre[0]) + lean
    angle += rng.normal(0, 0.13, len(tufts))
    t = np.linspace(0, 1, 5)
    turned = angle[:, None] + rng.normal(0, 0.5, 6)[tufts, None] * t + rng.normal(0, 0.15, (len(tufts), 1)) * t
    hairs = root[:, None] + (length[:, None] * t)[..., None] * np.stack([np.cos(turned), np.sin(turned)], axis=2)
    layer = np.zeros(frame.hw, np.uint8)
    points = np.round(frame.pixels(hairs) * 16).astype(np.int32)
    grey = max(int(min(1.0, 0.006 * frame.scale) * 200), 70)
    cv2.polylines(layer, list(points), False, grey, max(1, round(0.0026 * frame.scale)), cv2.LINE_AA, 4)
    frame.image *= (1 - layer.astype(np.float32) * np.float32(0.8 / 255))[..., None]


def _eye(frame: Frame, scene: Scene, textures: Textures, rng: np.random.Generator) -> None:
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
        _lay(frame, inner, alpha, IRIS, colour)

    found = coverage(frame, scene.pupil)
    if found is None:
        return
    inner, alpha = found
    # The pupil's own shadow on the iris round it.
    soft = _soft(np.pad(alpha, 2).astype(np.float32), max(0.8, 0.012 * frame.scale))[2:-2, 2:-2] * np.float32(0.5 / 255)
    frame.image[inner] *= (1 - soft)[..., None]
    dx, dy = _offsets(frame, inner, scene.pupil_centre, scene.pupil_radius)
    _lay(frame, inner, alpha, PUPIL, _pupil_colour(scene, textures, rng, dx, dy))


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


def _tapes(frame: Frame, scene: Scene, textures: Textures) -> None:
    for tape in scene.tapes:
        found = coverage(frame, tape)
        if found is None:
            continue
        window, alpha = found
        whole = np.zeros(frame.hw, np.float32)
        whole[window] = alpha
        shadow = _soft(whole, 0.02 * frame.scale) * np.float32(0.5 / 255)
        frame.image *= (1 - shadow)[..., None]
        colour = _warp(frame, scene, textures, textures.tape)[window]
        inside = _soft(whole, 0.006 * frame.scale + 0.3)[window] * np.float32(1 / 255)
        _lay(frame, window, alpha, TAPE, colour * (0.86 + 0.14 * inside)[..., None])


def _wet_light(frame: Frame, scene: Scene, rng: np.random.Generator) -> None:
    """Reflections of the microscope's lamps on the cornea, and on the tear film round the limbus."""
    layer = np.zeros(frame.hw, np.uint8)
    centres, axes, angles, greys = _reflections(scene, rng)
    axes = axes * frame.scale
    greys = 255 * greys * np.minimum(1, 4 * axes[:, 0] * np.maximum(axes[:, 1], 0.5))  # small spots are fainter
    whole = np.rint(16 * np.concatenate([frame.pixels(centres), np.maximum(axes, 0.25)], axis=1)).astype(int).tolist()
    for (x, y, long, short), angle, grey in zip(whole, angles.tolist(), greys.tolist(), strict=True):
        cv2.ellipse(layer, (x, y), (long, short), angle, 0, 360, int(grey), -1, cv2.LINE_AA, 4)
    glow = layer.astype(np.float32) * np.float32(1 / 255)
    glow += np.float32(0.45) * _soft(glow, 0.012 * frame.scale)
    cv2.add(frame.image, cv2.merge((glow, glow * np.float32(0.97), glow * np.float32(0.86))), dst=frame.image)


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


def stroke_coordinates(
    stroke: Stroke, x: np.ndarray, y: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For scene points x, y [n], by the nearest piece of the stroke: v across it, s along it, half width, float32 [n].

    v runs from -1 to 1 between the edges, s from 0 at the first point, in scene units; `least` is the least half width.
    """
    a, d = stroke.path[:-1], np.diff(stroke.path, axis=0)
    squared = np.maximum((d * d).sum(1), 1e-12)
    a, d, squared = a.astype(np.float32), d.astype(np.float32), squared.astype(np.float32)
    px, py = x[None] - a[:, :1], y[None] - a[:, 1:]
    t = np.clip((px * d[:, :1] + py * d[:, 1:]) / squared[:, None], 0, 1)
    ex, ey = px - t * d[:, :1], py - t * d[:, 1:]
    nearest = (ex * ex + ey * ey).argmin(axis=0)
    pick = np.arange(len(x))
    t = t[nearest, pick]
    length = np.sqrt(squared)[nearest]
    w = np.maximum(stroke.half_width, least).astype(np.float32)
    w = w[nearest] * (1 - t) + w[nearest + 1] * t
    across = (px[nearest, pick] * -d[nearest, 1] + py[nearest, pick] * d[nearest, 0]) / length
    s = arc_lengths(stroke.path)[nearest].astype(np.float32) + t * length
    return np.clip(across / w, -1, 1), s, w


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """float32 [512, 512] noise of surfaces, one cell a pixel of a frame 540 high."""
    return octaves([7, 7], (512, 512), (512, 512), [0.25, 0.5, 1.0], 1.0)


def _stroke(frame: Frame, stroke: Stroke, style: Style) -> None:
    """One stroke with its shadow."""
    least = 0.42 / frame.scale
    found = coverage(frame, outline(stroke, least))
    if found is None:
        return
    window, alpha = found
    _shadow(frame, window, alpha, float(stroke.half_width[len(stroke.half_width) // 2]))
    rows, columns = np.nonzero(alpha)
    share = alpha[rows, columns]
    rows, columns = rows + window[0].start, columns + window[1].start
    x, y = frame.x[0, columns], frame.y[rows, 0]
    v, s, w = stroke_coordinates(stroke, x, y, least)
    cells = _grain()
    grain = cells[(y * 540).astype(np.int32) & 511, (x * 540).astype(np.int32) & 511]
    grain = grain * np.float32(min(1.0, frame.scale / 300))
    material = MATERIALS[stroke.material]
    if float(stroke.half_width[0]) * frame.scale < 5:
        # A pixel sees much of a thin stroke's width: the mean of three looks, or its highlight breaks into a rope.
        reach = np.float32(0.8 / frame.scale) / w
        low, high = np.maximum(v - reach, -1), np.minimum(v + reach, 1)
        looks = np.concatenate([(5 * low + high) / 6, (low + high) / 2, (low + 5 * high) / 6])
        colour, opacity = material(looks, np.tile(s, 3), np.tile(grain, 3), stroke.phase, style)
        colour = colour.reshape(3, -1, 3).mean(axis=0)
        opacity = opacity.reshape(3, -1).mean(axis=0) if isinstance(opacity, np.ndarray) else opacity
    else:
        colour, opacity = material(v, s, grain, stroke.phase, style)
    under = frame.image[rows, columns]
    blend = (share.astype(np.float32) * np.float32(1 / 255)) * opacity
    frame.image[rows, columns] = under + (colour - under) * blend[:, None]
    keep = share >= 128
    frame.label_map[rows[keep], columns[keep]] = stroke.id


def _shadow(frame: Frame, window: Window, alpha: np.ndarray, half_width: float) -> None:
    """A soft shadow of what covers the window, down and to the right; wider for thick (and so higher) strokes."""
    sigma = max(0.6, (0.004 + 0.25 * half_width) * frame.scale)
    right, down = round((0.35 * half_width + 0.006) * frame.scale), round((0.6 * half_width + 0.008) * frame.scale)
    pad = int(2 * sigma) + 1
    top, left = max(window[0].start + down - pad, 0), max(window[1].start + right - pad, 0)
    bottom, end = min(window[0].stop + down + pad, frame.hw[0]), min(window[1].stop + right + pad, frame.hw[1])
    if bottom <= top or end <= left:
        return
    wide = np.zeros((bottom - top, end - left), np.float32)
    row, column = window[0].start + down - top, window[1].start + right - left
    part = alpha[max(-row, 0) :, max(-column, 0) :]
    row, column = max(row, 0), max(column, 0)
    part = part[: max(wide.shape[0] - row, 0), : max(wide.shape[1] - column, 0)]
    wide[row : row + part.shape[0], column : column + part.shape[1]] = part
    frame.image[top:bottom, left:end] *= (1 - np.float32(0.42 / 255) * _soft(wide, sigma))[..., None]


@lru_cache(maxsize=64)
def _light(
    video_light: tuple[float, float], vignette: float, gain: tuple[float, float, float], hw: tuple[int, int]
) -> np.ndarray:
    x, y = _grid(hw)
    r2 = ((x - video_light[0]) ** 2 + (y - video_light[1]) ** 2) / np.float32(0.9)
    return (np.float32(1.08) / (1 + vignette * 1.6 * r2) ** 2)[..., None] * np.array(gain, np.float32)


def _expose(frame: Frame, scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Light, lens blur, sensor noise, and the camera's shoulder; uint8 RGB."""
    style = scene.style
    image = frame.image
    image *= _light(style.light_centre, style.vignette, style.gain, frame.hw) * np.float32(scene.exposure)
    sigma = style.blur * frame.scale
    image = cv2.GaussianBlur(image, (0, 0), max(sigma, 0.28)) if frame.scale > 40 else image
    noise = rng.standard_normal(frame.hw, np.float32)[..., None] * np.float32(style.noise * min(1.0, frame.scale / 200))
    image += noise
    np.maximum(image, 0, out=image)
    # Shoulder: linear up to 0.7, then bending towards 1.
    over = np.maximum(image - np.float32(0.7), 0)
    image -= over * over / (over + np.float32(0.5))
    image *= 255
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)
