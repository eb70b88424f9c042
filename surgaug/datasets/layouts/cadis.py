"""CaDIS v2: Video01/Images/Video1_frame000090.png with Video01/Labels/ (the folder's number padded, the file's not).

The official split is by video; `splits.txt` at the root ("# Training" and so on, a video a line) is heeded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from surgaug.datasets.item import Item, WrittenItem
from surgaug.datasets.pairing import Twins, items_of_pairs, natural, pair_folders
from surgaug.datasets.stored_ids import plain_values as values
from surgaug.errors import DataError
from surgaug.io.atomic import write_text
from surgaug.labels.label_space import LabelSpace

NO_IGNORE = "has no value for them in its readers: tell your loader to ignore the id below"
__all__ = ["finish", "known_errors", "matches", "official_split", "paths", "read", "values"]

SPACE = "cadis"
# Grammatikopoulou et al., CaDIS, Medical Image Analysis 71 (2021): 19 videos train, 3 validate, 3 test.
VALIDATION_VIDEOS = frozenset({5, 7, 16})
TEST_VIDEOS = frozenset({2, 12, 22})
NUM_VIDEOS = 25

_VIDEO = re.compile(r"video[ _]?0*(\d+)", re.IGNORECASE)
_INNER = ("segmentation", "CaDISv2", "CaDIS")
_HEADINGS = {"train": "train", "val": "val", "test": "test"}
_TITLES = {"train": "Training", "val": "Validation", "test": "Test"}
_NO_VIDEO = {"train": 0, "val": 900, "test": 901}  # CaDIS splits by video, so frames of none need some
_NAME = re.compile(r"video(\d+)_frame(\d+)", re.IGNORECASE)


def matches(root: Path) -> bool:
    """Whether folders VideoNN with a folder Labels (or Images) stand in `root`, or in its CaDISv2 or segmentation."""
    return any(_videos(base) for base in _bases(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The items of all videos, or of those of a split, in order of video and frame.

    Raises DataError: no frame in the split, a `splits.txt` that says no split or two.
    """
    base = next(base for base in _bases(root) if _videos(base))
    own = _read_splits(base / "splits.txt")
    items = []
    for folder in _videos(base):
        number = _number(folder.name)
        video_split = own.get(number) or official_split(number)
        if split not in (None, video_split):
            continue
        folders = [_child(folder, kind) for kind in ("images", "labels")]
        filled = [path if path and any(path.iterdir()) else None for path in folders]
        images, labels = filled if any(filled) else folders
        twins: Twins = {}
        pairs = pair_folders(images, labels, twins)
        items += items_of_pairs(pairs, twins, f"Video{number:02d}", video_split)
    if not items:
        raise DataError(f"{root}: no video of the split '{split}'")
    return items


def official_split(video: int) -> str | None:
    """ "train", "val" or "test" for the videos 1 to 25; None for others."""
    if video in VALIDATION_VIDEOS:
        return "val"
    if video in TEST_VIDEOS:
        return "test"
    return "train" if 1 <= video <= NUM_VIDEOS else None


@lru_cache(maxsize=1)
def known_errors() -> frozenset[str]:
    """Stems of the frames whose labels are known to be wrong: without them 3,490 of 3,550 training frames are left."""
    listed = json.loads(Path(__file__).with_name("cadis_known_errors.json").read_text(encoding="utf-8"))
    return frozenset(f"Video{video}_frame{frame:06d}" for video, frames in listed["frames"].items() for frame in frames)


def paths(frame: WrittenItem) -> tuple[str, str]:
    """VideoNN/Images/VideoN_frameNNNNNN.png and the same under Labels.

    CaDIS's own names stay. Synthetic images lie in videos of their own, the number of the source video with a 1 put in
    front (Video107 for those of Video07, Video100 where none is known), so that a split by video keeps them apart.
    Other frames are numbered by their place in the data set; those of no video share one a split.
    """
    own = None if frame.synthetic else _NAME.fullmatch(frame.name)
    if own:
        video, number = int(own.group(1)), int(own.group(2))
    else:
        digits = re.findall(r"\d+", frame.video or "")
        video, number = int(digits[-1]) if digits else _NO_VIDEO[frame.split or "train"], frame.index
        if frame.synthetic:
            video += 10 ** max(2, len(str(video)))
    inner = f"Video{video}_frame{number:06d}.png"
    return f"Video{video:02d}/Images/{inner}", f"Video{video:02d}/Labels/{inner}"


def check_frames(root: Path, frames: Sequence[WrittenItem]) -> None:
    """Raises DataError when frames of one video belong to different splits, which this layout cannot say."""
    _split_of(root, frames)


def finish(root: Path, frames: Sequence[WrittenItem], space: LabelSpace) -> None:
    """`splits.txt`, a video a line under its heading, and `classes.csv` (Index, Class)."""
    split_of = _split_of(root, frames)
    lines = []
    for split, title in _TITLES.items():
        videos = sorted((v for v, s in split_of.items() if s == split), key=natural)
        lines += [f"# {title}", *videos]
    write_text(root / "splits.txt", "\n".join(lines) + "\n")
    rows = ["Index,Class", *(f"{c.id},{c.name}" for c in space.classes)]
    write_text(root / "classes.csv", "\n".join(rows) + "\n")


def _split_of(root: Path, frames: Sequence[WrittenItem]) -> dict[str, str]:
    split_of: dict[str, str] = {}
    for frame in frames:
        folder, split = paths(frame)[0].split("/")[0], frame.split or "train"
        if split_of.setdefault(folder, split) != split:
            both = f"{split_of[folder]} and {split}"
            raise DataError(f"{root}: {folder} has frames of both {both}; CaDIS splits by video")
    return split_of


def _bases(root: Path) -> list[Path]:
    return [root, *(root / name for name in _INNER if (root / name).is_dir())]


def _videos(base: Path) -> list[Path]:
    found = [
        p
        for p in base.iterdir()
        if p.is_dir() and _VIDEO.fullmatch(p.name) and (_child(p, "labels") or _child(p, "images"))
    ]
    return sorted(found, key=lambda p: natural(p.name))


def _child(folder: Path, name: str) -> Path | None:
    return next((p for p in folder.iterdir() if p.is_dir() and p.name.lower() == name), None)


def _number(name: str) -> int:
    return int(_VIDEO.fullmatch(name).group(1))  # type: ignore[union-attr]  # of folders that match


def _read_splits(path: Path) -> dict[int, str]:
    """Split by video from a file with a heading line ("# Training") above the videos of each split.

    DataError: a video of two splits, or none of any, where the file says something: the official split would train on
    what it holds out.
    """
    if not path.is_file():
        return {}
    found: dict[int, str] = {}
    heading = None
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.lstrip().startswith("#"):
            title = line.strip("# \t").lower()
            heading = next((split for start, split in _HEADINGS.items() if title.startswith(start)), None)
        elif heading:
            numbers = _VIDEO.findall(line) or re.findall(r"\b0*(\d+)\b", line)
            for number in map(int, numbers):
                if found.setdefault(number, heading) != heading:
                    raise DataError(f"{path}: video {number} is of {found[number]} and of {heading}; keep it in one")
        elif line.strip():
            raise DataError(
                f"{path}: {line.strip()[:60]!r} stands below no heading; write the lines '# Training', '# Validation' "
                "and '# Test', and the videos of each below it, one a line"
            )
    return found
