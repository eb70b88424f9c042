"""Class files of users: JSON, TOML, CSV or CVAT's labelmap.txt, which say what ids a label map holds and what they are
called."""

from __future__ import annotations

import colorsys
import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from surgaug.errors import DataError
from surgaug.labels.label_space import MAX_CLASSES, MAX_ID, LabelClass, LabelSpace
from surgaug.runtime.options import parse_toml

SUFFIXES = (".json", ".toml", ".csv")
_LABELMAP = ".txt"  # CVAT's: a line `name:r,g,b:parts:actions` for each class
CLASS_FILES = ("classes.json", "classes.toml", "classes.csv", "class_dict.csv", "labelmap.txt", "_classes.csv")
_SHARED_NAMES = ("labelmap.txt", "_classes.csv")
KINDS = ("anatomy", "instrument", "other")
# What no file can hold: NUL, and what is not Unicode. Line ends are odd in a name, but text.
_UNFIT = re.compile("[\x00\ud800-\udfff]")
# The names that columns and keys go by in the wild, among them those of CaDIS's classes.csv (Index, Class).
_ALIASES = {
    "id": ("id", "index", "value", "label_id", "classid", "class_id", "pixel value", "pixel_value"),
    "name": ("name", "class", "label", "title", "classname", "class_name"),
    "kind": ("kind", "category", "type"),
    "color": ("color", "colour", "rgb", "color_rgb"),
    "depth": ("depth",),
    "group": ("group",),
    "handle_of": ("handle_of",),
}


def read_class_file(path: Path) -> LabelSpace:
    """The label space that a class file describes.

    JSON: {name: id}, {id: name}, [name, ...] (ids from 0), [{id, name, ...}, ...], or {"classes": one of these,
    "name", "ignore"}. TOML: the last form. CSV: a header with id (or Index), name (or Class) and, if wanted, kind,
    color (#rrggbb, "r g b" or "r;g;b", or columns r, g, b), depth, group, handle_of; a class named "ignore" is the
    ignore id; names and colours without id (`class_dict.csv`, CVAT's `labelmap.txt`) count from 0. Classes without
    colour get one, told apart from the others; without kind, "other".

    Raises:
        DataError: unreadable, or a value that cannot be, with its place and the cure.
    """
    path = Path(path)
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text; a class file is JSON, TOML or CSV") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    suffix = path.suffix.lower()
    try:
        if suffix == ".csv":
            return label_space(_csv_rows(content, path), path.stem, where=str(path))
        if suffix == _LABELMAP and (rows := _labelmap_rows(content)):
            return label_space(rows, path.stem, where=str(path))
        if suffix not in SUFFIXES:
            raise DataError(
                f"{path}: a class file ends in {', '.join(SUFFIXES)}, or is CVAT's labelmap.txt (lines name:r,g,b::)"
            )
        parsed = json.loads(content) if suffix == ".json" else parse_toml(content.encode())
    except (ValueError, csv.Error, RecursionError) as error:
        raise DataError(f"{path}: not {suffix[1:].upper()} ({error})") from error
    return label_space(parsed, path.stem, where=str(path))


def class_file_in(folder: Path) -> Path | None:
    """The class file of a folder, by its name: our own, CVAT's, Roboflow's or that of CamVid and its like."""
    for name in CLASS_FILES:
        path = folder / name
        if not path.is_file():
            continue
        if name in _SHARED_NAMES:  # other files go by these names, too
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                content = file.read(10_000)
            roboflow = "pixel value" in content.partition("\n")[0].lower()
            if not (roboflow if path.suffix == ".csv" else _labelmap_rows(content)):
                continue
        return path
    return None


def label_space(parsed: Any, name: str, *, where: str) -> LabelSpace:
    """The label space of an already parsed class file (see `read_class_file`); `where` begins each error message."""
    ignore = None
    if isinstance(parsed, Mapping) and isinstance(parsed.get("classes"), (Mapping, list)):
        name, ignore, parsed = str(parsed.get("name", name)), parsed.get("ignore"), parsed["classes"]
        if _UNFIT.search(name):
            raise DataError(f"{where}: the name {name!r} is no text")
    rows = list(_rows(parsed, where))
    if not rows:
        raise DataError(f"{where}: names no class")
    classes = []
    for number, row in enumerate(rows, 1):
        made = _label_class(row, f"{where}: class {number}")
        if made.name.lower() == "ignore" and ignore is None:
            ignore = made.id
        else:
            classes.append(made)
    return _checked(LabelSpace(name, tuple(classes), _optional_id(ignore, f"{where}: ignore")), where)


