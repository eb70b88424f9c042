"""`augment-masks`: label maps in, a folder of new ones out. A stopped run goes on with the same line."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from surgaug import __version__
from surgaug.data.atomic import write_png
from surgaug.data.dataset import LabelMaps, Survey, open_masks, survey
from surgaug.data.label_space import LabelSpace
from surgaug.errors import Interrupted
from surgaug.feedback import Feedback, Silent
from surgaug.interrupt import graceful
from surgaug.lock import folder_lock
from surgaug.perturb import output
from surgaug.perturb.config import AugmentConfig, check
from surgaug.perturb.knowledge import Knowledge, learn
from surgaug.perturb.pool import cores, in_order
from surgaug.perturb.preview import TRIPLES, contact_sheet
from surgaug.perturb.work import LABELS, Chunk, Done, Job, assign_masks, do, label_name, look_at

_CHUNK = 16  # samples of one mask that are handed to a worker at once
_WORTH_A_WORKER = 32  # samples; a process costs some half a second to start
_NAMED = 5
_LOOKED_AT = 400  # masks; more tell little more


@dataclass(frozen=True)
class Result:
    """What a run left: its folder, the maps in it (originals not counted), and the samples it had to skip, with why."""

    out: Path
    maps: int
    skipped: dict[str, str]


def augment_masks(
    config: AugmentConfig,
    feedback: Feedback | None = None,
    *,
    emit: Callable[[Path], None] = lambda path: None,
    again: str = "the same line",
) -> Result:
    """Make `config.n` new label maps in `config.out`; those that lie there already are kept.

    emit: called with the path of each map of the set, originals included. again: what to type to go on, for the message
    when interrupted. Raises UsageError or DataError before the first map when something does not fit, Interrupted after
    SIGINT or SIGTERM once the maps in hand are on disk.
    """
    feedback = feedback or Silent()
    check(config)
    maps = open_masks(config.masks, classes=config.classes, feedback=feedback)
    found = survey(maps, feedback, need_images=False)
    n = len(maps.items) if config.n is None else config.n
    for title, columns, table in found.tables()[:1]:
        feedback.table(title, columns, table)
    job = Job(replace(maps, scans={}), config.ops, config.seed, config.tries, config.out)
    workers = config.workers or cores()
    plan = assign_masks(n, len(maps.items), config.seed)
    originals = _original_names(maps) if config.keep_originals else {}

    def name_of(index: int) -> str | None:
        if index < 0:
            return originals.get(-1 - index)
        return label_name(maps.items[plan[index]].name, index) if index < n else None

    description = _describe(config, maps, n)
    config.out.mkdir(parents=True, exist_ok=True)
    with folder_lock(config.out, feedback):
        output.claim(config.out, description)
        rows = output.finished_rows(config.out, name_of)
        for index in sorted(rows):
            emit(config.out / rows[index]["label"])
        chunks = list(_chunks(plan, originals, rows.keys()))
        if rows and chunks:
            feedback.info(f"{config.out}: {len(rows)} of {n + len(originals)} maps are there already")
        if chunks:
            job = replace(job, knowledge=_learn(job, workers, feedback))
        done = _run_all(job, chunks, rows, n + len(originals), workers, feedback, emit, again)
        skipped = {label_name(maps.items[plan[k]].name, k): why for k, why in sorted(done.skipped.items())}
        made = [rows[index] for index in sorted(rows) if index >= 0]
        output.write_manifest(config.out, [rows[index] for index in sorted(rows)])
        _report(feedback, found, maps.space, made, done, skipped)
        if made:
            _draw_preview(config.out, job, made)
        counts = {"maps": len(made), "skipped": skipped, "classes": _class_totals(maps.space, made)}
        output.write_description(config.out, {**description, "complete": True, "counts": counts})
    return Result(config.out, len(made), skipped)


def _original_names(maps: LabelMaps) -> dict[int, str]:
    """The path of each mask's own copy; a number is added where two masks have one name."""
    names = Counter(item.name for item in maps.items)
    return {
        i: f"{LABELS}/{item.name}_original{f'_{i:06d}' if names[item.name] > 1 else ''}.png"
        for i, item in enumerate(maps.items)
    }


def _describe(config: AugmentConfig, maps: LabelMaps, n: int) -> dict[str, Any]:
    digest = hashlib.sha256()
    for item in maps.items:
        digest.update(item.name.encode() + b"\0" + hashlib.sha256(item.label.read_bytes()).digest())
    settings = {
        "masks": digest.hexdigest(),
        "classes": maps.space.name,
        "ops": [
            {"name": op.name, "probability": op.probability, "strength": op.strength, **dict(op.settings)}
            for op in config.ops
        ],
        "seed": config.seed,
        "tries": config.tries,
        "keep_originals": config.keep_originals,
    }
    return {
        "format": output.FORMAT,
        "surgaug": __version__,
        "complete": False,
        "samples": n,
        "masks": {
            "source": None if isinstance(config.masks, tuple) else str(config.masks),
            "count": len(maps.items),
        },
        "settings": settings,
        "label_space": maps.space.to_dict(),
    }


