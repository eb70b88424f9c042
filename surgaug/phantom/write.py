"""Phantom frames on disk, in the layout of CaDIS."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from surgaug.errors import DataError
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.builtin_spaces import load_space
from surgaug.phantom.frequencies import FRAMES, FRAMES_BY_VIDEO, SPLITS
from surgaug.phantom.geometry import make_scene
from surgaug.phantom.rendering import render_scene
from surgaug.runtime.feedback import Feedback, Silent

GOLDEN = (5**0.5 - 1) / 2
RENDERER = 4
"""Raised when the same seed gives other pixels than before."""


def video_of(index: int) -> int:
    """The video (1..25) of frame `index`: in CaDIS's proportions, and evenly so over any first n frames."""
    order = [v for videos in SPLITS.values() for v in videos]
    ends = np.cumsum([FRAMES_BY_VIDEO[v - 1] for v in order]) / FRAMES
    return order[int(np.searchsorted(ends, ((index + 0.5) * GOLDEN) % 1.0, side="right"))]


def frame_paths(root: Path, index: int) -> tuple[Path, Path]:
    """Where image and label map of frame `index` lie: the folder's number is padded, the file's is not."""
    video = video_of(index)
    name = f"Video{video}_frame{10 * (index + 1):06d}.png"
    folder = root / f"Video{video:02d}"
    return folder / "Images" / name, folder / "Labels" / name


def write_cadis(
    root: Path, n: int, hw: tuple[int, int] = (64, 112), seed: int = 0, feedback: Feedback | None = None
) -> None:
    """Write n frames under `root`, with `splits.txt` (CaDIS's official split by video) and `classes.csv`.

    Frame k depends on (seed, k) alone. Files appear complete or not at all, and those that are there already are kept:
    the same call goes on where it was stopped, a larger n adds frames. `phantom.json` says what the frames are.
    Raises DataError where `root` holds phantom frames of another seed, size or renderer.
    """
    feedback = feedback or Silent()
    root = Path(root)
    root.mkdir(parents=True, exist_ok=True)
    _claim(root, {"phantom": True, "renderer": RENDERER, "seed": seed, "size": list(hw)})
    write_text(root / "classes.csv", classes_csv())
    write_text(root / "splits.txt", splits_txt())
    with feedback.task("phantom scenes", n, "frames") as task:
        for index in range(n):
            image_path, label_path = frame_paths(root, index)
            if not (image_path.exists() and label_path.exists()):
                image_path.parent.mkdir(parents=True, exist_ok=True)
                label_path.parent.mkdir(parents=True, exist_ok=True)
                image, label_map = render_scene(make_scene(frame_seed(seed, index), video_of(index)), hw)
                write_png(label_path, label_map)
                write_png(image_path, image)
            task.advance()


def frame_seed(seed: int, index: int) -> int:
    """The seed of frame `index` of a data set."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1, np.uint64)[0]) >> 1


def classes_csv() -> str:
    """CaDIS's classes, columns Index and Class."""
    return "".join(["Index,Class\n", *(f"{c.id},{c.name}\n" for c in load_space("cadis").classes)])


def splits_txt() -> str:
    """CaDIS's official split, one video a line under its heading."""
    return "\n".join(f"# {name}\n" + "".join(f"Video{v:02d}\n" for v in videos) for name, videos in SPLITS.items())


def _claim(root: Path, settings: dict) -> None:
    path = root / "phantom.json"
    if not path.exists():
        write_text(path, json.dumps(settings) + "\n")
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if found != settings:
        raise DataError(
            f"{path}: the folder holds other phantom frames ({found}, not {settings}); choose an empty folder"
        )
