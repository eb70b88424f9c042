"""A folder of frames with label maps, or of label maps alone: what it holds, and everything that is wrong with it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from surgaug.datasets.dataset import LabelMaps, PairedFrames, open_masks, open_pairs
from surgaug.datasets.layouts.cadis import known_errors
from surgaug.datasets.stored_ids import DESCRIPTION, FOLDERS_DESCRIPTION
from surgaug.datasets.survey import count, find_faults, snapped, without_faults
from surgaug.errors import DataError
from surgaug.inspect.report import Report
from surgaug.io.manifest import part_paths, read_lines
from surgaug.io.output_folder import read_description
from surgaug.labels.space_detection import cadis_named
from surgaug.runtime.feedback import Feedback

_LISTED = 5


def inspect_folder(
    root: Path,
    classes: str,
    feedback: Feedback,
    images: Path | None = None,
    labels: Path | None = None,
    leave_out_bad: bool = False,
) -> Report:
    """Report of a data set, or of label maps. What cannot be opened at all is a report with that one problem."""
    try:
        frames: LabelMaps = open_frames(root, classes, feedback, images, labels)
    except DataError as error:
        return Report(root, "folder", problems=[str(error)])
    paired = isinstance(frames, PairedFrames)
    report = Report(root, "data set" if paired else "label maps", frames=frames)
    if isinstance(frames, PairedFrames):
        report.add("layout", frames.layout)
    report.add("encoding", frames.codec.encoding)
    report.add("label space", f"{frames.space.name}, {frames.space.num_classes} classes")
    report.add("ignore id", frames.space.ignore)
    pictured = paired and any(item.image is not None for item in frames.items)
    if leave_out_bad:
        frames = report.frames = without_faults(frames, feedback, need_images=pictured)
        report.notes += frames.left_out
    found = find_faults(frames, feedback, need_images=pictured)
    report.problems += [f"{fault.kind}: {fault.line}" for fault in found]
    if paired and not pictured:
        report.problems.append(f"no image beside any of the {len(frames)} label maps; as masks they can be used")
    survey = count(frames)
    (_, _, facts), (title, columns, rows) = survey.tables()
    report.facts += [(name, value) for name, value in facts]
    report.tables.append((title, columns, [row for row in rows if row[3] != "0"]))
    report.notes += frames.notes
    report.doubts += frames.doubts
    if frames.codec.encoding == "two-class":
        report.doubts.append(snapped(frames))
    _describe(root, report)
    _read_manifest(root, frames, report)
    _look_for_leaks(frames, report)
    absent = [c.name for c, seen in zip(frames.space.classes, survey.presence.tolist(), strict=True) if not seen]
    if absent:
        report.notes.append(f"classes that never occur ({len(absent)}): {', '.join(absent)}")
    names = [file.stem for item in frames.items if (file := item.image or item.label)]
    if paired and cadis_named(names) and (wrong := sum(name in known_errors() for name in names)):
        report.notes.append(f"{wrong} frames are known to be mislabelled (--exclude-known-errors leaves them out)")
    report.details["label_space"] = frames.space.to_dict()
    return report


def open_frames(
    root: Path, classes: str, feedback: Feedback, images: Path | None = None, labels: Path | None = None
) -> LabelMaps:
    """The data set at `root`, or its label maps where it holds no images. Raises DataError as those do."""
    try:
        return open_pairs(root, classes=classes, images=images, labels=labels, feedback=feedback)
    except DataError as error:
        try:
            return open_masks(root, classes=classes, feedback=feedback)
        except DataError:
            raise error from None


def _describe(root: Path, report: Report) -> None:
    """What surgaug's own description in the folder says: which command made it, and how far it is."""
    file = next((root / name for name in (DESCRIPTION, FOLDERS_DESCRIPTION) if (root / name).is_file()), None)
    made = read_description(file) if file else {}
    settings = made.get("settings")
    if not isinstance(settings, dict):
        return
    report.add("made by", f"surgaug {made.get('surgaug', '?')} from {_source(made)}")
    if isinstance(made.get("model"), dict):
        report.add("model", f"{made['model'].get('file')} ({str(made['model'].get('hash'))[:12]})")
    names = ("sampler", "steps", "guidance", "seed", "augment", "ratio")
    report.add(
        "settings", ", ".join(f"{name} {settings[name]}" for name in names if settings.get(name) not in (None, ""))
    )
    if not made.get("complete", True):
        report.problems.append(f"not complete: the command that makes {made.get('samples')} samples must be run again")
    report.details["description"] = made


def _read_manifest(root: Path, frames: LabelMaps, report: Report) -> None:
    """How many rows the manifest has, how many of its lines are none, and how many frames lack one."""
    if not part_paths(root):
        return
    rows, synthetic, damaged = 0, 0, []
    told: set[Path] = set()
    for part in part_paths(root):
        for line in read_lines(part):
            if line.row is None:
                damaged.append(f"{part}: line {line.number}")
                continue
            rows += 1
            synthetic += line.row.get("synthetic", False)
            told.update(root / name for name in (line.row.get("image"), line.row.get("label")) if name)
    report.add("manifest", f"{rows:,} rows" + (f", {len(damaged):,} lines that are none" if damaged else ""))
    report.problems += [f"{line} is not a row of a manifest, and is passed over" for line in damaged]
    if synthetic:
        report.add("of these synthetic", f"{synthetic:,}")
    if untold := [item.name for item in frames.items if told.isdisjoint((item.image, item.label, *item.twins))]:
        named = ", ".join(untold[:_LISTED]) + (", ..." if len(untold) > _LISTED else "")
        report.notes.append(f"{len(untold)} of {len(frames)} have no row in the manifest, and no known origin: {named}")


def _source(made: dict) -> str:
    sources, masks = made.get("sources"), made.get("masks")
    if isinstance(sources, dict):
        synthetic = sources.get("synthetic", sources.get("painted"))  # the word of 0.1
        return ", ".join([str(sources.get("real")), *map(str, synthetic if isinstance(synthetic, list) else [])])
    return str((masks.get("source") if isinstance(masks, dict) else None) or "paths on standard input")


def _look_for_leaks(frames: LabelMaps, report: Report) -> None:
    """Videos whose frames stand in several splits."""
    splits: dict[str, set[str]] = defaultdict(set)
    for item in frames.items:
        if item.video and item.split:
            splits[item.video].add(item.split)
    leaks = sorted(video for video, where in splits.items() if len(where) > 1)
    if leaks:
        named = ", ".join(f"{video} ({', '.join(sorted(splits[video]))})" for video in leaks[:_LISTED])
        more = ", ..." if len(leaks) > _LISTED else ""
        report.problems.append(f"videos with frames in several splits: {named}{more}")
