"""Label maps brought to the label space of a model, or of other label maps: the one place that decides it.

Label maps whose label space is known (class file, layout, `dataset.json`, `--classes`, a recognised set) are brought to
another known one by the names of the classes that occur, or refused. Bare ids are taken for a known space's only where
the maps are known to be in it (`own_maps.py`), where the statistics say so plainly (`labels/id_agreement.py`), or where
the caller insists.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from surgaug.datasets.dataset import LabelMaps
from surgaug.datasets.own_maps import are_own
from surgaug.datasets.stored_ids import plain_values
from surgaug.datasets.survey import count, find_faults
from surgaug.errors import DataError, ModelError, SurgaugError
from surgaug.labels import class_statistics
from surgaug.labels.builtin_spaces import builtin_spaces, load_space, published_statistics, stored_of
from surgaug.labels.class_statistics import ClassStatistics, touching_classes
from surgaug.labels.codec import Codec, DrawnCodec
from surgaug.labels.id_agreement import Agreement, agreement
from surgaug.labels.label_space import LabelSpace
from surgaug.labels.scan import Scan
from surgaug.labels.space_match import counterparts, is_named, joint_ignore, rival
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.spread import readable

Maps = TypeVar("Maps", bound=LabelMaps)
INSIST = "MODEL"  # of --classes: the ids are the model's
_INSIST_BOTH = "name the classes of both with --classes"
_OF_ONE_OBJECT = ("binary", "two-class")  # encodings of black and white
_FILES_NAMED = 2
_CLASSES_NAMED = 6
_LOOKED_AT = 48  # maps whose touching classes are counted; more tell little more


@dataclass(frozen=True)
class Reference:
    """What label maps are brought to. what: for messages ("the model runs/a/last.safetensors").

    statistics: of the label maps that are known to be in `space`; called only for bare ids, None where there are none.
    error: raised where label maps do not fit. insist: what to do where bare ids are the right ones. digests: of those
    label maps (see `own_maps.digest`).
    """

    space: LabelSpace
    what: str
    statistics: Callable[[], ClassStatistics | None] = field(default=lambda: None, repr=False)
    error: type[SurgaugError] = DataError
    insist: str = _INSIST_BOTH
    digests: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True)
class RenumberedCodec(DrawnCodec):
    """`inner`, whose ids become others by `table`. Ids that are not in it do not occur."""

    inner: Codec | DrawnCodec = field(kw_only=True)
    table: dict[int, int] = field(kw_only=True, repr=False)

    def decode(self, path: Path) -> np.ndarray:
        ids = self.inner.decode(path)
        lookup = np.full(max(int(ids.max()), *self.table) + 1, -1, np.int32)
        lookup[list(self.table)] = list(self.table.values())
        renumbered = lookup[ids]
        if renumbered.min() < 0:
            wrong = int(ids[renumbered < 0][0])
            raise DataError(f"{path}: id {wrong} has no counterpart in '{self.space.name}'; was the file replaced?")
        return renumbered.astype(self.space.id_type)

    def scan(self, path: Path) -> Scan:
        return self.inner.scan(path) if isinstance(self.inner, DrawnCodec) else Scan(path)

    def files(self, path: Path) -> tuple[Path, ...]:
        return self.inner.files(path) if isinstance(self.inner, DrawnCodec) else (path,)

    def count_ids(self, scan: Scan) -> tuple[dict[int, int], dict[int, int]]:
        counts, unknown = self.inner.count_ids(scan)
        found: dict[int, int] = {}
        for i, n in counts.items():
            if i in self.table:
                found[self.table[i]] = found.get(self.table[i], 0) + n
            else:
                unknown = {**unknown, i: n}
        return found, unknown

    def explain(self, unknown: dict[int, int], color: bool = False) -> str:
        return self.inner.explain(unknown, color)

    def ambiguous_pixels(self, scans: Iterable[Scan]) -> tuple[int, int]:
        return self.inner.ambiguous_pixels(scans)


def of_model(space: LabelSpace, file: Path, meta: Mapping[str, Any], insist: str = "") -> Reference:
    """The label space of the model `file`, with what its `meta` keeps of the label maps it was trained on.

    Files of 0.1 do not say which classes touch (for a built-in space it is known from elsewhere), and have no digests.
    """

    def statistics() -> ClassStatistics | None:
        kept = ClassStatistics.from_dict(meta.get("statistics", {}), space.ids)
        if not kept.frames or not any(kept.pixels.values()):
            return None
        built_in = space.name in builtin_spaces() and load_space(space.name).names == space.names
        published = published_statistics(space.name) if built_in else None
        if not kept.touching and published:
            scale = kept.frames / published.frames
            return replace(kept, touching={pair: round(n * scale) for pair, n in published.touching.items()})
        return kept

    digests = frozenset(meta.get("label_maps", ()))
    return Reference(space, f"the model {file}", statistics, ModelError, insist or Reference.insist, digests)


def bring(maps: Maps, reference: Reference, feedback: Feedback) -> Maps:
    """`maps`, whose scans must be whole, in the label space of `reference`: the same maps with the reference's ids.

    Says through `feedback` what was decided, unless the label spaces are the same. Raises `reference.error` naming
    classes and files where label maps cannot be brought there.
    """
    own, other = maps.space, reference.space
    if own == other and is_named(own):
        return maps
    found = count(maps)
    occurring = [c.id for c, n in zip(own.classes, found.pixels.tolist(), strict=True) if n]
    if is_named(own) and is_named(other):
        table = counterparts(own, other)
        _refuse_without_counterpart(maps, found.presence_by_item, [i for i in occurring if i not in table], reference)
        if moved := [i for i in occurring if table[i] != i]:
            others = listed([f"{own.by_id(i).name} {i} to {table[i]}" for i in moved])
            feedback.info(
                f"{_folder(maps)}: label space '{own.name}', brought by name to '{other.name}' of {reference.what}; "
                f"other ids: {others}"
            )
        return renumbered(maps, table, replace(other, ignore=joint_ignore(own, other)))
    return _bare(maps, found.presence_by_item, occurring, reference, feedback)


def start_space(maps: LabelMaps, reference: Reference, feedback: Feedback) -> LabelSpace:
    """The label space of `maps`, in which a class with a counterpart in the reference has the reference's name, and
    every other class a name that the reference lacks: a model's weights go from class to class by name.

    Bare ids have counterparts where `bring` would go on with them. Says which classes have none.
    """
    own, other = maps.space, reference.space
    if is_named(own) and is_named(other):
        table = counterparts(own, other)
    else:
        try:
            bring(maps, reference, feedback)
            table = {i: i for i in own.ids}
        except reference.error:
            table = {}
    names = {c.id: c.name for c in other.classes}
    fresh = [c.name for c in own.classes if table.get(c.id) not in names]
    if fresh:
        feedback.info(
            f"{reference.what}: what it knows of single classes serves {own.num_classes - len(fresh)} of "
            f"{own.num_classes} classes; without counterpart there: {listed(fresh)}"
        )
    classes = (replace(c, name=names.get(table.get(c.id, -1), f"{c.name} (no counterpart)")) for c in own.classes)
    return replace(own, classes=tuple(classes))


def together(sets: Sequence[Maps], names: Sequence[str], feedback: Feedback) -> list[Maps]:
    """Several sets of label maps, whose scans must be there, in one label space: that of the first set that has a known
    one. Where no set has one, they stay as they are.

    names: what to call the sets in messages. Raises DataError where a set cannot be brought there, or where bare ids
    are plainly not those of the first set.
    """
    leader = next((i for i, maps in enumerate(sets) if is_named(maps.space)), 0)
    first = sets[leader]
    what = Reference(first.space, names[leader], lambda: statistics_of(first))
    if is_named(first.space):
        return [maps if i == leader else bring(maps, what, feedback) for i, maps in enumerate(sets)]
    for maps, name in zip(sets[1:], names[1:], strict=True):
        ids = sorted({*first.space.ids, *maps.space.ids})
        found = agreement(statistics_of(maps), statistics_of(first), ids, [f"id {i}" for i in ids], _videos(maps))
        if found.verdict == "against":
            raise DataError(
                f"{name}: nothing says which classes its label maps' ids are, and they are not those of "
                f"{names[leader]}: {found.why.replace('training', names[leader])}. {_INSIST_BOTH}"
            )
    return list(sets)


def open_own(
    open_as: Callable[[str | LabelSpace, Feedback | None], Maps],
    classes: str,
    space: LabelSpace,
    feedback: Feedback,
) -> Maps:
    """Label maps in their own label space. Where they do not say it: in `space`, if they hold values or colours that
    only its classes have. open_as(classes, feedback): opens them."""

    def by_value() -> Maps | None:
        try:
            maps = open_as(space, None)
        except DataError:
            return None
        published = isinstance(maps.codec, Codec) and maps.codec.table == stored_of(space)
        usable = published or maps.codec.encoding == "colors"
        return maps if usable and not find_faults(maps, Silent(), need_images=False) else None

    try:
        maps = open_as(classes, feedback)
    except DataError:
        if classes == "auto" and (coded := by_value()) is not None:
            return coded
        raise
    if classes == "auto" and not is_named(maps.space):
        # Bare ids: what is said of them by `bring` replaces the advice to name them.
        own = maps if set(maps.space.ids) <= set(space.ids) else by_value() or maps
        return replace(own, notes=())
    return maps


def renumbered(maps: Maps, table: dict[int, int], space: LabelSpace) -> Maps:
    """`maps` with the ids that `table` says, in `space`."""
    if all(i == j for i, j in table.items()) and isinstance(maps.codec, Codec):
        return replace(maps, space=space, codec=replace(maps.codec, space=space))
    codec = RenumberedCodec(space, maps.codec.encoding, maps.codec.remapped, inner=maps.codec, table=table)
    return replace(maps, space=space, codec=codec)


def statistics_of(maps: LabelMaps) -> ClassStatistics:
    """Counts over all label maps, whose scans must be there; touching classes from some that can be read."""
    found = count(maps)
    contacts = [touching_classes(label_map, maps.space) for label_map in readable(maps.load, len(maps), _LOOKED_AT)]
    return class_statistics.statistics_of(maps.space.ids, found.presence_by_item, found.pixels, contacts)


def _bare(maps: Maps, presence: np.ndarray, occurring: Sequence[int], reference: Reference, feedback: Feedback) -> Maps:
    """Label maps of which one side has no names: the ids must be the reference's."""
    own, other = maps.space, reference.space
    table = plain_values(own)
    if _two_values(maps) and other.num_classes == 2:
        table = dict(zip(sorted(own.ids), sorted(other.ids), strict=True))
    if not {table[i] for i in occurring} <= set(other.ids):
        if _two_values(maps) and is_named(other):
            raise reference.error(_two_value_message(maps, reference))
        _refuse_without_counterpart(maps, presence, [i for i in occurring if table[i] not in other.ids], reference)
    if own.ignore is not None and own.ignore not in other.ids:
        table[own.ignore] = joint_ignore(own, other) or own.ignore
    space = replace(other, ignore=joint_ignore(own, other))
    if is_named(own) and set(own.ids) >= set(other.ids):  # the names come from the label maps
        space = replace(own, ignore=space.ignore)
    brought = renumbered(maps, {i: j for i, j in table.items() if j in (*other.ids, space.ignore)}, space)
    if are_own(brought, presence, reference.digests):
        return brought
    several = _two_values(maps) and other.num_classes > 2
    if several and maps.codec.encoding in _OF_ONE_OBJECT:  # white is no id
        raise reference.error(_two_value_message(maps, reference))
    found = _agreement(brought, reference, [table[i] for i in occurring])
    accepted = {"plain", "partly", "open"} | ({"doubtful"} if not several else set())
    if is_named(other):  # where no digests were kept, nothing more can be known than the core classes
        accepted = {"plain"} if reference.digests else {"plain", "partly"}
    if found.verdict in accepted:
        if found.verdict == "doubtful" or (found.verdict == "partly" and is_named(other)):
            feedback.warn(
                f"{_folder(maps)}: ids taken for those of {reference.what}, though {found.why}; if they are others, "
                f"name their classes with --classes NAME or FILE, if not, {reference.insist}"
            )
        return brought
    if several:
        raise reference.error(_two_value_message(maps, reference))
    what = f"'{other.name}', {other.num_classes} classes" if is_named(other) else f"{other.num_classes} classes"
    raise reference.error(
        f"{_folder(maps)}: nothing says which classes these label maps' ids are, and they are not plainly those of "
        f"{reference.what} ({what}): {found.why}. Name their classes with --classes NAME or FILE (or a classes.json "
        f"beside them), or {reference.insist}"
    )


