"""Options that take one of a few words: `--help` shows them, the shell completes them, and a wrong one is refused
before anything is read. Names of plug-ins come from their folders' file names; nothing is imported for it. At the end
stand options that several commands have.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

DEVICES = ("auto", "cpu", "cuda", "cuda:N", "mps")
COMPILE = ("auto", "on", "off")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
# Layouts that can be written.
WRITTEN = ("folders", "cadis", "nnunet", "mmseg", "coco", "hf", "yolo", "cvat", "label_studio", "fiftyone")
_PACKAGE = Path(__file__).parents[1]


def plugins(folder: str) -> list[str]:
    """The modules in a folder of the package, as in `diffusion/samplers`; sorted."""
    return sorted(module.name for module in pkgutil.iter_modules([str(_PACKAGE / folder)]))


def spaces() -> list[str]:
    """The label spaces that ship, sorted."""
    return sorted(path.stem for path in (_PACKAGE / "labels" / "spaces").glob("*.json"))


def one_of(*words: str) -> dict[str, Any]:
    """Keywords for `typer.Option`: one of `words`.

    A word with capitals stands for what a user puts there (FILE, cuda:N): then other values pass, to be checked below.
    """
    fixed = [word for word in words if word == word.lower()]

    def check(value: str | None) -> str | None:
        if value is not None and value not in fixed and len(fixed) == len(words):
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(repr(word) for word in fixed)}.")
        return value

    return {"metavar": "|".join(words), "autocompletion": _completion(fixed), "callback": check}


def list_of(*words: str, metavar: str = "LIST") -> dict[str, Any]:
    """Keywords for `typer.Option`: some of `words`, with commas between; checked below."""

    def complete(incomplete: str) -> list[str]:
        given, comma, last = incomplete.rpartition(",")
        return [given + comma + word for word in words if word.startswith(last)]

    return {"metavar": metavar, "autocompletion": complete}


def suggesting(*words: str, metavar: str) -> dict[str, Any]:
    """Keywords for `typer.Option`: `words` are completed and anything is taken, to be checked below."""
    return {"metavar": metavar, "autocompletion": _completion(words)}


def label_space(help: str, *more: str, panel: str | None = None) -> Any:
    """`--classes`: the label space of what a command reads. more: words that it takes besides."""
    words = "|".join(["auto|NAME|FILE", *more])
    return typer.Option(**suggesting("auto", *more, *spaces(), metavar=words), help=help, rich_help_panel=panel)


def without_bad(what: str, told_by: str, panel: str | None = None) -> Any:
    """`--leave-out-bad`. what: is left out. told_by: where it is listed."""
    text = f"Go on without {what} that cannot be used; {told_by}."
    return typer.Option("--leave-out-bad", help=text, rich_help_panel=panel)


def folder_within(data: str, what: str, panel: str | None = None) -> Any:
    """`--images` and `--labels`: a folder in `data`, named where its own name does not tell."""
    text = f"Folder of the {what} in {data}, where its name does not tell."
    return typer.Option(metavar="DIR", help=text, rich_help_panel=panel)


def as_palette(panel: str) -> Any:
    """`--palette`: how label maps are written."""
    text = "Label maps as palette PNGs in the classes' colours, instead of grey ones."
    return typer.Option("--palette", help=text, rich_help_panel=panel)


def mislabelled(panel: str) -> Any:
    """`--exclude-known-errors`."""
    text = "CaDIS: without the 60 training frames known to be mislabelled (3,490 are left)."
    return typer.Option("--exclude-known-errors", help=text, rich_help_panel=panel)


def _completion(words: Any) -> Callable[[str], list[str]]:
    def complete(incomplete: str) -> list[str]:
        return [word for word in words if word.startswith(incomplete)]

    return complete