def distinct_color(k: int) -> tuple[int, int, int]:
    """A colour for the k-th class: hues by the golden ratio, so that any first n are far apart; k = 0 is dark grey."""
    if k == 0:
        return (40, 40, 40)
    r, g, b = colorsys.hsv_to_rgb(k * 0.618033988749895 % 1, (0.85, 0.55, 0.7)[k % 3], (1.0, 0.9, 0.7)[k // 3 % 3])
    return round(r * 255), round(g * 255), round(b * 255)


def _rows(parsed: Any, where: str) -> Iterable[Mapping[str, Any]]:
    if isinstance(parsed, list):
        for i, entry in enumerate(parsed):
            yield {"id": i, "name": entry} if isinstance(entry, str) else _canonical(entry, f"{where}: class {i + 1}")
    elif isinstance(parsed, Mapping):
        for key, value in parsed.items():
            if isinstance(value, Mapping):
                yield {"name": key, **_canonical(value, f"{where}: {key}")}
            elif isinstance(value, str) and (str(key).isdecimal() or not value.lstrip("-").isdecimal()):
                yield {"id": key, "name": value}  # a number in quotes is a name, where the key can be an id
            else:
                yield {"id": value, "name": key}
    else:
        raise DataError(f"{where}: a class file holds a list or a table of classes, not {type(parsed).__name__}")


def _canonical(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise DataError(f"{where}: {row!r} is neither a name nor a table with id and name")
    lower = {str(k).strip().lower(): v for k, v in row.items() if v is not None and v != ""}
    found = {field: lower[a] for field, names in _ALIASES.items() for a in reversed(names) if a in lower}
    if "color" not in found and {"r", "g", "b"} <= lower.keys():
        found["color"] = [lower["r"], lower["g"], lower["b"]]
    return found


def _csv_rows(content: str, path: Path) -> list[dict[str, Any]]:
    delimiter = max(",;\t", key=content.partition("\n")[0].count)
    reader = csv.DictReader(content.splitlines(), delimiter=delimiter, skipinitialspace=True)
    columns = _canonical(dict.fromkeys(reader.fieldnames or (), "x"), str(path)).keys()
    if not {"id", "name"} <= columns and not {"name", "color"} <= columns:
        raise DataError(
            f"{path}: the first line must name the columns, id (or Index) and name (or Class) among them; "
            f"it is {content.partition(chr(10))[0].strip()!r}"
        )
    rows = [row for row in reader if any(v and v.strip() for v in row.values() if isinstance(v, str))]
    return rows if "id" in columns else [{"id": i, **row} for i, row in enumerate(rows)]


def _labelmap_rows(content: str) -> list[dict[str, Any]]:
    """The classes of CVAT's labelmap.txt, counted from 0; none where a line is of another form."""
    lines = [line.strip() for line in content.splitlines() if line.strip() and not line.startswith("#")]
    found = [re.fullmatch(r"([^:]+):(\d{1,3},\d{1,3},\d{1,3})(:[^:]*){0,2}", line) for line in lines]
    return [{"id": i, "name": m[1], "color": m[2]} for i, m in enumerate(found) if m] if all(found) else []


def _label_class(row: Mapping[str, Any], where: str) -> LabelClass:
    if missing := [key for key in ("id", "name") if key not in row]:
        raise DataError(f"{where}: {' and '.join(missing)} missing")
    class_id = _id(row["id"], f"{where}: id")
    name = str(row["name"]).strip()
    kind = str(row.get("kind", "other")).strip().lower()
    if kind not in KINDS:
        raise DataError(f"{where} ({name}): kind {kind!r} is none of {', '.join(KINDS)}")
    if not name:
        raise DataError(f"{where}: the name of id {class_id} is empty")
    if not isinstance(row["name"], (str, int, float)) or _UNFIT.search(name):
        raise DataError(f"{where}: the name {row['name']!r} of id {class_id} is no text")
    return LabelClass(
        class_id,
        name,
        kind,  # type: ignore[arg-type]
        _color(row["color"], f"{where} ({name}): color") if "color" in row else distinct_color(class_id),
        _id(row.get("depth", 0), f"{where} ({name}): depth"),
        _optional_id(row.get("handle_of"), f"{where} ({name}): handle_of"),
        str(row["group"]).strip() if row.get("group") else None,
    )


def _id(value: Any, where: str) -> int:
    try:
        if isinstance(value, (bool, float)):
            raise ValueError
        number = int(value)
        if not 0 <= number <= MAX_ID:
            raise ValueError
    except (TypeError, ValueError):
        raise DataError(f"{where} is {value!r}; it must be a whole number from 0 to {MAX_ID}") from None
    return number


def _optional_id(value: Any, where: str) -> int | None:
    return None if value is None else _id(value, where)


def _color(value: Any, where: str) -> tuple[int, int, int]:
    try:
        if isinstance(value, str) and (match := re.fullmatch(r"\s*#?([0-9a-fA-F]{6})\s*", value)):
            parts = list(bytes.fromhex(match.group(1)))
        else:
            parts = [int(p) for p in (re.findall(r"\d+", value) if isinstance(value, str) else value)]
        if len(parts) != 3 or not all(0 <= p <= 255 for p in parts):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise DataError(f"{where} is {value!r}; write #rrggbb or three numbers from 0 to 255") from None
    return parts[0], parts[1], parts[2]


def _checked(space: LabelSpace, where: str) -> LabelSpace:
    if not space.classes:
        raise DataError(f"{where}: names no class")
    if len(space.classes) > MAX_CLASSES:
        raise DataError(f"{where}: {len(space.classes)} classes; at most {MAX_CLASSES} are possible")
    for what, values in (("id", space.ids), ("name", [n.lower() for n in space.names])):
        if twice := sorted(str(v) for v, n in Counter(values).items() if n > 1):
            raise DataError(f"{where}: {what} {', '.join(twice)} occurs more than once")
    if space.ignore in space.ids:
        raise DataError(f"{where}: {space.ignore} is both the ignore id and the id of {space.by_id(space.ignore).name}")
    if unknown := [c for c in space.classes if c.handle_of is not None and c.handle_of not in space.ids]:
        raise DataError(f"{where}: {unknown[0].name} is the handle of {unknown[0].handle_of}, which is no id")
    return space