def _agreement(maps: LabelMaps, reference: Reference, occurring: Sequence[int]) -> Agreement:
    known = reference.statistics()
    if known is None:
        return Agreement("open", "no statistics of its classes are kept to hold the ids against")
    other = reference.space
    space = replace(other, ignore=maps.space.ignore)
    counted = replace(maps, space=space, codec=replace(maps.codec, space=space))
    found = agreement(statistics_of(counted), known, other.ids, other.names, _videos(maps))
    twin = rival(other, occurring, [load_space(name) for name in builtin_spaces()]) if is_named(other) else None
    if found.verdict in ("plain", "partly") and twin:
        return Agreement("open", f"they could be those of '{twin.name}' as well")
    return found


def _videos(maps: LabelMaps) -> int:
    return max(1, len({item.video for item in maps.items if item.video}))


def _two_values(maps: LabelMaps) -> bool:
    """Whether these are masks of one object: background and foreground, whatever they are."""
    return not is_named(maps.space) and maps.space.names == ("background", "foreground")


def _two_value_message(maps: LabelMaps, reference: Reference) -> str:
    scans = [maps.scans[item.label] for item in maps.items if item.label]
    held = {value for scan in scans for value in scan.counts or ()}
    values = "0 and 255" if maps.codec.encoding in _OF_ONE_OBJECT else "0 and 1"
    what = f"a mask of two values ({values}), which tells one object from the rest and not which of"
    if len(held) == 1:
        what = f"every pixel is {held.pop()}, and nothing says whether that is ignored, or which it is of"
    return (
        f"{scans[0].path}: {what} the {reference.space.num_classes} classes of '{reference.space.name}' of "
        f"{reference.what}; name the classes with --classes FILE, or use a model that was trained on such masks"
    )


