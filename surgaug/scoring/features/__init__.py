"""Feature extractors, one file each. Names are listed without importing anything.

`colour_texture` needs no weights and runs in threads, image by image; `inception` is a network and runs in batches.
"""

from __future__ import annotations

from pkgutil import iter_modules


def names() -> list[str]:
    """The extractors there are, by file name."""
    return sorted(m.name for m in iter_modules(__path__))
