"""The eye to pixels: iris and pupil; around it skin, the lid opening with the white of the eye, tapes, lashes."""

from __future__ import annotations

import cv2
import numpy as np

from surgaug.phantom.canvas import Frame, Window, blurred, coverage, lay, tint
from surgaug.phantom.fine_lines import fine_lines
from surgaug.phantom.noise import ridge
from surgaug.phantom.scene import CORNEA, IRIS, PUPIL, TAPE, Scene
from surgaug.phantom.texture import CANVAS, Textures
from surgaug.phantom.video_style import Style

# Along a hair from its root to its tip: points, and its width in frame heights.
POINTS = 7
ALONG = np.linspace(0, 1, POINTS)
WIDTHS = 0.003 * np.linspace(1, 0.15, POINTS) ** 0.8


def eye(frame: Frame, scene: Scene, textures: Textures, rng: np.random.Generator) -> None:
    """Iris and pupil, with the limbus, the light from the fundus, and what the phase of the operation shows."""
    style = scene.style
    window = _box(frame, scene.centre, 1.3 * scene.radius)
    dx, dy = _offsets(frame, window, scene.centre, scene.radius)
    r = np.sqrt(dx * dx + dy * dy)
    # The limbus: sclera and iris run into each other over a tenth of the radius.
    rim = 0.5 * np.array(style.iris, np.float32) + 0.3 * np.array(style.sclera, np.float32)
    soft = np.float32(0.45 + 0.35 * style.limbus_soft) * np.exp(np.minimum(1 - r, 0) / 0.07)
    tint(frame.image[window], rim, soft)

    found = coverage(frame, scene.iris)
    if found is not None:
        inner, alpha = found
        part = _within(inner, window)
        r_iris = r[part]
        colour = _disk(textures.iris, dx[part], dy[part], 0.15 * np.sin(scene.seed % 1000))
        edge = np.clip((r_iris - 0.8) / 0.2, 0, 1)
        colour *= (1 - np.float32(0.5 - 0.2 * style.limbus_soft) * edge * edge)[..., None]
        soft = np.float32(0.3 + 0.5 * style.limbus_soft) * np.exp((r_iris - 1) / 0.055)
        tint(colour, rim * np.float32(0.9), np.minimum(soft, 1))
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
    pixel = 0.7 / (scene.pupil_radius * textures.scale)
    sweep = dx * np.float32(np.cos(lit)) + dy * np.float32(np.sin(lit))
    level = (1 + 0.28 * sweep) * (1 - 0.42 * np.clip((r - 0.6) / 0.4, 0, 1) ** 2)
    if scene.phase == "broken":  # grooves in the nucleus
        a = u(0, np.pi)
        for angle in (a, a + u(1.2, 1.9)):
            across = dx * np.float32(np.sin(angle)) - dy * np.float32(np.cos(angle)) + u(-0.1, 0.1)
            level -= 0.3 * ridge(across, 0.08, pixel) * np.clip((0.8 - r) / 0.1, 0, 1)
    elif scene.phase == "iol":  # rim of the implanted lens
        rim = np.hypot(dx - np.float32(u(-0.1, 0.1)), dy - np.float32(u(-0.1, 0.1))) - np.float32(u(0.68, 0.84))
        level += 0.24 * ridge(rim, 0.025, pixel) - 0.14 * ridge(rim - 0.05, 0.04, pixel)
    elif rng.random() < 0.5:  # edge of the opened capsule
        rim = r - np.float32(u(0.6, 0.75)) - 0.05 * sweep - 0.09 * dx * dy
        level += 0.11 * ridge(rim, 0.03, pixel)
    # Light from the fundus that passes beside the clouds, brightest at the side it comes from.
    level += clear * np.float32(u(0.1, 0.6)) * np.exp(-(((r - 0.84) / 0.13) ** 2)) * np.clip(sweep, 0, 1) ** 2
    return colour * level[..., None]


