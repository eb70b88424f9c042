"""`synthesize`: label maps and a model in, a folder of paired images and labels out.

Everything is checked before the first sample. A stopped run goes on with the same line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from surgaug.errors import Interrupted
from surgaug.io.lock import folder_lock, in_turn
from surgaug.models.compiled import Compiler
from surgaug.runtime.device import is_out_of_memory
from surgaug.runtime.distributed import torchrun_group
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.interrupt import graceful
from surgaug.synthesis import plan
from surgaug.synthesis.config import SynthesizeConfig, check
from surgaug.synthesis.generators import BatchLimit
from surgaug.synthesis.manifest import Journal, complete_samples, part_path
from surgaug.synthesis.output import claim, describe, finish, refuse_other
from surgaug.synthesis.samples import Job, Sample
from surgaug.synthesis.write import Writer

T = TypeVar("T")
WRITERS, WAITING = 2, 64


@dataclass(frozen=True)
class Result:
    """What a run left: its folder, the images painted now, how many its shard has, and whether the set is complete."""

    out: Path
    painted: int
    total: int
    complete: bool


def synthesize(
    config: SynthesizeConfig,
    feedback: Feedback | None = None,
    *,
    emit: Callable[[Path], None] = lambda path: None,
    again: str = "the same line",
) -> Result:
    """Paint `config.n` samples (or a shard of them) into `config.out`; those that lie there already are kept.

    emit: called with the path of each image, those that lie there already first. again: what to type to go on, for the
    message when interrupted.

    Raises UsageError, DataError or ModelError before the first sample when something does not fit, and Interrupted
    after SIGINT or SIGTERM, once the batch in hand is on disk.
    """
    feedback = feedback or Silent()
    check(config)
    process = torchrun_group()
    if process.size > 1:
        config = replace(config, shard=replace(config.shard, inner=plan.Shard(process.rank + 1, process.size)))
    job = Job.open(config, feedback)
    job.target.check()
    out, shard = config.out, config.shard
    description = describe(config, job.file, job.model, job.target, job.settings, len(job.maps.items))
    refuse_other(job.target, description)
    out.mkdir(parents=True, exist_ok=True)
    with folder_lock(out, feedback, shard.name or None):
        frames = [job.frame(k) for k in range(config.n)]
        claim(job.target, description, frames)
        mine = plan.take_shard(plan.arrange(job.plan), shard)
        done = complete_samples(out, config.n, job.names)
        todo = [int(k) for k in mine if not done[k]]
        if len(todo) < len(mine):
            for k in mine[done[mine]]:
                emit(out / job.names(k)[0])
            feedback.info(f"{out}: {len(mine) - len(todo)} of {len(mine)} images are there already")
        feedback.info(job.summary())
        if todo:
            job.learn(feedback)
            _paint_all(job, todo, len(mine), feedback, emit, again)
        with in_turn(out, feedback):
            missing = int((~complete_samples(out, config.n, job.names)).sum())
            if not missing:
                finish(job.target, description, frames)
    if missing:
        feedback.info(
            f"shard {shard} is done; {missing} of {config.n} images are missing, of other shards: when they are there "
            "(in this folder, or copied into it), the last one, or any of the lines once more, joins the manifests"
        )
    return Result(out, len(todo), len(mine), not missing)


def _paint_all(
    job: Job, todo: list[int], total: int, feedback: Feedback, emit: Callable[[Path], None], again: str
) -> None:
    """Paint and write `todo`. A batch too large for the memory is halved, and so are those after it."""
    out, limit = job.config.out, BatchLimit(job.config.batch, job.device)
    finished, announced = total - len(todo), False
    compiler = Compiler(job.config.compile, job.model.net, job.device, feedback)

    def announce_stop() -> None:
        nonlocal announced
        if stop.requested and not announced:
            announced = True
            feedback.warn("stopping after this batch; Ctrl-C again stops at once")

    def report(rows: list[dict[str, Any]]) -> None:
        nonlocal finished
        for row in rows:
            emit(out / row["image"])
        finished += len(rows)
        bar.advance(len(rows))

    def paint(batch: list[Sample]) -> None:
        try:
            painted = job.paint(batch, announce_stop, compiler)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            painted = None
        if painted is None:  # outside the handler, whose traceback holds on to what filled the memory
            job.painter.forget()
            limit.halve(batch[0].size, len(batch))
            half = (len(batch) + 1) // 2
            paint(batch[:half])
            paint(batch[half:])
            return
        for sample in painted:
            report(writer.put(sample))

    with (
        graceful() as stop,
        feedback.task("painting", total, "images", done=finished) as bar,
        Journal(part_path(out, job.config.shard)) as journal,
        Writer(job.target, journal, WRITERS, WAITING) as writer,
    ):
        for batch in _ahead(plan.batches(job.samples(todo), lambda s: s.size, limit)):
            start = time.monotonic()
            paint(batch)
            compiler.consider((time.monotonic() - start) / len(batch) * (total - finished))
            if stop.requested:
                break
        report(writer.drain())
    if finished < total:
        raise Interrupted(f"stopped after {finished} of {total} images; to go on, type: {again}")


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items; the next one is made in a thread while one is used."""
    end: Any = object()
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item
