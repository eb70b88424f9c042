"""A single file: an image or label map, a manifest, a class file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from PIL import Image

from surgaug.datasets.dataset import open_masks
from surgaug.datasets.survey import count, find_faults
from surgaug.errors import DataError
from surgaug.inspect.report import Report
from surgaug.io.images import ARRAY_SUFFIXES
from surgaug.io.manifest import is_there, named_check, read_lines
from surgaug.labels.class_file import read_class_file
from surgaug.labels.codecs.coco import objects_of, read_coco
from surgaug.labels.scan import Scan, scan_raster
from surgaug.runtime.feedback import Silent

# An image of more values than this is taken for a photograph.
_MOST_VALUES = 128
# Of a manifest's rows: what is mostly the same in all.
_ALIKE: Final = ("seed", "sampler", "steps", "guidance", "model", "split")
_MISSING = "named in the manifest, and not there"


def inspect_image(path: Path, classes: str) -> Report:
    """Report of an image file, as a label map if it holds few values or --classes is given."""
    scan = scan_raster(path)
    if scan.problem and not _is_photograph(scan):
        return Report(path, "image", problems=[scan.problem])
    report = Report(path, "image" if _is_photograph(scan) and classes == "auto" else "label map")
    if path.suffix.lower() in ARRAY_SUFFIXES:
        report.add("format", "NumPy array")
    else:
        with Image.open(path) as image:
            report.add("format", f"{image.format}, mode {image.mode}")
    height, width = scan.hw
    report.add("size", f"{height}x{width}")
    if report.kind == "image":
        return report
    try:
        maps = open_masks([path], classes=classes)
    except DataError as error:
        report.problems.append(str(error))
        return report
    report.add("encoding", maps.codec.encoding)
    report.add("label space", f"{maps.space.name}, {maps.space.num_classes} classes")
    report.problems += [fault.line for fault in find_faults(maps, Silent(), need_images=False)]
    report.notes += maps.notes
    report.doubts += maps.doubts
    title, columns, rows = count(maps).tables()[1]
    report.tables.append((title, columns, [row for row in rows if row[3] != "0"]))
    return report


def inspect_manifest(path: Path) -> Report:
    """Report of a manifest: rows, masks, perturbations, seeds, and files that are missing.

    Rows are added up one by one, since there may be millions: in memory is what differs between them.
    """
    report = Report(path, "manifest")
    masks: set[str | None] = set()
    values: dict[str, Counter[str]] = {name: Counter() for name in _ALIKE}
    applied, failed = Counter[str](), Counter[str]()
    count, damaged, missing = 0, [], []
    for line in read_lines(path):
        row = line.row
        if row is None:
            damaged.append(f"{path}: line {line.number} is not a row")
            continue
        count += 1
        masks.add(row.get("mask"))
        for name in _ALIKE:
            if name in row:
                values[name][str(row[name])[:12]] += 1
        applied.update(record["op"] for record in row.get("perturbations", ()))
        failed.update(check for check, passed in row.get("checks", {}).items() if not passed)
        named = [path.parent / name for name in (row.get("image"), row.get("label")) if name]
        missing += [f"{_MISSING}: {file}" for file in named if not is_there(file)]
    report.add("rows", f"{count:,}")
    report.add("lines that are no row", f"{len(damaged):,}" if damaged else None)
    report.add("masks", f"{len(masks - {None}):,}")
    for name, seen in values.items():
        report.add(name, ", ".join(f"{v} ({n:,})" if len(seen) > 1 else v for v, n in seen.most_common(6)))
    if applied:
        report.tables.append(("Perturbations", ["operation", "rows"], [[op, n] for op, n in applied.most_common()]))
    report.problems += damaged + missing
    report.notes += [f"samples that did not pass the check {named_check(check)}: {n:,}" for check, n in failed.items()]
    return report


def inspect_coco(path: Path) -> Report:
    """Report of a COCO annotation file: its categories, and how often each occurs."""
    report = Report(path, "COCO annotations")
    try:
        coco = read_coco(path)
    except DataError as error:
        report.problems.append(str(error))
        return report
    parts = [part for i in coco.images.values() for a in i.annotations for part in objects_of(a)]
    counts = Counter(str(part.get("category_id")) for part in parts)
    report.add("images", f"{len(coco.images):,}")
    report.add("objects", f"{sum(counts.values()):,}")
    rows = [[int(i) if i.isdecimal() else i, name, counts[i]] for i, name in coco.categories.items()]
    report.tables.append(("Categories", ["id", "category", "objects"], rows))
    if unknown := sorted(counts.keys() - coco.categories.keys()):
        report.problems.append(f"{path}: category ids without a category: {', '.join(unknown)}")
    report.problems += [image.fault for image in coco.images.values() if image.fault]
    report.problems += coco.strays
    report.notes.append("the data set is the folder above: inspect that for its label maps")
    return report


def inspect_class_file(path: Path) -> Report:
    """Report of a class file."""
    report = Report(path, "class file")
    try:
        space = read_class_file(path)
    except DataError as error:
        report.problems.append(str(error))
        return report
    report.add("classes", space.num_classes)
    report.add("ignore id", space.ignore)
    rows = [[c.id, c.name, c.kind, "#{:02x}{:02x}{:02x}".format(*c.color)] for c in space.classes]
    report.tables.append((f"Classes ({space.name})", ["id", "class", "kind", "color"], rows))
    report.details["label_space"] = space.to_dict()
    return report


def _is_photograph(scan: Scan) -> bool:
    values = len(scan.counts or ())
    return values > _MOST_VALUES or (scan.problem is not None and scan.hw != (0, 0))  # read, but of too many colours
