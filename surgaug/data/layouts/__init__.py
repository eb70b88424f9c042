"""How data sets lie on disk: one module a layout, listed by file name without importing any.

Each has `matches(root) -> bool` and `read(root, *, split=None, **options) -> list[Item]`.
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
