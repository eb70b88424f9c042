"""How well the judge tells wrong labels from right ones, and `inspect --audit` the frames that have them.

    python benchmarks/judge.py OUT --data cadis [--split train] [--size 64x112] [--steps 500] [--share 0.1] [--draws 10]
                               [--errors 0.05] [--audits 2]

Labels of real frames are made wrong on purpose, in three ways in turn: an instrument is moved, a class is called by the
name of another, a frame has the map of another frame (`wrong_labels.py`).

Judge: cross-fitted on the frames as they are. Of `--draws` sets with a `--share` of spoilt maps, each frame read by
the network that did not see it: how many of the wrong pixels are ignored, how many of the right ones, and how far the
shares kept of each class, forecast from 50 frames, are from those of all.

Audit: `--audits` times, cross-fitted on a set of which a share of `--errors` of the maps is spoilt: area under the ROC
curve of the frames' suspicion, spoilt against others.

Writes OUT/judge.md and OUT/judge.json. Trained networks are kept in the cache ($SURGAUG_CACHE).
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from frames import size
from wrong_labels import KINDS, spoil

from surgaug.cli import screen
from surgaug.datasets.dataset import open_pairs
from surgaug.inspect.audit import suspicion_of_frames
from surgaug.io.atomic import write_text
from surgaug.runtime.device import pick_device
from surgaug.runtime.feedback import Feedback
from surgaug.runtime.parallel import cores
from surgaug.runtime.paths import cache_folder
from surgaug.segmenter.config import TRUST, SegmenterConfig
from surgaug.segmenter.cross_fitting import (
    class_means,
    cross_entropy,
    cross_fit,
    folds_of,
    held_out_cross_entropy,
)
from surgaug.segmenter.frames import LabelledFrames, read_frames
from surgaug.segmenter.judge import doubted
from surgaug.segmenter.training import Trainer
from surgaug.synthesis.judge import PROBES
from surgaug.synthesis.plan import probes_first

FEW = 5  # probes that must show a class for a forecast


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split")
    parser.add_argument("--size", default="64x112")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--errors", type=float, default=0.05)
    parser.add_argument("--audits", type=int, default=2)
    options = parser.parse_args(arguments)
    feedback, hw = screen.feedback(), size(options.size)
    pairs = open_pairs(options.data, split=options.split, feedback=feedback)
    frames = read_frames(pairs, hw, pairs.space, cores(), feedback, "reading frames")
    bench = Bench(frames, SegmenterConfig(size=hw, steps=options.steps), feedback)
    found = {"judge": bench.judge(options.share, options.draws)}
    write(options, len(frames), found)  # the audits take longer
    found["audit"] = bench.audit(options.errors, options.audits)
    write(options, len(frames), found)
    print(options.out / "judge.md")


class Bench:
    """Both measurements on one set of real frames."""

    def __init__(self, frames: LabelledFrames, config: SegmenterConfig, feedback: Feedback):
        self.frames, self.config, self.feedback = frames, config, feedback
        self.classes, self.folds = frames.space.num_classes, folds_of(frames.groups)
        self.trainer = Trainer(cache_folder() / "segmenters", pick_device("auto"))
        self.tools = np.zeros(256, bool)
        self.tools[[k for k, c in enumerate(frames.space.classes) if c.kind == "instrument"]] = True

    def surprise(self, frames: LabelledFrames) -> tuple[list[torch.nn.Module], np.ndarray]:
        """The networks cross-fitted on these frames, and the held-out cross-entropies [N, H, W]."""
        networks = cross_fit(self.trainer, frames, self.folds, self.classes, self.config, self.feedback)
        return networks, held_out_cross_entropy(networks, frames, self.folds, self.trainer.device)

    def spoilt(self, share: float, seed: int) -> tuple[np.ndarray, dict[int, str]]:
        """The maps with a share of them made wrong, and the kind of error by frame."""
        rng = np.random.default_rng([seed, 21])
        chosen = rng.permutation(len(self.frames))[: round(share * len(self.frames))]
        kinds = {int(i): KINDS[n % len(KINDS)] for n, i in enumerate(chosen)}
        maps = self.frames.maps.copy()
        for i, kind in kinds.items():
            maps[i] = spoil(self.frames.maps, i, kind, self.tools, rng)
        return maps, kinds

    def judge(self, share: float, draws: int) -> dict:
        """Shares of the right and the wrong pixels that are ignored, and errors of the forecast, over all draws."""
        networks, surprise = self.surprise(self.frames)
        means = class_means(surprise, self.frames.maps, self.classes)
        right, wrong = np.zeros(2), {kind: np.zeros(2) for kind in KINDS}
        errors: list[float] = []
        of_classes: list[tuple[float, float]] = []  # (error, share of the pixels)
        for draw in range(draws):
            maps, kinds = self.spoilt(share, draw)
            values = surprise.copy()
            for i in kinds:
                network = networks[self.folds[i]]
                values[i] = cross_entropy(
                    [network], self.frames.images[i : i + 1], maps[i : i + 1], self.trainer.device
                )[0]
            doubts = np.stack([doubted(v, m, means, TRUST) for v, m in zip(values, maps, strict=True)])
            false = maps != self.frames.maps
            right += doubts[~false].sum(), (~false).sum()
            for i, kind in kinds.items():
                wrong[kind] += doubts[i][false[i]].sum(), false[i].sum()
            whole, of_class = forecast_errors(maps, doubts, self.classes)
            errors.append(whole)
            of_classes += of_class
        total = sum(wrong.values())
        by_class = np.array([error for error, _ in of_classes])
        weights = np.array([weight for _, weight in of_classes])
        return {
            "right_ignored": right[0] / right[1],
            "wrong_ignored": total[0] / total[1],
            **{f"wrong_ignored_{kind}": counts[0] / counts[1] for kind, counts in wrong.items()},
            "forecast_error": float(np.mean(errors)),
            "forecast_error_largest": float(np.max(errors)),
            "forecast_within_5_points_of_classes": float((by_class <= 0.05).mean()),
            "forecast_within_5_points_of_pixels": float(weights[by_class <= 0.05].sum() / weights.sum()),
        }

    def audit(self, share: float, audits: int) -> dict:
        """Areas under the ROC curve, by audit; and, over all audits, by kind of error."""
        scores, places = [], []
        for seed in range(audits):
            maps, kinds = self.spoilt(share, 1000 + seed)
            frames = replace(self.frames, maps=maps)
            _, surprise = self.surprise(frames)
            scores.append(suspicion_of_frames(surprise, maps, class_means(surprise, maps, self.classes)))
            places.append(kinds)
        of_audits = [area(s[list(k)], np.delete(s, list(k))) for s, k in zip(scores, places, strict=True)]
        by_kind = {
            kind: float(np.mean([area(s[[i for i in k if k[i] == kind]], np.delete(s, list(k)))
                                 for s, k in zip(scores, places, strict=True)]))
            for kind in KINDS
        }  # fmt: skip
        return {"auroc": of_audits, "auroc_mean": float(np.mean(of_audits)), **by_kind}


def forecast_errors(maps: np.ndarray, doubts: np.ndarray, classes: int) -> tuple[float, list[tuple[float, float]]]:
    """How far the share kept of the pixels of `PROBES` frames is from that of all; and of each class that some of them
    show, with its share of the pixels."""
    probes = probes_first(list(range(len(maps))), PROBES)[:PROBES]

    def kept(chosen: list[int] | slice) -> tuple[np.ndarray, np.ndarray]:
        all_pixels = np.bincount(maps[chosen].ravel(), minlength=256)[:classes]
        return all_pixels, all_pixels - np.bincount(maps[chosen][doubts[chosen]], minlength=256)[:classes]

    (few, few_kept), (every, every_kept) = kept(probes), kept(slice(None))
    shown = np.array([sum((maps[i] == k).any() for i in probes) for k in range(classes)]) >= FEW
    by_class = [
        (abs(few_kept[k] / few[k] - every_kept[k] / every[k]), every[k] / every.sum()) for k in np.flatnonzero(shown)
    ]
    return abs(few_kept.sum() / few.sum() - every_kept.sum() / every.sum()), by_class


def area(positive: np.ndarray, negative: np.ndarray) -> float:
    """Under the ROC curve: the probability that a positive is above a negative (Mann and Whitney 1947)."""
    above, equal = positive[:, None] > negative[None], positive[:, None] == negative[None]
    return float(above.mean() + equal.mean() / 2)


def write(options: argparse.Namespace, frames: int, found: dict) -> None:
    """The figures as JSON and as a table in Markdown."""
    judge, audit = found["judge"], found.get("audit")

    def percent(name: str) -> str:
        return f"{100 * judge[name]:.1f} %"

    kinds = ", ".join(f"{kind} {percent(f'wrong_ignored_{kind}')}" for kind in KINDS)
    rows = [
        ("wrong pixels ignored", percent("wrong_ignored"), "80 % or more"),
        ("by kind of error", kinds, ""),
        ("right pixels ignored", percent("right_ignored"), "15 % or less"),
        ("forecast of the share kept, off by", f"{100 * judge['forecast_error']:.1f} points, at most "
         f"{100 * judge['forecast_error_largest']:.1f}", "5 points"),
        ("classes whose forecast is within 5 points", f"{percent('forecast_within_5_points_of_classes')}, "
         f"{percent('forecast_within_5_points_of_pixels')} of the pixels", "all"),
    ]  # fmt: skip
    if audit:
        each = ", ".join(f"{value:.3f}" for value in audit["auroc"])
        rows += [
            ("audit: AUROC of frames", f"{audit['auroc_mean']:.3f} ({each})", "0.95"),
            ("by kind of error", ", ".join(f"{kind} {audit[kind]:.3f}" for kind in KINDS), ""),
        ]
    lines = [
        f"{frames} frames, {options.size}, {options.steps} steps a fold, trust {TRUST:g}; {100 * options.share:g} % of "
        f"the maps spoilt ({options.draws} draws), {100 * options.errors:g} % for the audit.",
        "",
        "| | measured | target |",
        "|---|---|---|",
        *(f"| {title} | {value} | {target} |" for title, value, target in rows),
        "",
    ]
    options.out.mkdir(parents=True, exist_ok=True)
    write_text(options.out / "judge.json", json.dumps(found, indent=1) + "\n")
    write_text(options.out / "judge.md", "\n".join(lines))


if __name__ == "__main__":
    main()
