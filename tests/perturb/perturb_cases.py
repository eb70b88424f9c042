"""Label spaces and random label maps for the tests of perturbations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st

from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.perturb import ops
from surgaug.perturb.mixer import move_camera, perform
from surgaug.perturb.operation import Context, Op
from surgaug.perturb.scene.scene import Scene

CADIS = load_space("cadis")
TASK2 = load_space("cadis-task2")
TWO = LabelSpace("auto", (LabelClass(0, "background"), LabelClass(1, "foreground")))
MANY = LabelSpace("auto", tuple(LabelClass(i, f"class {i}") for i in range(5)))
WIDE = LabelSpace(
    "wide",
    (
        LabelClass(300, "tissue", "anatomy"),
        LabelClass(40000, "tumour", "anatomy"),
        LabelClass(65000, "grasper", "instrument", depth=5, group="tools"),
        LabelClass(1000, "hook", "instrument", depth=5, group="tools"),
    ),
    ignore=65535,
)
SPACES = (CADIS, TASK2, TWO, MANY, WIDE, replace(TWO, ignore=255))


def draw(
    name: str, scene: Scene, rng: np.random.Generator, settings=(), **context: Any
) -> tuple[np.ndarray, dict[str, Any]]:
    """One draw of an operation, as the engine makes it: the new map and the record of it. Raises Rejected."""
    op = Op(name, settings=tuple(settings))
    if ops.layer(name) == "camera":
        made, (record,) = move_camera(scene, [op], rng)
    else:
        made, (record,) = perform(scene, op, rng, Context(**context))
    return made.label_map, {key: value for key, value in record.items() if key not in ("op", "balance")}


def dtype_of(space: LabelSpace) -> np.dtype:
    return np.dtype(np.uint8 if space.max_id < 256 else np.uint16)


def eye(hw: tuple[int, int] = (270, 480)) -> np.ndarray:
    """CaDIS ids: skin in the corners, the eye, a phaco handpiece with its handle from below, a hook from the left."""
    h, w = hw
    scene = np.full(hw, 5, np.uint8)
    centre = (w // 2, h // 2)
    cv2.ellipse(scene, centre, (int(0.48 * w), int(0.55 * h)), 0, 0, 360, 6, -1)
    cv2.ellipse(scene, centre, (int(0.35 * h), int(0.33 * h)), 0, 0, 360, 4, -1)
    cv2.ellipse(scene, centre, (int(0.22 * h), int(0.22 * h)), 0, 0, 360, 0, -1)
    thick = max(3, h // 25)
    cv2.line(scene, (int(0.62 * w), h), (w // 2, int(0.55 * h)), 13, thick)
    cv2.line(scene, (int(0.66 * w), int(1.1 * h)), (int(0.605 * w), int(0.9 * h)), 21, 2 * thick)
    cv2.line(scene, (0, int(0.7 * h)), (int(0.42 * w), int(0.52 * h)), 17, max(2, thick // 3))
    return scene


@st.composite
def label_maps(draw, spaces=SPACES) -> tuple[np.ndarray, LabelSpace]:
    """A random label map with its space: shapes of random classes over one, specks and ignored regions among them."""
    space = draw(st.sampled_from(spaces))
    h, w = draw(st.integers(1, 90)), draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ids = [*space.ids, *([] if space.ignore is None else [space.ignore])]
    scene = np.full((h, w), rng.choice(space.ids), np.int32)
    for _ in range(draw(st.integers(0, 7))):
        color = int(rng.choice(ids))
        a, b = (tuple(int(v) for v in rng.integers(-20, [w + 20, h + 20])) for _ in range(2))
        shape = rng.integers(4)
        if shape == 0:
            cv2.line(scene, a, b, color, int(rng.integers(1, 10)))
        elif shape == 1:
            axes = tuple(int(v) for v in rng.integers(1, 60, 2))
            cv2.ellipse(scene, a, axes, float(rng.uniform(0, 180)), 0, 360, color, -1)
        elif shape == 2:
            cv2.rectangle(scene, a, b, color, -1)
        else:
            scene[rng.integers(h), rng.integers(w)] = color
    return scene.astype(dtype_of(space)), space