def surroundings(frame: Frame, scene: Scene, textures: Textures, rng: np.random.Generator) -> None:
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
    depth = blurred(whole, 0.045 * frame.scale)  # 0.5 at the lid margin, 1 well inside the opening
    margin = np.exp(-(((depth - 0.4) / 0.16) ** 2))
    crease = np.exp(-(((depth - 0.07) / 0.06) ** 2))
    frame.image *= (1 - 0.14 * crease)[..., None]
    frame.image += (0.5 * (frame.image + sclera * np.array([1.0, 0.72, 0.7], np.float32)) - frame.image) * (
        0.75 * margin
    )[..., None]
    lashes(frame, scene, rng)
    near = np.clip((1 - depth[window]) * 2, 0, 1)
    darker = cv2.merge([1 - near * f for f in _fornix(style)])
    lay(frame, window, alpha, CORNEA, sclera[window] * darker)


def tapes(frame: Frame, scene: Scene, textures: Textures) -> None:
    """The tapes, each with its shadow."""
    for tape in scene.tapes:
        found = coverage(frame, tape)
        if found is None:
            continue
        window, alpha = found
        whole = np.zeros(frame.hw, np.float32)
        whole[window] = alpha
        shadow = blurred(whole, 0.02 * frame.scale) * np.float32(0.5 / 255)
        frame.image *= (1 - shadow)[..., None]
        colour = _warp(frame, scene, textures, textures.tape)[window]
        inside = blurred(whole, 0.006 * frame.scale + 0.3)[window] * np.float32(1 / 255)
        lay(frame, window, alpha, TAPE, colour * (0.86 + 0.14 * inside)[..., None])


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


def _fornix(style: Style) -> np.ndarray:
    """How much darker and redder the white of the eye becomes towards the lids, float32 [3]."""
    return (0.12 + np.array([0.02, 0.3, 0.32]) * (0.3 + 0.7 * style.redness)).astype(np.float32)


def lashes(frame: Frame, scene: Scene, rng: np.random.Generator) -> None:
    """Darken the frame where hairs lie; nothing of them comes onto the eye, which is laid over them."""
    hairs = _hairs(scene, rng)
    strengths = rng.uniform(0.6, 0.95, len(hairs))
    widths = np.tile(WIDTHS * frame.scale, (len(hairs), 1))
    cover = fine_lines(frame.hw, frame.pixels(hairs), widths, strengths)
    frame.image *= (1 - np.float32(0.88) * cover)[..., None]


def _hairs(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """[n, POINTS, 2] in scene units, from the root outwards. Hairs of a tuft lean and curl alike, their tips nearer to
    each other than their roots."""
    n, tufts = len(scene.opening), int(rng.integers(3, 12))
    members = rng.integers(4, 9, tufts)
    tuft = np.repeat(np.arange(tufts), members)
    place = np.arange(len(tuft)) - np.repeat(np.cumsum(members) - members, members) - (members[tuft] - 1) / 2
    stretch, first = rng.uniform(0.3, 0.6), rng.integers(n)
    at = (first + rng.random(tufts) ** 1.3 * stretch * n)[tuft] + 0.55 * place + rng.normal(0, 0.2, len(tuft))
    low = np.floor(at).astype(int)
    share = (at - low)[:, None]
    root = scene.opening[low % n] * (1 - share) + scene.opening[(low + 1) % n] * share
    away = root - np.array(scene.centre)
    away /= np.hypot(*away.T)[:, None]
    root = root + away * rng.uniform(0.0, 0.022, (len(tuft), 1))
    angle = np.arctan2(away[:, 1], away[:, 0]) + rng.normal(0, 0.35, tufts)[tuft] - 0.09 * place
    angle += rng.normal(0, 0.08, len(tuft))
    curl = ((1 if rng.random() < 0.5 else -1) * rng.uniform(0.5, 1.3, tufts))[tuft] + rng.normal(0, 0.15, len(tuft))
    length = rng.uniform(0.08, 0.17, tufts)[tuft] * rng.uniform(0.7, 1.1, len(tuft))
    turned = angle[:, None] + curl[:, None] * ALONG
    steps = (length / (POINTS - 1))[:, None, None] * np.stack([np.cos(turned), np.sin(turned)], axis=2)
    return root[:, None] + np.cumsum(steps, axis=1) - steps[:, :1]
