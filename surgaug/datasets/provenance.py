"""Which real label map a synthetic image, or a perturbed label map, comes from; and which others lent it instruments.

Manifests are followed back, however many lie on the way. Rows of today hold the answer (`origin`); those of surgaug 0.1
name the label map they were made from, and the manifest above that map tells where it came from in its turn.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from surgaug.datasets.item import Item
from surgaug.errors import DataError
from surgaug.io import manifest
from surgaug.io.images import SUFFIXES
from surgaug.io.manifest import Row, is_there, part_path, part_paths, read_lines

_FARTHEST = 16  # manifests on the way; a data set can be made from one that was made from one

Kind = Literal["image", "label"]


@dataclass(frozen=True)
class Origin:
    """mask: the real label map's name. path: its file, as noted ("" where that is not known).

    video, split: of that map, as far as a manifest on the way knows. changed: whether it was perturbed on the way.
    donors: other real label maps, of which instruments were put into it; they have no donors of their own.
    """

    mask: str
    path: str
    video: str | None = None
    split: str | None = None
    changed: bool = False
    donors: tuple[Origin, ...] = ()

    @property
    def key(self) -> str:
        """Equal for all that comes from one real label map."""
        return os.path.normpath(Path(self.path).absolute()) if self.path else self.mask

    @property
    def stem(self) -> str:
        """The name of its file, or the mask's name where that is not known."""
        return _stem(self.path) if self.path else self.mask

    def to_row(self) -> manifest.Origin:
        """As it stands in a manifest."""
        row: manifest.Origin = {"mask": self.mask, "file": self.path, "changed": self.changed}
        if self.video:
            row["video"] = self.video
        if self.split:
            row["split"] = self.split
        if self.donors:
            row["donors"] = [donor.to_row() for donor in self.donors]
        return row

    def all(self) -> tuple[Origin, ...]:
        """Every real label map that is to be seen in it."""
        return (replace(self, donors=()), *self.donors)


def read_origins(root: Path, of: Kind = "image") -> dict[str, Origin]:
    """Origin by file name of the images (or label maps) that the manifest in `root` calls made; real frames have none.

    Empty where there is no manifest; rows that cannot be read are passed over. Raises DataError where no line is a row.
    """
    origins: dict[str, Origin] = {}
    before = Provenance(root)
    for path in part_paths(root):
        damaged, rows = [], 0
        for line in read_lines(path):
            if line.row is None:
                damaged.append(line.number)
                continue
            rows += 1
            if of in line.row and (origin := before.of_row(line.row)):
                origins[Path(line.row[of]).name] = origin
        if damaged and not rows:
            raise DataError(f"{path}:{damaged[0]}: not a manifest row, and no other line is one; remove the file")
    return origins


def source_row(item: Item) -> Row:
    """The part of a manifest row that says what a sample is made from: this item's label map."""
    assert item.label is not None, item.name
    row: Row = {"mask": item.name, "source": str(item.label)}
    if item.video:
        row["video"] = item.video
    if item.split:
        row["split"] = item.split
    if origin := origin_of(item.label):
        row["origin"] = origin.to_row()
    return row


def origin_of(label: Path) -> Origin | None:
    """Origin of a label map by the manifest of the folder that it lies in; None for one that was not made."""
    before = Provenance(label.parent)
    step = before.find(str(label), "label")
    return None if step is None else before.first(step)


def shown_by(item: Item) -> tuple[Origin, ...]:
    """Every real label map that is to be seen in this item's: itself, or what it was made from."""
    assert item.label is not None, item.name
    return (origin_of(item.label) or Origin(item.name, str(item.label), item.video, item.split)).all()


@dataclass(frozen=True)
class Step:
    """What one row says: the label map that its sample was made from.

    copied: of a copied image, the file that it was copied from. last: whether that label map is the real one, so that
    nothing lies before it.
    """

    origin: Origin
    copied: str = ""
    last: bool = False


