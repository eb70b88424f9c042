"""`augment-masks`: label maps in, a folder of new ones out. A stopped run goes on with the same line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from surgaug.datasets.dataset import LabelMaps, open_masks
from surgaug.datasets.splits import of_split
from surgaug.datasets.survey import Survey, read_as, survey, without_faults
from surgaug.errors import DataError, Interrupted
from surgaug.io.journal import Journal
from surgaug.io.lock import folder_lock
from surgaug.io.output_folder import DATASET, MEANING, PREVIEW, READ_AS, digest, write_description
from surgaug.perturb.config import AugmentConfig, check
from surgaug.perturb.engine import WORTH_A_WORKER, Engine, assign_masks, build, targets_of
from surgaug.perturb.output import FORMAT, Tally, claim, class_counts, draw_preview, found_kinds, report
from surgaug.perturb.worker import LABELS, Chunk, Done, Job, do, label_name
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.interrupt import graceful
from surgaug.runtime.notebook import picture_html, table_html
from surgaug.runtime.parallel import cores, in_processes
from surgaug.version import __version__

_CHUNK = 16  # samples of one mask that are handed to a worker at once


@dataclass(frozen=True)
class Result:
    """What a run left: its folder, the maps in it (originals not counted), and the samples it had to skip, with why."""

    out: Path
    maps: int
    skipped: dict[str, str]

    def _repr_html_(self) -> str:
        facts: list[list[Any]] = [
            ["folder", self.out],
            ["label maps", f"{self.maps:,}"],
            ["skipped", len(self.skipped)],
        ]
        return table_html(["", ""], facts, "new label maps") + picture_html(self.out / PREVIEW)


def augment_masks(
    config: AugmentConfig,
    feedback: Feedback | None = None,
    *,
    emit: Callable[[Path], None] = lambda path: None,
    again: str = "the same line",
) -> Result:
    """Make `config.n` new label maps in `config.out`; those that lie there already are kept.

    emit: called with the path of each map of the set, originals included. again: what to type to go on, for the message
    when interrupted. Raises UsageError or DataError before the first map when something does not fit, DataError when no
    map could be made, Interrupted after SIGINT or SIGTERM once the maps in hand are on disk.
    """
    feedback = feedback or Silent()
    check(config)
    maps = open_masks(config.masks, classes=config.classes, feedback=feedback)
    maps = replace(maps, items=tuple(maps.items[i] for i in of_split(maps.items, config.split, maps.root, feedback)))
    if config.leave_out_bad:
        maps = without_faults(maps, feedback, need_images=False)
    found = survey(maps, feedback, need_images=False)
    n = len(maps.items) if config.n is None else config.n
    for title, columns, table in found.tables()[:1]:
        feedback.table(title, columns, table)
    _refuse_single_classes(config, found)
    if said := found_kinds(maps.space):
        feedback.info(said)
    maps = replace(maps, scans={})
    targets = targets_of(config.recipe, maps.space, maps, found.presence_by_item)
    workers = config.workers or cores()
    plan = assign_masks(n, len(maps.items), config.seed)
    originals = _original_names(maps) if config.keep_originals else {}

    def files_of(index: int) -> tuple[str, ...] | None:
        if index < 0:
            return (originals[-1 - index],) if -1 - index in originals else None
        return (label_name(maps.items[plan[index]].name, index),) if index < n else None

    description = _describe(config, maps, n, found)
    config.out.mkdir(parents=True, exist_ok=True)
    with folder_lock(config.out, feedback):
        claim(config.out, description)
        with Journal(config.out, files_of, required=("classes", "perturbations")) as manifest:
            for row in manifest.rows():
                emit(config.out / row["label"])
            chunks = list(_chunks(plan, originals, manifest))
            if len(manifest) and chunks:
                feedback.info(f"{config.out}: {len(manifest)} of {n + len(originals)} maps are there already")
            engine = Engine(maps.space, config.recipe, targets)
            if chunks:
                engine = build(engine, maps, config.seed, workers, feedback)
            job = Job(maps, engine, config.seed, config.out)
            done = _run_all(job, chunks, manifest, n + len(originals), workers, feedback, emit, again)
            manifest.join()
        made = Tally()
        for row in manifest.rows(manifest.made):
            made.add(row)
        skipped = {label_name(maps.items[plan[k]].name, k): why for k, why in sorted(done.skipped.items())}
        classes = class_counts(found, made, targets)
        refused = _sorted(made.refused + done.refused)
        report(feedback, classes, len(maps), made, refused, skipped, config.recipe.plausibility)
        if made.made:
            draw_preview(config.out, manifest, maps, plan, config.seed)
        counts = {"maps": made.made, "skipped": skipped, "refused": refused}
        counts |= {"plausibility": made.plausibility_summary(), "classes": classes}
        write_description(config.out / DATASET, {**description, "complete": True, "counts": counts})
    if not made.made:
        reason = next(iter(refused), "the operations change nothing")
        raise DataError(f"{config.out}: none of {n} new maps could be made ({reason}); give other --ops or masks")
    return Result(config.out, made.made, skipped)


def _refuse_single_classes(config: AugmentConfig, found: Survey) -> None:
    if found.presence_by_item.sum(1).max() <= 1:
        shown = [c.name for c, there in zip(found.space.classes, found.presence, strict=True) if there]
        source = config.masks[0].parent if isinstance(config.masks, tuple) else config.masks
        raise DataError(
            f"{source}: no label map shows more than one class ({', '.join(shown)}), so that "
            "nothing in it can change; give masks with two classes or more"
        )


def _sorted(counts: Counter[str]) -> dict[str, int]:
    """Most first, and equal ones by name: the same however the run was cut."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _original_names(maps: LabelMaps) -> dict[int, str]:
    """The path of each mask's own copy; a number is added where two masks have one name."""
    names = Counter(item.name for item in maps.items)
    return {
        i: f"{LABELS}/{item.name}_original{f'_{i:06d}' if names[item.name] > 1 else ''}.png"
        for i, item in enumerate(maps.items)
    }


