"""Annotated surgical images by diffusion: label maps in, paired images and labels out.

The functions of `surgaug.api` are here too; they, and what computes behind them, are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from surgaug.version import __version__

if TYPE_CHECKING:
    from surgaug.api import augment_masks, load_model, read_manifest, score, synthesize, train

__all__ = ["__version__", "augment_masks", "load_model", "read_manifest", "score", "synthesize", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("surgaug.api"), name)
    raise AttributeError(f"module 'surgaug' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
