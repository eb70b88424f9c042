"""The whole pipeline on rendered phantom scenes: render, train, augment masks, synthesize, score. Needs no data.

Every stage leaves its files in one folder and goes on where it was stopped. What the stages have to say goes to a file
there, and one line a stage to the screen. Nothing here is real data.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from surgaug.datasets.dataset import open_pairs
from surgaug.errors import UsageError
from surgaug.io.atomic import write_text
from surgaug.io.output_folder import PREVIEW
from surgaug.perturb.config import AugmentConfig
from surgaug.perturb.run import augment_masks
from surgaug.phantom.write import write_cadis
from surgaug.runtime.feedback import Feedback, Silent, Task
from surgaug.scoring.config import ScoreConfig
from surgaug.scoring.report.model import Report, figure
from surgaug.scoring.report.notes import report_notes
from surgaug.scoring.run import run_score
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.run import synthesize
from surgaug.training.config import Cascade
from surgaug.training.presets import PHANTOM, preset
from surgaug.training.run import train

CLASSES = "cadis"
HW, BASE = (256, 448), (64, 112)


@dataclass(frozen=True)
class DemoConfig:
    """`frames` phantom frames, `minutes` of training, `masks` new label maps."""

    out: Path = Path("surgaug-demo")
    minutes: float = 3.0
    seed: int = 0
    frames: int = 800
    masks: int = 64


@dataclass(frozen=True)
class DemoResult:
    """Where to look: the folder of pairs, its contact sheet, the score, and what the stages had to say."""

    pairs: Path
    preview: Path
    score: Path
    details: Path
    report: Report


def run(config: DemoConfig, feedback: Feedback | None = None, *, again: str = "the same line") -> DemoResult:
    """Run the stages that are not done yet. again: what to type to go on, for the message when interrupted.

    Raises UsageError when `config.out` holds a demo of other settings, or something else.
    """
    feedback = feedback or Silent()
    out = config.out
    _claim(config)
    brief = _Brief(feedback, out / "details.txt")

    feedback.info("1/5  rendering phantom scenes")
    frames = out / "phantom"
    write_cadis(frames, config.frames, HW, config.seed, brief)
    held_out = _held_out(frames, out / "held-out")

    feedback.info("2/5  training on them")
    # From the model that ships: it has seen other phantom scenes, so minutes suffice for the first stage, which decides
    # what there is to see; the second one, which makes it large, is taken as it is.
    settings: dict[str, Any] = {
        "data": str(frames),
        "out": str(out / "run"),
        "classes": CLASSES,
        "size": HW,
        "cascade": Cascade(base=BASE, second=PHANTOM),
        "init": PHANTOM,
    }
    model = train(preset("tiny", **settings, minutes=config.minutes, seed=config.seed), brief).model

    feedback.info("3/5  making new label maps")
    masks = out / "masks"
    changes = AugmentConfig(masks=frames, split="train", out=masks, n=config.masks, classes=CLASSES, seed=config.seed)
    augment_masks(changes, brief, again=again)

    feedback.info("4/5  synthesizing images from the new label maps, and from those of frames that the model never saw")
    files = tuple(sorted([*(held_out / "labels").glob("*.png"), *(masks / "labels").glob("*.png")]))
    pairs = out / "synthetic"
    synthesis = SynthesizeConfig(masks=files, n=len(files), model=model, out=pairs, classes=CLASSES, seed=config.seed)
    synthesize(synthesis, brief, again=again)

    feedback.info("5/5  scoring against frames that the model never saw")
    report = run_score(ScoreConfig(real=held_out, synth=(pairs,), classes=CLASSES, seed=config.seed), brief)
    for note in report_notes(report):
        brief.info(note)
    feedback.table(*_summary(report))
    score = out / "score.json"
    write_text(score, json.dumps(report.to_dict(), indent=2) + "\n")
    return DemoResult(pairs, pairs / PREVIEW, score, brief.file, report)


@dataclass(frozen=True)
class _Brief:
    """Feedback that shows bars and warnings, and puts messages and tables into a file."""

    shown: Feedback
    file: Path

    def task(self, description: str, total: float | None, unit: str = "", done: float = 0) -> Task:
        return self.shown.task(description, total, unit, done)

    def warn(self, message: str) -> None:
        self.shown.warn(message)

    def info(self, message: str) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{message}\n")

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
        lines = ["\t".join("-" if value is None else str(value) for value in row) for row in (columns, *rows)]
        self.info("\n".join(["", title, *lines, *([caption] if caption else [])]))


def _summary(report: Report) -> tuple[str, list[str], list[list[Any]]]:
    """The measures in a small table: what was synthesized, and what real frames reach among themselves."""
    rows = []
    for key, definition in report.definitions.items():
        measure = report.rows[0].measures[key]
        real = measure.baseline.mean if measure.baseline else None
        rows.append([f"{definition.title} ({definition.better} is better)", figure(measure.value), figure(real)])
    return "How close to phantom frames that it never saw", ["measure", "synthetic", "such frames themselves"], rows


def _claim(config: DemoConfig) -> None:
    """Write the settings to OUT/demo.json, or hold them against those that are there."""
    out, file = config.out, config.out / "demo.json"
    settings = {key: value for key, value in asdict(config).items() if key != "out"}
    if file.is_file():
        there = json.loads(file.read_text(encoding="utf-8"))
        if there != settings:
            raise UsageError(f"{out}: holds a demo with other settings ({there}); give another --out, or delete it")
    elif out.exists() and any(out.iterdir()):
        raise UsageError(f"{out}: is not empty and holds no demo; give another --out")
    else:
        out.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps(settings) + "\n")


def _held_out(frames: Path, folder: Path) -> Path:
    """The test videos' frames as a folder of pairs, as a user would have them."""
    for item in open_pairs(frames, classes=CLASSES, split="test").items:
        for source, kind in zip(item.files, ("images", "labels"), strict=True):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / kind / source.name)
    return folder
