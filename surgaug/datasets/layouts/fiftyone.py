"""FiftyOne: data/NAME.png, fields/ground_truth/NAME.png, samples.json with a sample for each, metadata.json.

Format: docs.voxel51.com, "FiftyOneDataset", in the form that says nothing of a database, which every version imports
(fiftyone.utils.data.importers). Each sample has all that the manifest says of its frame, so that FiftyOne can filter
and sort by it. 0 is what FiftyOne does not draw: a class named background, or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from surgaug.datasets.item import Item, WrittenItem, inside
from surgaug.datasets.pairing import split_of
from surgaug.datasets.stored_ids import BACKGROUND
from surgaug.datasets.stored_ids import background_values as values
from surgaug.errors import DataError
from surgaug.io.atomic import write_text
from surgaug.io.manifest import Row, part_path, read_rows
from surgaug.labels.label_space import LabelSpace

__all__ = ["finish", "matches", "paths", "read", "values"]

SAMPLES, METADATA, FIELD = "samples.json", "metadata.json", "ground_truth"
NO_PALETTE = "which reads a palette as colours"
_OWN = ("filepath", "tags", "metadata", "id", FIELD)  # of a sample, in FiftyOne


def matches(root: Path) -> bool:
    """Whether samples stand beside masks of the field that is written here."""
    return (root / SAMPLES).is_file() and (root / "fields" / FIELD).is_dir()


def read(root: Path, *, split: str | None = None) -> list[Item]:
    """The samples; the split is the tag that is called as one. Raises DataError: a damaged file, no such split."""
    file = root / SAMPLES
    try:
        samples = json.loads(file.read_text(encoding="utf-8"))["samples"]
        items = [_item(root, sample, file) for sample in samples]
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
        reason = f"{error} missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{file}: not FiftyOne's samples with masks ({reason}); export them anew") from error
    items = [item for item in items if split in (None, item.split)]
    if not items:
        raise DataError(f"{file}: no sample has the tag '{split}'; leave the split out")
    return items


def paths(frame: WrittenItem) -> tuple[str, str]:
    """data/NAME.png and fields/ground_truth/NAME.png."""
    return f"data/{frame.name}.png", f"fields/{FIELD}/{frame.name}.png"


def finish(root: Path, frames: Sequence[WrittenItem], space: LabelSpace) -> None:
    """samples.json, with the manifest's rows where it is written already, and metadata.json with the names."""
    rows, _ = read_rows(root) if part_path(root).is_file() else ([], [])
    by_image = {row["image"]: row for row in rows if "image" in row}
    samples = [_sample(frame, by_image.get(paths(frame)[0], Row())) for frame in frames]
    on_disk = values(space)
    targets = {str(on_disk[c.id]): c.name for c in space.classes if c.name.lower() != BACKGROUND}
    if space.ignore is not None:
        targets[str(on_disk[space.ignore])] = "ignore"
    content = {"media_type": "image", "info": {"mask_targets": {FIELD: targets}, "default_mask_targets": targets}}
    write_text(root / METADATA, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    lines = ",\n".join(json.dumps(sample, ensure_ascii=False) for sample in samples)
    write_text(root / SAMPLES, f'{{"samples": [\n{lines}\n]}}\n')


def _sample(frame: WrittenItem, row: Row) -> dict[str, Any]:
    image, label = paths(frame)
    told: dict[str, Any] = {key: value for key, value in row.items() if key not in _OWN}
    told |= {"name": frame.name, "synthetic": frame.synthetic, "video": frame.video or row.get("video")}
    if "perturbations" in row:
        told["operations"] = [record["op"] for record in row["perturbations"]]
    known = {key: _keys_of_a_database(value) for key, value in told.items() if value is not None}
    tags = [*([frame.split] if frame.split else []), "synthetic" if frame.synthetic else "real"]
    return {"filepath": image, "tags": tags, FIELD: {"_cls": "Segmentation", "mask_path": label}, **known}


def _keys_of_a_database(value: Any) -> Any:
    """`value` without keys that FiftyOne's database refuses: they have no dots, and no $ before them."""
    if isinstance(value, Mapping):
        return {key.replace(".", "_").replace("$", "_"): _keys_of_a_database(inner) for key, inner in value.items()}
    return [_keys_of_a_database(inner) for inner in value] if isinstance(value, list) else value


def _item(root: Path, sample: Mapping[str, Any], file: Path) -> Item:
    image, label = inside(root, sample["filepath"], file), inside(root, sample[FIELD]["mask_path"], file)
    split = next(filter(None, map(split_of, sample["tags"])), None)
    return Item(image.stem, image, label, sample.get("video"), split)
