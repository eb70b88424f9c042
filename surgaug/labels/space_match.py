"""How label maps of one label space are brought to another: by their classes' names, or as bare ids, or not at all.

Two label spaces that are known meet by name: a class is another's counterpart if both are called the same, whatever the
case, spaces, hyphens and underscores. Bare ids have no names; `id_agreement` tells whether they are plainly those of a
space whose statistics are known.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

from surgaug.labels.builtin_spaces import remap_of
from surgaug.labels.label_space import LabelSpace

ANONYMOUS = "auto"  # the name of a label space that was found from ids alone
_PLACEHOLDER = re.compile(r"class[ _-]?\d+", re.IGNORECASE)


def is_named(space: LabelSpace) -> bool:
    """Whether the classes' names mean something; those of a space found from bare ids do not."""
    return space.name != ANONYMOUS and not all(_PLACEHOLDER.fullmatch(name) for name in space.names)


def plain_name(name: str) -> str:
    """The name without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_\-]+", "", name).casefold()


def same_class(name: str, other: str) -> bool:
    """Whether two names of one id can be of the same class: they are alike, or one of them means nothing."""
    return plain_name(name) == plain_name(other) or any(map(_PLACEHOLDER.fullmatch, (name, other)))


def counterparts(space: LabelSpace, other: LabelSpace) -> dict[int, int]:
    """Id in `other` by id in `space`, for every class that has its counterpart there; ignore ids go together.

    A built-in space that regroups `space` (CaDIS's tasks) says itself what becomes of each class.
    """
    ignored: dict[int, int] = {}
    if space.ignore is not None and (to := joint_ignore(space, other)) is not None:
        ignored[space.ignore] = to
    remap = remap_of(other)
    if remap and remap[0].ids == space.ids and remap[0].names == space.names:
        return {i: int(remap[1][i]) for i in space.ids} | ignored
    exact = {c.name: c.id for c in other.classes}
    theirs, own = (Counter(plain_name(c.name) for c in both.classes) for both in (other, space))
    alike = {key: c.id for c in other.classes if theirs[key := plain_name(c.name)] == 1}
    found = dict(ignored)
    for c in space.classes:
        key = plain_name(c.name)
        if c.name in exact:
            found[c.id] = exact[c.name]
        elif key in alike and own[key] == 1:
            found[c.id] = alike[key]
    return found


def joint_ignore(space: LabelSpace, other: LabelSpace) -> int | None:
    """The ignore id of label maps of `space` that are brought to `other`: that of `other`, else one that is free there;
    None if neither has one."""
    if other.ignore is not None or space.ignore is None:
        return other.ignore
    return next(i for i in (space.ignore, 255, *range(254, -1, -1)) if i not in other.ids)


def rival(space: LabelSpace, ids: Collection[int], spaces: Collection[LabelSpace]) -> LabelSpace | None:
    """The first of `spaces` that bare `ids` of `space` could belong to just as well, with another meaning: it has all
    of them and calls some otherwise, and one of the two spaces regroups the other, so that statistics cannot tell them
    apart."""
    for other in spaces:
        if other.name == space.name or not set(ids) <= {*other.ids, other.ignore} or not _related(space, other):
            continue
        if any(not _same_class(space, other, i) for i in ids if i in other.ids and i in space.ids):
            return other
    return None


def _related(a: LabelSpace, b: LabelSpace) -> bool:
    return _source(a).names == _source(b).names


def _source(space: LabelSpace) -> LabelSpace:
    remap = remap_of(space)
    return remap[0] if remap else space


def _same_class(a: LabelSpace, b: LabelSpace, i: int) -> bool:
    """Whether id i holds the same classes of the space that both regroup."""
    return _members(a, i) == _members(b, i)


def _members(space: LabelSpace, i: int) -> set[int]:
    remap = remap_of(space)
    return {j for j, k in enumerate(remap[1].tolist()) if k == i} if remap else {i}
