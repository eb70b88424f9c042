"""What a model file says of itself, for people: facts and tables from its header alone, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from surgaug.labels.class_statistics import ClassStatistics

STAGE_NAMES = ("first", "second")
LONG = ("noise schedule", "samples by default with", "network")  # facts too wide for a column


@dataclass
class Description:
    """facts: name and value. tables: title, columns and rows. notes: what is worth knowing."""

    facts: list[tuple[str, str]] = field(default_factory=list)
    tables: list[tuple[str, list[str], list[list[Any]]]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, value: object) -> None:
        """One more fact, unless there is nothing to say."""
        if value not in (None, "", [], {}):
            self.facts.append((name, str(value)))


def describe(header: dict[str, Any], parameters: Mapping[str, int]) -> Description:
    """The description of a model from the header of its file.

    parameters: how many numbers the network has, by the name of the stage; of a model that is no cascade, by "".
    Raises KeyError, TypeError, ValueError or AttributeError where the header is not one.
    """
    stages = header.get("stages")
    if not stages:
        return _of_one(header, parameters[""])
    columns: list[dict[str, str | None]] = []
    for name in STAGE_NAMES:
        facts: dict[str, str | None] = dict(_of_one(stages[name], parameters[name]).facts)
        columns.append(facts | {"made large from": _size(stages[name].get("base", [])) or None})
    found = _of_one(stages["first"], sum(parameters.values()))
    differing = [key for key, value in columns[1].items() if columns[0].get(key) != value]
    found.facts = [(key, value) for key, value in found.facts if key not in differing]
    found.facts[:0] = [("family", "cascade"), ("size", _size(stages["second"]["size"]))]
    for key in (key for key in differing if key in LONG):
        found.facts += [
            (f"{key} ({name} stage)", str(column[key])) for name, column in zip(STAGE_NAMES, columns, strict=True)
        ]
    rows = [[key, *(column.get(key) for column in columns)] for key in differing if key not in LONG]
    found.tables.insert(0, ("What the stages are", ["", *STAGE_NAMES], rows))
    return found


def _of_one(header: dict[str, Any], parameters: int) -> Description:
    found = Description()
    meta, space = header.get("meta", {}), header["space"]
    train, ids = meta.get("train", {}), [c["id"] for c in space["classes"]]
    statistics = ClassStatistics.from_dict(meta.get("statistics", {}), ids)
    found.add("parameters", f"{parameters / 1e6:.2f} M")
    found.add("family", header.get("family"))
    found.add("preset", train.get("preset"))
    found.add("size", _size(header.get("size", [])))
    found.add("label space", f"{space['name']}, {len(space['classes'])} classes")
    found.add("predicts", header.get("prediction"))
    found.add("noise schedule", _settings(header.get("schedule")))
    found.add("samples by default with", _settings(header.get("defaults")))
    found.add("network", _settings(header.get("config")))
    found.add("trained on", f"{train['data']}, {statistics.frames or '?'} frames" if train.get("data") else None)
    if "step" in meta:
        found.add("trained for", f"{meta['step']} steps, {meta.get('minutes', 0):.1f} min, {meta.get('images')} images")
    found.add("lowest validation loss", None if meta.get("val_loss") is None else f"{meta['val_loss']:.4g}")
    found.add("written by", f"surgaug {meta['surgaug']}" if "surgaug" in meta else None)
    if statistics.presence.keys() >= set(ids):
        rows = [
            [c["id"], c["name"], c["kind"], statistics.presence[c["id"]], f"{100 * statistics.pixels[c['id']]:.2g} %"]
            for c in space["classes"]
        ]
        found.tables.append(("Classes trained on", ["id", "class", "kind", "frames", "of pixels"], rows))
        if unseen := [row[1] for row in rows if not row[3]]:
            found.notes.append(f"classes in no training frame ({len(unseen)}): {', '.join(unseen)}")
    return found


def _size(size: list[int]) -> str:
    return "x".join(map(str, size))


def _settings(table: dict[str, Any] | None) -> str:
    return ", ".join(f"{k} {v}" for k, v in (table or {}).items())