class Provenance:
    """What lies before the rows of the manifest in `root`. The manifests on the way are looked for once a folder."""

    def __init__(self, root: Path):
        self._elsewhere = list(root.absolute().parents)[:3]
        self._above: dict[tuple[Path, Kind], tuple[str, dict[str, Step]]] = {}

    def of_row(self, row: Row) -> Origin | None:
        """Origin of the sample of a row; None for a real frame, and where nothing tells."""
        origin = self.first(_step(row)) if _is_made(row) else None
        return origin if origin and (origin.mask or origin.path) else None

    def first(self, step: Step) -> Origin:
        """The real label map behind a step."""
        for _ in range(_FARTHEST):
            if step.last:
                break
            origin = step.origin
            earlier = self.find(step.copied, "image") if step.copied else self.find(origin.path, "label")
            if earlier is None:
                if not step.copied:
                    break
                earlier = Step(origin)  # the set that it was copied from is gone; its source may still be there
            nearer = earlier.origin
            video, split = nearer.video or origin.video, nearer.split or origin.split
            changed, donors = nearer.changed or origin.changed, _once([*nearer.donors, *origin.donors])
            joined = Origin(nearer.mask, nearer.path, video, split, changed, donors)
            step = Step(joined, earlier.copied, earlier.last)
        return step.origin

    def find(self, file: str, kind: Kind) -> Step | None:
        """What the manifest above an image or a label map says of it."""
        for path in self._places(file):
            within, steps = self._manifest_above(path.parent, kind)
            if found := steps.get(within + path.name):
                return found
        return None

    def located(self, origin: Origin) -> Origin:
        """With the files of it and of its donors where they lie from here; those that are not at hand stay as noted."""
        return replace(origin, path=self.place(origin.path), donors=tuple(map(self.located, origin.donors)))

    def place(self, file: str) -> str:
        """Where a file that a manifest names lies from here; as noted, if it is not at hand."""
        there = next(filter(is_there, self._places(file)), None)
        return file if there is None else str(there)

    def _places(self, file: str) -> Iterator[Path]:
        """Where a file that a manifest names may lie. A relative path was noted from where the command ran: it is tried
        from here, then from the folders above the root."""
        if not file:
            return
        path = Path(file)
        yield path
        if not path.is_absolute():
            yield from (folder / path for folder in self._elsewhere)

    def _manifest_above(self, folder: Path, kind: Kind) -> tuple[str, dict[str, Step]]:
        """The path of `folder` within the next folder that has a manifest, and that manifest's steps by file."""
        if (folder, kind) not in self._above:
            above = next((f for f in (folder, *list(folder.parents)[:2]) if is_there(part_path(f))), None)
            if above is None:
                self._above[folder, kind] = "", {}
            else:
                within = "".join(f"{part}/" for part in folder.relative_to(above).parts)
                stamp = part_path(above).stat().st_mtime_ns
                self._above[folder, kind] = within, _steps(part_path(above), stamp, kind)
        return self._above[folder, kind]


def _is_made(row: Row) -> bool:
    return row.get("synthetic", True)


def _step(row: Row) -> Step:
    changed, donors = bool(row.get("perturbations")), _donors(row.get("perturbations", []))
    if found := row.get("origin"):
        origin = _read(found)
        donors = _once([*origin.donors, *donors])
        return Step(replace(origin, changed=changed or origin.changed, donors=donors), last=True)
    path = row.get("source", "")
    origin = Origin(row.get("mask") or _stem(path), path, row.get("video"), row.get("split"), changed, donors)
    copied = row.get("image_source", "") if row.get("synthetic") else ""
    return Step(origin, copied, last=row.get("version", 1) >= 2 and not copied)


def _read(row: manifest.Origin) -> Origin:
    path = row.get("file", "")
    of = row.get("mask") or _stem(path), path, row.get("video"), row.get("split"), row.get("changed", False)
    return Origin(*of, _once(map(_read, row.get("donors", []))))


def _donors(perturbations: Iterable[dict[str, Any]]) -> tuple[Origin, ...]:
    """Of the instruments that were put in. Rows of 0.1 have but the name of the map that one was cut from."""
    found: list[Origin] = []
    for record in perturbations:
        if "donors" in record:
            found += map(_read, record["donors"])
        elif isinstance(name := record.get("from"), str):
            found.append(Origin(name, ""))
    return _once(found)


def _once(origins: Iterable[Origin]) -> tuple[Origin, ...]:
    return tuple({origin.key: origin for origin in origins}.values())


@lru_cache(maxsize=16)
def _steps(file: Path, stamp: int, kind: Kind) -> dict[str, Step]:
    """By image or label map, in the folder of the manifest, of the rows that were made."""
    rows = (line.row for line in read_lines(file))
    return {row[kind]: _step(row) for row in rows if row is not None and kind in row and _is_made(row)}


def _stem(source: str) -> str:
    """The name of a frame by its label map's file, on any system, or its FILE.json/NAME."""
    name = PurePosixPath(source.replace("\\", "/"))
    return name.stem if name.suffix.lower() in (*SUFFIXES, ".json") else name.name
