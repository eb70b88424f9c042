"""Which mask a painted frame was made from: followed back through manifests, however many lie on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from surgaug.io.manifest import MANIFEST, read_manifest

_FARTHEST = 16  # manifests on the way; a data set can be made from one that was made from one


@dataclass(frozen=True)
class Origin:
    """mask: the first mask's name. path: its file, as noted. video, split: what the manifest nearest to it knows."""

    mask: str
    path: str
    video: str | None
    split: str | None


def read_origins(root: Path) -> dict[str, Origin]:
    """Origin of each frame of a painted data set by its image's file name; empty where there is no manifest."""
    if not (root / MANIFEST).is_file():
        return {}
    return {Path(row["image"]).name: _first(row) for row in read_manifest(root / MANIFEST)[0] if "image" in row}


def _first(row: dict[str, Any]) -> Origin:
    origin = _origin(row)
    for _ in range(_FARTHEST):
        before = _by_label(origin.path)
        if before is None:
            break
        earlier = _origin(before)
        origin = replace(earlier, video=earlier.video or origin.video, split=earlier.split or origin.split)
    return origin


def _origin(row: dict[str, Any]) -> Origin:
    path = str(row.get("mask_file") or row.get("source") or "")
    return Origin(str(row.get("mask") or Path(path).stem), path, row.get("video"), row.get("split"))


def _by_label(path: str) -> dict[str, Any] | None:
    """The row of the manifest above a label map that tells how it was made."""
    label = Path(path)
    for folder in list(label.parents)[:3] if path else []:
        if (file := folder / MANIFEST).is_file():
            return _labels_of(file, file.stat().st_mtime_ns).get(label.relative_to(folder).as_posix())
    return None


@lru_cache(maxsize=16)
def _labels_of(file: Path, stamp: int) -> dict[str, dict[str, Any]]:
    return {row["label"]: row for row in read_manifest(file)[0] if "label" in row}
