"""labelme: NAME.json beside NAME.jpg, in folders by split or not; or what its labelme_export_json makes of them,
NAME_json/{img.png, label.png, label_names.txt}.

Images without annotation file are passed over, and counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath

import numpy as np

from surgaug.datasets.item import Item, can_be_a_path
from surgaug.datasets.pairing import (
    IMAGE_FOLDERS,
    SPLIT_FOLDERS,
    Twins,
    files_by_stem,
    find_folder,
    items_of_pairs,
    items_of_split,
    natural,
    not_named,
)
from surgaug.errors import DataError
from surgaug.io.images import is_image_file, read_raw
from surgaug.labels.codec import DrawnCodec
from surgaug.labels.codecs.polygons import background_id, match_title, space_of_titles
from surgaug.labels.label_space import LabelSpace

__all__ = ["codec", "matches", "read", "unread"]

_ANNOTATIONS = ("json", "jsons", "labels", "annotations", "ann")
_IMAGE, _LABEL, _NAMES = "img.png", "label.png", "label_names.txt"
_LOOKED_AT = 3
_UNLABELLED = 255  # labelme writes -1 into a byte


def matches(root: Path) -> bool:
    """Whether annotation files of labelme, or the folders that it makes of them, stand in `root` or by split."""
    return any(True for _ in _folders(root)) or bool(_exported(root))


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The annotated frames; a name that occurs in several splits gets the split before it.

    Raises DataError: no frame of the split.
    """
    items = [Item(p.name.removesuffix("_json"), _there(p / _IMAGE), p / _LABEL) for p in _exported(root)]
    for own, folder, images in _folders(root):
        twins: Twins = {}
        by_stem = files_by_stem(images, twins=twins) if any(is_image_file(p) for p in images.iterdir()) else {}
        found = files_by_stem(folder, _is_json, twins)
        files = {stem: path for stem, path in found.items() if _is_labelme(path, broken=stem in by_stem)}
        pairs = [(stem, by_stem.get(stem) or _there(images / _named_in(path)), path) for stem, path in files.items()]
        items += items_of_pairs(pairs, twins, split=own)
    return items_of_split(items, split, f"{root}: no folder of its own for the split '{split}'; leave the split out")


def unread(root: Path, items: Sequence[Item]) -> list[Path]:
    """Images beside those of the items that have no annotation file."""
    return [] if _exported(root) else not_named(items)


def codec(root: Path, items: Sequence[Item], given: LabelSpace | None) -> ExportedCodec | None:
    """Of exported folders, whose numbers differ from one to the next; None for annotation files.

    DataError: folders beside annotation files, a folder without label_names.txt.
    """
    if not (folders := _exported(root)):
        return None
    if any(True for _ in _folders(root)):
        raise DataError(f"{root}: holds annotation files, and folders made of them; keep one kind")
    names = {folder / _LABEL: _names_in(folder / _NAMES) for folder in folders}
    space = given or space_of_titles(sorted({name for listed in names.values() for name in listed}))
    return ExportedCodec(space, names=names)


@dataclass(frozen=True)
class ExportedCodec(DrawnCodec):
    """Label maps whose values are lines of the file beside them. names: the lines, by label map."""

    encoding: str = "labelme's folders"
    names: dict[Path, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def decode(self, path: Path) -> np.ndarray:
        """Ids [H, W]. Raises DataError: a value that no line names, a name that is no class of the space."""
        raw = read_raw(path)
        if raw.color:
            raise DataError(
                f"{path}: the channels differ; the lines of {_NAMES} are the values of a palette or grey file"
            )
        values = raw.values.astype(np.int32)
        table = np.full(65536, -1, np.int32)
        for value, name in enumerate(self.names[path]):
            matched = match_title(name, self.space.names)
            if matched is not None:
                table[value] = self.space.ids[self.space.names.index(matched)]
            elif name.lower() in ("_background_", "background"):
                table[value] = background_id(self.space, path)
            elif (values == value).any():
                raise DataError(f"{path}: {name!r} is no class of the label space '{self.space.name}'")
        if self.space.ignore is not None and len(self.names[path]) <= _UNLABELLED:
            table[_UNLABELLED] = self.space.ignore
        ids = table[values]
        if ids.min() < 0:
            unknown = int(values[ids < 0].min())
            raise DataError(
                f"{path}: value {unknown}, and {_NAMES} names 0 to {len(self.names[path]) - 1}; export it anew"
            )
        return ids.astype(self.space.id_type)


def _folders(root: Path) -> Iterator[tuple[str | None, Path, Path]]:
    """Split, folder of annotations and folder of images."""
    by_split = [(split, find_folder(root, names)) for split, names in SPLIT_FOLDERS.items()]
    for split, folder in [(None, root), *by_split]:
        if folder is None:
            continue
        images = find_folder(folder, IMAGE_FOLDERS) or folder
        inner = (p for p in folder.iterdir() if p.is_dir() and p.name.lower() in _ANNOTATIONS)
        for place in sorted({folder, images, *inner}):
            files = sorted(p for p in place.iterdir() if _is_json(p) and p.is_file())
            if any(map(_is_labelme, files[:_LOOKED_AT])):
                yield split, place, images


def _exported(root: Path) -> list[Path]:
    found = [p for p in root.glob("*_json") if (p / _LABEL).is_file() and (p / _NAMES).is_file()]
    return sorted(found, key=lambda p: natural(p.name))


def _is_json(path: Path) -> bool:
    return path.suffix.lower() == ".json" and not path.name.startswith(".")


def _is_labelme(path: Path, broken: bool = False) -> bool:
    """Whether a file is labelme's; `broken`: or may have been, before it was cut short."""
    content = path.read_bytes()
    return b'"shapes"' in content and (broken or b'"imagePath"' in content)


def _named_in(path: Path) -> str:
    """The image's file name as the annotation has it; that of no file where it has none."""
    try:
        return PureWindowsPath(str(json.loads(path.read_bytes().decode("utf-8-sig"))["imagePath"])).name or "?"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "?"  # what is wrong with the file is said when it is drawn


def _there(path: Path) -> Path | None:
    return path if can_be_a_path(path.name) and path.is_file() else None


def _names_in(path: Path) -> tuple[str, ...]:
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
