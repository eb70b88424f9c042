"""An output folder: whether it is empty or ours, the file that says what it holds, and whether that is what is asked.

In the order of use: `refuse_strangers` and `refuse_other_settings` before long work, `claim` before the first file,
`write_description` with the counts once everything is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from surgaug.errors import DataError, SurgaugError, UsageError
from surgaug.io.atomic import clean_leftovers, write_text

DATASET, PREVIEW = "dataset.json", "preview.png"  # of a folder of label maps, or of pairs
READ_AS = "read_as"  # the setting that is a digest of the class ids of label maps
MEANING = "meaning"  # a digest of what the classes are: their names, kinds and so on
IMAGES = "images"  # the setting that is a digest of the image files
STYLE, STYLE_PICTURES = "style", "style_pictures"  # as asked for, and a digest of the pictures that were read for it
# Settings added since 0.1; not held against a description without them.
LATER = (READ_AS, MEANING, IMAGES, STYLE_PICTURES)
# Digests, which tell nothing by themselves: what else was, where they differ.
_SINCE = {
    READ_AS: "the same label files came to other class ids",
    MEANING: "its classes were others (a name, a kind, a depth, a group or a colour)",
}
_LONGEST = 200  # characters of a value; more is cut; paths fit


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], *, free: Collection[str] = (), prefix: str = ""
) -> list[str]:
    """`key: old there, new now` for every setting that differs and is not `free` to.

    Of tables only what differs in them is told; `free` names settings that are in none.
    """
    lines = []
    for key in {**old, **new}:
        a, b = old.get(key), new.get(key)
        if key in free:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            lines += differences(a, b, prefix=f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key}: {_short(a)} there, {_short(b)} now")
    return lines


def refuse_strangers(
    file: Path, what: str, error: type[SurgaugError] = DataError, cure: str = "give another --out"
) -> None:
    """Refuse a folder that is not empty, hidden files aside, and lacks `file`, which would say that it holds `what`.

    Raises `error`.
    """
    if file.exists() or not file.parent.exists():
        return
    if strangers := sorted(path.name for path in file.parent.iterdir() if not path.name.startswith(".")):
        raise error(f"{file.parent}: the folder is not empty and holds no {what} ({', '.join(strangers[:5])}); {cure}")


def refuse_other_settings(file: Path, description: Mapping[str, Any], what: str) -> None:
    """Refuse to go on in a folder unless the `what` ("a data set") that `file` describes is that of `description`.

    Nothing where there is no such file yet. Raises DataError when it is no such description, UsageError, with the
    differences, when it was begun with other settings or with more samples.
    """
    if not file.exists():
        return
    old = read_description(file)
    settings, samples = old.get("settings"), old.get("samples")
    if old.get("format") != description["format"] or not isinstance(settings, dict) or type(samples) is not int:
        raise DataError(f"{file}: not a description of {what} of surgaug; give another --out")
    free = [*_SINCE, *(key for key in LATER if key not in settings)]
    if STYLE_PICTURES in settings and STYLE_PICTURES in description["settings"]:
        free.append(STYLE)  # the same pictures by another path
    if lines := differences(settings, description["settings"], free=free):
        raise UsageError(
            f"{file.parent} holds {what} made with other settings ({'; '.join(lines)}); "
            "repeat the settings it began with, or give another --out"
        )
    for key, since in _SINCE.items():
        if settings.get(key) not in (None, description["settings"].get(key)):
            raise UsageError(
                f"{file.parent} holds {what} made when {since}: a class file has changed since, or --classes, or the "
                "names or colours beside the label maps; put it back as it was, or give another --out"
            )
    if samples > description["samples"]:
        raise UsageError(
            f"{file.parent} was begun with --n {samples}, and --n {description['samples']} would leave some out; "
            f"give --n {samples} or more, or another --out"
        )


def claim(file: Path, description: Mapping[str, Any], folders: Iterable[Path] = ()) -> None:
    """Write `description` to `file` and make its folder and `folders` ready for what it says.

    The description comes first: what a kill leaves from then on is known as ours.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    write_description(file, description)
    make_ready([file.parent, *folders])


def make_ready(folders: Iterable[Path]) -> None:
    """Make these folders, and remove what a killed run left half-written in them."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        clean_leftovers(folder)


def write_description(file: Path, description: Mapping[str, Any]) -> None:
    """Write it as JSON for people, atomically; the version of surgaug in it stays that which began, and what that
    version did not write stays away."""
    old = read_description(file)
    if "surgaug" in description:
        description = {**description, "surgaug": old.get("surgaug", description["surgaug"])}
    if isinstance(begun := old.get("settings"), dict):
        settings = {k: v for k, v in description["settings"].items() if k in begun or k not in LATER}
        description = {**description, "settings": settings}
    write_text(file, json.dumps(description, indent=2, ensure_ascii=False) + "\n")


def read_description(file: Path) -> dict[str, Any]:
    """The JSON object in `file`; empty where there is none, or it cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def digest(names_and_hashes: Iterable[tuple[str, str]]) -> str:
    """sha256, hexadecimal, of label maps by their names and their own sha256 (hexadecimal), in their order."""
    total = hashlib.sha256()
    for name, fingerprint in names_and_hashes:
        total.update(name.encode() + b"\0" + bytes.fromhex(fingerprint))
    return total.hexdigest()


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
