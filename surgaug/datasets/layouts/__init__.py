"""How data sets lie on disk: one module a layout, listed by file name without importing any.

Each has `matches(root) -> bool` and `read(root, *, split=None, **options) -> list[Item]`; and, where they apply,

SPACE                            the label space that the layout implies
codec(root, items, given)        how its label maps are kept, `given` the label space asked for (None: its own)

A layout that can be written has

values(space) -> {id: value}     what stands in its label files for each class id, the ignore id among them
paths(frame) -> (image, label)   where a frame's two files lie in the data set, from the frame alone
finish(root, frames, space)      writes its index files, once all frames are there
encode(label_map, space)         its label files, where more than a value for each id is to be written (optional)
decode(path, space)              the way back from such a file (with `encode`)
check(root, space)               refuses a folder or label space that its consumer cannot use (optional)
check_frames(root, frames)       refuses frames that the layout cannot hold together (optional)
NO_IGNORE                        what becomes of pixels without label, where it has no value for them (optional)
NO_PALETTE                       why its label files cannot be palette PNGs (optional)
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType


def names() -> list[str]:
    """The layouts, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> ModuleType:
    """The module of a layout."""
    return importlib.import_module(f"{__name__}.{name}")


def written() -> list[str]:
    """The layouts that data sets are written in, sorted."""
    return [name for name in names() if hasattr(get(name), "paths")]