def _refuse_without_counterpart(
    maps: LabelMaps, presence: np.ndarray, wrong: Sequence[int], reference: Reference
) -> None:
    """Raise `reference.error` naming ids, class names and files when classes `wrong` occur."""
    if not wrong:
        return
    own, other = maps.space, reference.space
    names = {c.id: c.name for c in other.classes}
    files = [item.label for item in maps.items]
    folder = _folder(maps)
    model = reference.error is ModelError
    there = "to the model" if model else "there"
    lines: list[str] = []
    for i in wrong:
        to_it = f"; {there} it is {names[i]}" if is_named(own) and is_named(other) and i in names else ""
        text = f"{i} ({own.by_id(i).name}{to_it})"
        if len(lines) < _CLASSES_NAMED:
            holders = [files[n] for n in np.flatnonzero(presence[:, own.ids.index(i)])]
            shown = ", ".join(os.path.relpath(file, folder) for file in holders[:_FILES_NAMED] if file)
            more = f" and {len(holders) - _FILES_NAMED} more" if len(holders) > _FILES_NAMED else ""
            text += f" in {shown}{more}"
        lines.append(text)
    where = f", in the label space '{own.name}'," if is_named(own) else ""
    listed = "; ".join(lines[:_CLASSES_NAMED])
    listed += f"; also {', '.join(lines[_CLASSES_NAMED:])}" if len(lines) > _CLASSES_NAMED else ""
    raise reference.error(
        f"the masks in {folder}{where} hold classes that {reference.what} does not know: {listed}. "
        f"It knows {len(names)} classes of '{other.name}' (ids {ranges(sorted(names))}); "
        + ("train a model with these classes, or " if model else "leave these maps out, or ")
        + "give the masks' label space with --classes"
    )


def _folder(maps: LabelMaps) -> Path:
    return Path(os.path.commonpath([str(item.label.parent) for item in maps.items if item.label]))


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _CLASSES_NAMED} more" if len(names) > _CLASSES_NAMED else ""
    return ", ".join(names[:_CLASSES_NAMED]) + more


def ranges(ids: Sequence[int]) -> str:
    """[0, 1, 2, 5] to "0-2, 5"."""
    parts: list[list[int]] = []
    for i in ids:
        if parts and i == parts[-1][1] + 1:
            parts[-1][1] = i
        else:
            parts.append([i, i])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)
