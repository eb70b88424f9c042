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

import numpy as np

from surgaug.datasets.writer import DatasetWriter
from surgaug.errors import Interrupted, ModelError
from surgaug.io.journal import Journal
from surgaug.io.lock import folder_lock, in_turn
from surgaug.models.compiled import Compiler
from surgaug.perturb.engine import Engine, build
from surgaug.runtime.device import is_out_of_memory
from surgaug.runtime.distributed import torchrun_group
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.interrupt import Stop, graceful
from surgaug.runtime.parallel import cores
from surgaug.synthesis import plan
from surgaug.synthesis.config import SynthesizeConfig, check
from surgaug.synthesis.generators import BatchLimit
from surgaug.synthesis.inputs import Inputs, open_inputs
from surgaug.synthesis.noise import batch_noise
from surgaug.synthesis.output import describe, finish
from surgaug.synthesis.rows import row_of
from surgaug.synthesis.samples import Sample, Samples
from surgaug.synthesis.write import SyntheticImage, Writer

T = TypeVar("T")
WRITERS, WAITING = 2, 64


@dataclass(frozen=True)
class Result:
    """What a run left: its folder, the images synthesized now, how many its shard has, and whether the set is
    complete."""

    out: Path
    synthesized: int
    total: int
    complete: bool


def synthesize(
    config: SynthesizeConfig,
    feedback: Feedback | None = None,
    *,
    emit: Callable[[Path], None] = lambda path: None,
    again: str = "the same line",
) -> Result:
    """Synthesize `config.n` samples (or a shard of them) into `config.out`; those that lie there already are kept.

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
    inputs = open_inputs(config, feedback)
    samples = Samples(inputs)
    target = DatasetWriter(config.out, config.layout, inputs.maps.space, config.palette)
    target.check()
    out, shard = config.out, config.shard
    description = describe(config, inputs.model_file, inputs.model, target, inputs.settings(), len(inputs.maps))
    description |= {"left_out": list(inputs.maps.left_out)} if inputs.maps.left_out else {}
    target.refuse_other(description)
    out.mkdir(parents=True, exist_ok=True)
    with folder_lock(out, feedback, shard.name or None):
        frames = [samples.frame(k) for k in range(config.n)]
        target.claim(description, frames)
        mine = plan.take_shard(plan.arrange(samples.masks), shard).tolist()
        manifest = Journal(
            out,
            lambda k: target.paths(frames[k]) if 0 <= k < config.n else None,
            part=shard.name,
            required=("classes",),
        )
        todo = [k for k in mine if k not in manifest]
        if len(todo) < len(mine):
            for k in mine:
                if k in manifest:
                    emit(out / target.paths(frames[k])[0])
            feedback.info(f"{out}: {len(mine) - len(todo)} of {len(mine)} images are there already")
        feedback.info(inputs.summary())
        if todo:
            engine = _learnt(inputs, feedback)
            _synthesize_all(inputs, target, manifest, samples, engine, todo, len(mine), feedback, emit, again)
        with in_turn(out, feedback):
            manifest.refresh()
            missing = config.n - len(manifest)
            if not missing:
                finish(target, manifest, description, frames)
    if missing:
        feedback.info(
            f"shard {shard} is done; {missing} of {config.n} images are missing, of other shards: when they are there "
            "(in this folder, or copied into it), the last one, or any of the lines once more, joins the manifests"
        )
    return Result(out, len(todo), len(mine), not missing)


def _learnt(inputs: Inputs, feedback: Feedback) -> Engine | None:
    """The perturbations, if any, with what they learn from the masks."""
    if (engine := inputs.perturbations) is None:
        return None
    workers = engine.recipe.run.get("workers") or cores()
    return build(engine, inputs.maps, inputs.config.seed, workers, feedback)


def _synthesize_all(
    inputs: Inputs,
    target: DatasetWriter,
    manifest: Journal,
    samples: Samples,
    engine: Engine | None,
    todo: list[int],
    total: int,
    feedback: Feedback,
    emit: Callable[[Path], None],
    again: str,
) -> None:
    """Synthesize and write the samples `todo`, of `total` in all."""
    limit = BatchLimit(inputs.config.batch, inputs.device, inputs.model.first.size if inputs.model.stages else None)
    finished = total - len(todo)
    compiler = Compiler(inputs.config.compile, inputs.model.net, inputs.device, feedback)
    with (
        graceful() as stop,
        feedback.task("synthesizing", total, "images", done=finished) as bar,
        manifest,
        Writer(target, manifest, WRITERS, WAITING) as writer,
    ):

        def report(rows: list[dict[str, Any]]) -> int:
            for row in rows:
                emit(target.root / row["image"])
            bar.advance(len(rows))
            return len(rows)

        on_step = _StopNotice(stop, feedback)
        for batch in _ahead(plan.batches(samples.make(todo, engine), lambda sample: sample.size, limit)):
            start = time.monotonic()
            for part, images, styles in _within_memory(inputs, batch, limit, on_step):
                for sample, image, style in zip(part, images, styles, strict=True):
                    paths = target.paths(samples.frame(sample.index))
                    row = row_of(inputs, sample, paths, image, style, compiler.compiled)
                    finished += report(writer.put(SyntheticImage(image, target.encode(sample.label_map), row)))
            compiler.consider((time.monotonic() - start) / len(batch) * (total - finished))
            if stop.requested:
                break
        finished += report(writer.drain())
    if finished < total:
        raise Interrupted(f"stopped after {finished} of {total} images; to go on, type: {again}")


def _within_memory(
    inputs: Inputs, batch: list[Sample], limit: BatchLimit, on_step: Callable[[], None]
) -> Iterator[tuple[list[Sample], np.ndarray, list[str | None]]]:
    """(samples, images, styles) of the batch, in one part or in several: what is too large for the memory is halved,
    and so is what comes after it."""
    waiting = [batch]
    while waiting:
        part = waiting.pop()
        try:
            made = _generate(inputs, part, on_step)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            made = None
        if made is not None:
            yield part, *made
            continue
        # Outside the handler, whose traceback holds on to what filled the memory.
        inputs.generator.forget()
        limit.halve(part[0].size, len(part))
        half = (len(part) + 1) // 2
        waiting += [part[half:], part[:half]]


def _generate(inputs: Inputs, batch: list[Sample], on_step: Callable[[], None]) -> tuple[np.ndarray, list[str | None]]:
    """Images uint8 [B, H, W, 3] of samples of one size, and the styles that were drawn for them."""
    indices, seed = [sample.index for sample in batch], inputs.config.seed
    styles, codes = zip(*(inputs.styles.draw(seed, k) for k in indices), strict=True)
    try:
        images = inputs.generator.generate(
            [sample.index_map for sample in batch],
            [sample.key for sample in batch],
            lambda step, shape: batch_noise(seed, indices, step, shape),
            np.stack(codes),
            on_step,
        )
    except FloatingPointError as error:
        raise ModelError(
            f"{inputs.model_file}: {error} (samples {indices[0]} to {indices[-1]}); "
            "try --precision fp32, and if that does not help, train again: the weights are spoilt"
        ) from None
    return inputs.styles.finished(images), list(styles)


class _StopNotice:
    """Says, once, that a stop is on its way; called before every evaluation of the network."""

    def __init__(self, stop: Stop, feedback: Feedback):
        self._stop, self._feedback, self._said = stop, feedback, False

    def __call__(self) -> None:
        if self._stop.requested and not self._said:
            self._said = True
            self._feedback.warn("stopping after this batch; Ctrl-C again stops at once")


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items; the next one is made in a thread while one is used."""
    end: Any = object()
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item
