"""Lists of frames by split, beside their folders: Pascal VOC's ImageSets/Segmentation/train.txt, or train.txt.

A line is a frame's name or the path of its image; what follows behind a space (its label map) is passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from surgaug.datasets.item import Item
from surgaug.datasets.pairing import split_of
from surgaug.errors import DataError
from surgaug.io.images import ARRAY_SUFFIXES, SUFFIXES

_PLACES = ("ImageSets/Segmentation", "ImageSets", ".")


def with_listed_splits(root: Path, items: Sequence[Item]) -> list[Item]:
    """The items, each of the split whose list names it; unchanged where there are no lists of them.

    Raises DataError: an item that two lists name, a list that is no text.
    """
    keys = [(key, i) for i, item in enumerate(items) for key in _keys(root, item)]
    times = Counter(key for key, _ in keys)
    by_key = {key: i for key, i in keys if times[key] == 1}
    for place in _PLACES:
        found: dict[int, str] = {}
        for file in sorted((root / place).glob("*.txt")):
            if (split := split_of(file.stem)) is None:
                continue
            named = (next((by_key[k] for k in _names_in(line) if k in by_key), None) for line in _lines(file))
            for i in (i for i in named if i is not None):
                if found.setdefault(i, split) != split:
                    raise DataError(
                        f"{file}: {items[i].name} is of the list of {found[i]}, too; keep it in one of them"
                    )
        if found:
            return [replace(item, split=found.get(i)) for i, item in enumerate(items)]
    return list(items)


def _keys(root: Path, item: Item) -> set[str]:
    """What an item may be called in a list: its name, or a path of one of its files without what begins it."""
    paths = [path.relative_to(root) for path in (item.image, item.label, *item.twins) if path and root in path.parents]
    inner = {"/".join(path.with_suffix("").parts[k:]) for path in paths for k in range(len(path.parts))}
    return {normalize("NFC", key) for key in {item.name, *inner}}


def _names_in(line: str) -> Iterator[str]:
    """What a line may name, the longest first."""
    for text in dict.fromkeys((line, line.split()[0])):
        path = PurePosixPath(text.replace("\\", "/").removeprefix("./").lstrip("/"))
        plain = path.with_suffix("") if path.suffix.lower() in (*SUFFIXES, *ARRAY_SUFFIXES) else path
        yield from (normalize("NFC", "/".join(plain.parts[k:])) for k in range(len(plain.parts)))


def _lines(file: Path) -> list[str]:
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from error