def _describe(config: AugmentConfig, maps: LabelMaps, n: int, found: Survey) -> dict[str, Any]:
    settings = {
        "masks": digest((item.name, maps.fingerprint(i)) for i, item in enumerate(maps.items)),
        READ_AS: read_as(found.space, found.pixels_by_item),
        MEANING: maps.space.digest(colors=False),
        "classes": maps.space.name,
        **config.recipe.to_dict(),
        "seed": config.seed,
        "keep_originals": config.keep_originals,
    }
    return {
        "format": FORMAT,
        "surgaug": __version__,
        "complete": False,
        "samples": n,
        "masks": {
            "source": None if isinstance(config.masks, tuple) else str(config.masks),
            "count": len(maps.items),
        },
        **({"left_out": list(maps.left_out)} if maps.left_out else {}),
        "settings": settings,
        "label_space": maps.space.to_dict(),
    }


def _chunks(plan: np.ndarray, originals: dict[int, str], there: Container[int]) -> Iterator[Chunk]:
    """What is left to do, mask by mask, so that a mask is read and analysed once for up to `_CHUNK` samples."""
    order = np.argsort(plan, kind="stable")
    starts = np.flatnonzero(np.diff(plan[order], prepend=-1))
    of_mask = {int(plan[part[0]]): part.tolist() for part in np.split(order, starts[1:]) if len(part)}
    for mask in sorted({*of_mask, *originals}):
        todo = [k for k in of_mask.get(mask, []) if k not in there]
        original = originals.get(mask) if -1 - mask not in there else None
        for start in range(0, max(len(todo), original is not None), _CHUNK):
            yield Chunk(mask, tuple(todo[start : start + _CHUNK]), original if start == 0 else None)


def _run_all(
    job: Job,
    chunks: list[Chunk],
    manifest: Journal,
    total: int,
    workers: int,
    feedback: Feedback,
    emit: Callable[[Path], None],
    again: str,
) -> Done:
    """Work off the chunks, add their rows to the manifest; the skipped samples and their refusals."""
    done, finished = Done(), 0
    with graceful() as stop, feedback.task("new label maps", total, "maps", done=len(manifest)) as bar:
        samples = sum(len(chunk.samples) for chunk in chunks)
        workers = min(workers, -(-samples // WORTH_A_WORKER), len(chunks))
        for part in in_processes(do, job, chunks, workers, lambda: stop.requested):
            manifest.append(part.rows)
            done.skipped |= part.skipped
            done.refused += part.refused
            for row in part.rows:
                emit(job.out / row["label"])
            bar.advance(len(part.rows) + len(part.skipped))
            finished += 1
    if finished < len(chunks):
        raise Interrupted(f"stopped after {len(manifest)} of {total} maps; to go on, type: {again}")
    return done