def _chunks(plan: np.ndarray, originals: dict[int, str], there: Any) -> Iterator[Chunk]:
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
    rows: dict[int, dict[str, Any]],
    total: int,
    workers: int,
    feedback: Feedback,
    emit: Callable[[Path], None],
    again: str,
) -> Done:
    """Work off the chunks, add the rows to `rows`; the skipped samples and the refusals."""
    done, finished = Done(), 0
    with (
        graceful() as stop,
        feedback.task("new label maps", total, "maps", done=len(rows)) as bar,
        output.Journal(job.out, [rows[i] for i in sorted(rows)]) as journal,
    ):
        samples = sum(len(chunk.samples) for chunk in chunks)
        workers = min(workers, -(-samples // _WORTH_A_WORKER), len(chunks))
        for part in in_order(do, job, chunks, workers, lambda: stop.requested):
            journal.append(part.rows)
            rows.update((row["index"], row) for row in part.rows)
            done.skipped |= part.skipped
            done.refused += part.refused
            for row in part.rows:
                emit(job.out / row["label"])
            bar.advance(len(part.rows) + len(part.skipped))
            finished += 1
    if finished < len(chunks):
        raise Interrupted(f"stopped after {len(rows)} of {total} maps; to go on, type: {again}")
    return done


def _learn(job: Job, workers: int, feedback: Feedback) -> Knowledge:
    """What the masks tell, from `_LOOKED_AT` of them at most, evenly spread."""
    n = len(job.maps.items)
    chosen = [int(i) for i in np.linspace(0, n - 1, min(n, _LOOKED_AT)).round()]
    sights = []
    with feedback.task("learning from the masks", len(chosen), "maps") as bar:
        for sight in in_order(look_at, job, chosen, min(workers, -(-len(chosen) // _WORTH_A_WORKER))):
            sights.append(sight)
            bar.advance()
    return learn(sights)


def _class_totals(space: LabelSpace, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    maps: Counter[int] = Counter()
    pixels: Counter[int] = Counter()
    for row in rows:
        counts = {int(i): count for i, count in row["classes"].items()}
        maps.update(counts.keys())
        pixels.update(counts)
    return [{"id": c.id, "name": c.name, "maps": maps[c.id], "pixels": pixels[c.id]} for c in space.classes]


def _report(
    feedback: Feedback,
    before: Survey,
    space: LabelSpace,
    made: list[dict[str, Any]],
    done: Done,
    skipped: dict[str, str],
) -> None:
    """Classes before and after, what was done how often, what was refused and why, what was skipped."""
    presence = before.presence_by_item.mean(0)
    pixels_before = np.asarray(before.pixels, float) / max(float(np.sum(before.pixels)), 1.0)
    totals = _class_totals(space, made)
    pixels_after = max(sum(t["pixels"] for t in totals), 1)
    rows = [
        [
            total["id"],
            total["name"],
            f"{100 * presence[k]:.1f}",
            f"{100 * total['maps'] / max(len(made), 1):.1f}",
            f"{100 * pixels_before[k]:.3f}",
            f"{100 * total['pixels'] / pixels_after:.3f}",
        ]
        for k, total in enumerate(totals)
        if presence[k] or total["maps"]
    ]
    columns = ["id", "class", "maps before %", "after %", "pixels before %", "after %"]
    feedback.table("Classes", columns, rows)
    applied = Counter(record["op"] for row in made for record in row["perturbations"])
    tries = Counter(dict.fromkeys(applied, 0))
    for row in made:
        for record in row["perturbations"]:
            tries[record["op"]] += record["tries"]
    feedback.table(
        "Operations",
        ["operation", "maps", "tries a success"],
        [[op, count, f"{tries[op] / count:.2f}"] for op, count in applied.most_common()],
    )
    if done.refused:
        feedback.table(
            "Refused tries",
            ["operation", "reason", "times"],
            [[*reason.split(": ", 1), count] for reason, count in done.refused.most_common()],
        )
    if skipped:
        named = "; ".join(f"{name} ({why})" for name, why in list(skipped.items())[:_NAMED])
        more = f"; and {len(skipped) - _NAMED} more, all in {output.DATASET}" if len(skipped) > _NAMED else ""
        feedback.warn(f"{len(skipped)} maps could not be made: {named}{more}")


def _draw_preview(out: Path, job: Job, made: list[dict[str, Any]]) -> None:
    by_name = {item.name: i for i, item in enumerate(job.maps.items)}
    chosen = [made[int(i)] for i in np.linspace(0, len(made) - 1, min(len(made), TRIPLES)).round()]
    triples = []
    for row in chosen:
        with Image.open(out / row["label"]) as image:
            after = np.asarray(image).astype(np.uint8 if image.mode == "L" else np.uint16)
        caption = f"{Path(row['label']).stem}   {_said(row['perturbations'])}"
        triples.append((caption, job.maps.load(by_name[row["mask"]]), after))
    title = f"{len(chosen)} of {len(made)} new label maps   seed {job.seed}"
    write_png(out / output.PREVIEW, contact_sheet(triples, job.maps.space, title))


def _said(records: list[dict[str, Any]]) -> str:
    return ", ".join(record["op"] + (f" {record['degrees']:.0f}°" if "degrees" in record else "") for record in records)
