"""`synthesize`: label maps and a model in, a folder of paired images and labels out.

Everything is checked before the first sample. A stopped run goes on with the same line.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from surgaug.datasets.writer import DatasetWriter
from surgaug.errors import Interrupted, ModelError
from surgaug.io.journal import Journal
from surgaug.io.lock import folder_lock, in_turn
from surgaug.io.manifest import FULL_LABELS, REFUSED, count_lines, full_label
from surgaug.io.output_folder import PREVIEW, make_ready
from surgaug.models.compiled import Compiler
from surgaug.perturb.engine import Engine, build
from surgaug.runtime.device import is_out_of_memory
from surgaug.runtime.distributed import torchrun_group
from surgaug.runtime.feedback import Feedback, Silent
from surgaug.runtime.interrupt import Stop, graceful
from surgaug.runtime.notebook import picture_html, table_html
from surgaug.runtime.parallel import cores
from surgaug.segmenter.judge import Reading
from surgaug.synthesis import plan
from surgaug.synthesis.cascade import CascadeGenerator
from surgaug.synthesis.config import SynthesizeConfig, check
from surgaug.synthesis.generators import BatchLimit
from surgaug.synthesis.inputs import Inputs, open_inputs
from surgaug.synthesis.judge import DRAWS, PROBES, Judging, tell_forecast, tell_unknown, with_ignore
from surgaug.synthesis.noise import batch_noise
from surgaug.synthesis.output import TOLD, SyntheticImage, Writer, describe, finish, judged_row, refused_row, row_of
from surgaug.synthesis.samples import Sample, SampleFrames, Samples
from surgaug.synthesis.style_choice import Styles
from surgaug.synthesis.style_tuning import tuned

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

    def _repr_html_(self) -> str:
        facts: list[list[Any]] = [
            ["folder", self.out],
            ["pairs", f"{self.total:,}"],
            ["complete", "yes" if self.complete else "no"],
        ]
        return table_html(["", ""], facts, "synthesized") + picture_html(self.out / PREVIEW)


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
    space = with_ignore(inputs.maps.space) if inputs.judge else inputs.maps.space
    target = DatasetWriter(config.out, config.layout, space, config.palette)
    target.check()
    out, shard = config.out, config.shard
    description = describe(config, inputs.model_file, inputs.model, target, inputs.settings(), len(inputs.maps))
    description |= {"left_out": list(inputs.maps.left_out)} if inputs.maps.left_out else {}
    target.refuse_other(description)
    judging = _judging(inputs, target, feedback)
    hard = judging is not None and config.order == "hard"
    samples = Samples(inputs, judging.judge.hardness(inputs.pixels, inputs.maps.space) if judging and hard else None)
    out.mkdir(parents=True, exist_ok=True)
    with folder_lock(out, feedback, shard.name or None):
        frames = SampleFrames(samples)
        target.claim(description, frames)
        if judging:
            make_ready([out / FULL_LABELS])
        mine = plan.take_shard(plan.arrange(samples.masks), shard).tolist()
        own = set(mine)
        told = {key: value for key, value in description["settings"].items() if key in TOLD}
        manifest = Journal(
            out,
            lambda k: target.paths(frames[k]) if 0 <= k < config.n else None,
            part=shard.name,
            required=("classes",),
            only=own,
            settings=told,
        )
        refused = Journal(
            out,
            # Admitted on another machine, whose pixels differ by a grey level, it is not refused.
            lambda k: () if 0 <= k < config.n and k not in manifest else None,
            part=shard.name,
            name=REFUSED,
            only=own,
            settings=told,
        )
        todo = [k for k in mine if k not in manifest and k not in refused]
        if len(todo) < len(mine):
            for k in mine:
                if k in manifest:
                    emit(out / target.paths(frames[k])[0])
            feedback.info(f"{out}: {len(mine) - len(todo)} of {len(mine)} images are there already")
        feedback.info(inputs.summary())
        if todo:
            engine = _learnt(inputs, feedback)
            limit = _batch_limit(inputs)
            inputs = _in_style(inputs, samples, limit, feedback)
            if judging:
                todo = plan.probes_first(todo, PROBES)
            books = _Books(target, manifest, refused, judging)
            _synthesize_all(inputs, books, samples, engine, todo, len(mine), limit, feedback, emit, again)
        with in_turn(out, feedback):
            # Only a shard that may be the last to finish reads what all have made.
            missing = config.n - count_lines(out) - count_lines(out, REFUSED)
            if missing <= 0:
                manifest.refresh()
                refused.refresh()
                missing = config.n - len(manifest) - len(refused)
            if not missing:
                finish(target, manifest, refused if judging else None, description, frames, feedback)
    if missing:
        feedback.info(
            f"shard {shard} is done; {missing} of {config.n} images are missing, of other shards: when they are there "
            "(in this folder, or copied into it), the last one, or any of the lines once more, joins the manifests"
        )
    return Result(out, len(todo), len(mine), not missing)


@dataclass(frozen=True)
class _Books:
    """Where the samples of a run go, and what decides it: `judging` is None where all are admitted."""

    target: DatasetWriter
    manifest: Journal
    refused: Journal
    judging: Judging | None


@dataclass(frozen=True)
class _Made:
    """A sample with its image uint8 [H, W, 3], the style that was drawn for it, and what the judge says of it."""

    sample: Sample
    image: np.ndarray
    style: str | None
    reading: Reading | None = None


def _judging(inputs: Inputs, target: DatasetWriter, feedback: Feedback) -> Judging | None:
    """The judge, trained if it was not before; None without one."""
    if inputs.judge is None:
        return None
    judge, config = inputs.judge.ready(), inputs.config
    space = inputs.maps.space
    tell_unknown(judge, np.array(space.ids)[inputs.pixels.any(axis=0)].tolist(), space, feedback)
    if target.no_ignore:
        feedback.warn(
            f"--layout {config.layout}, pixels that are not trusted: it {target.no_ignore} (id {target.space.ignore}; "
            f"{FULL_LABELS} has the whole label maps)"
        )
    # Whether its own frames have pixels without label says nothing of these label maps.
    judge = replace(judge, space=replace(judge.space, ignore=target.space.ignore))
    return Judging(judge, config.trust, config.least_agreement)


def _learnt(inputs: Inputs, feedback: Feedback) -> Engine | None:
    """The perturbations, if any, with what they learn from the masks."""
    if (engine := inputs.perturbations) is None:
        return None
    workers = engine.recipe.run.get("workers") or cores()
    return build(engine, inputs.maps, inputs.config.seed, workers, feedback)


def _batch_limit(inputs: Inputs) -> BatchLimit:
    return BatchLimit(inputs.config.batch, inputs.device, inputs.model.first.size if inputs.model.stages else None)


def _in_style(inputs: Inputs, samples: Samples, limit: BatchLimit, feedback: Feedback) -> Inputs:
    """The inputs, with styles such that pictures have the look that `--style` asks for."""
    generator = inputs.generator.first if isinstance(inputs.generator, CascadeGenerator) else inputs.generator

    def paint(pilots: list[Sample], styles: Styles) -> Iterator[np.ndarray]:
        asked = replace(inputs, generator=generator, styles=styles)
        for batch in plan.batches(pilots, lambda pilot: pilot.size, limit):
            for _, images, _ in _within_memory(asked, batch, limit, lambda: None):
                yield images

    return replace(inputs, styles=tuned(inputs, samples, paint, feedback))


def _synthesize_all(
    inputs: Inputs,
    books: _Books,
    samples: Samples,
    engine: Engine | None,
    todo: list[int],
    total: int,
    limit: BatchLimit,
    feedback: Feedback,
    emit: Callable[[Path], None],
    again: str,
) -> None:
    """Synthesize and write the samples `todo`, of `total` in all."""
    target, judging = books.target, books.judging
    finished = total - len(todo)
    compiler = Compiler(inputs.config.compile, inputs.model.net, inputs.device, feedback)
    with (
        graceful() as stop,
        feedback.task("synthesizing", total, "images", done=finished) as bar,
        books.manifest,
        books.refused,
        Writer(target, books.manifest, WRITERS, WAITING) as writer,
        # Closed here, not where it is forgotten: a second Ctrl-C would be told there, and lost.
        closing(_ahead(plan.batches(samples.make(todo, engine), lambda sample: sample.size, limit))) as batches,
    ):
        readings: list[Reading] = []

        def report(rows: list[dict[str, Any]]) -> int:
            for row in rows:
                emit(target.root / row["image"])
            bar.advance(len(rows))
            return len(rows)

        on_step = _StopNotice(stop, feedback)
        for batch in batches:
            start = time.monotonic()
            for made in _drawn(inputs, batch, limit, on_step, judging):
                paths = target.paths(samples.frame(made.sample.index))
                row = row_of(inputs, made.sample, paths, made.image, made.style, compiler.compiled)
                if judging and made.reading and judging.refuses(made.reading):
                    books.refused.append([refused_row(row, made.reading, made.sample.draw)])
                    bar.advance(1)
                    finished += 1
                else:
                    finished += report(writer.put(_pair(target, made, row)))
                if judging and made.reading and len(readings) < PROBES:
                    readings.append(made.reading)
                    if len(readings) == PROBES < len(todo):
                        tell_forecast(readings, judging, target.space, feedback)
            compiler.consider((time.monotonic() - start) / len(batch) * (total - finished))
            if stop.requested:
                break
        finished += report(writer.drain())
    if finished < total:
        raise Interrupted(f"stopped after {finished} of {total} images; to go on, type: {again}")


def _pair(target: DatasetWriter, made: _Made, row: dict[str, Any]) -> SyntheticImage:
    """An admitted sample as it is written: with a judge its label map lacks what is not trusted."""
    whole = target.encode(made.sample.label_map)
    if made.reading is None:
        return SyntheticImage(made.image, whole, row)
    assert target.space.ignore is not None  # see `with_ignore`
    trusted = target.encode(made.reading.trusted_map(target.space.ignore))
    row = {**row, **judged_row(made.reading, full_label(row["label"]), made.sample.draw)}
    return SyntheticImage(made.image, trusted, row, whole)


def _drawn(
    inputs: Inputs, batch: list[Sample], limit: BatchLimit, on_step: Callable[[], None], judging: Judging | None
) -> Iterator[_Made]:
    """The batch's samples with their images; those that the judge refuses are drawn again, `DRAWS` times at most."""
    waiting = batch
    while waiting:
        again: list[Sample] = []
        for part, images, styles in _within_memory(inputs, waiting, limit, on_step):
            for sample, image, style in zip(part, images, styles, strict=True):
                reading = judging.reading(image, sample.label_map) if judging else None
                if judging and reading and judging.refuses(reading) and sample.draw + 1 < DRAWS:
                    again.append(replace(sample, draw=sample.draw + 1))
                else:
                    yield _Made(sample, image, style, reading)
        waiting = again


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
    indices, draws, seed = [s.index for s in batch], [s.draw for s in batch], inputs.config.seed
    styles, codes = zip(*(inputs.styles.draw(seed, k) for k in indices), strict=True)
    try:
        images = inputs.generator.generate(
            [sample.index_map for sample in batch],
            [sample.key for sample in batch],
            lambda step, shape: batch_noise(seed, indices, step, shape, draws),
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


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The same items; the next one is made in a thread while one is used."""
    end: Any = object()
    with ThreadPoolExecutor(1, thread_name_prefix="prepare") as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item
