"""How often do the verdicts of `surgaug score` say "Yes" to faulty sets, and "No" to real frames of the same video?

    python benchmarks/power.py ROOT@VIDEO:OTHER [...] [--train ROOT] [--size HxW] [--draws N] [--json FILE]

ROOT@VIDEO:OTHER: the frames of one video of a data set, and another video of it. Each draw takes a random half of the
frames of VIDEO for real frames, and of the other half a set of 10 to 500 for synthetic images: as it is, or with a
known fault (blurred, hue turned, noisy, frames of OTHER instead, and, with `--train`, frames with labels of others).
Sets larger than that half hold some frames several times, as a synthetic set holds images of one mask. Features, and
the predictions of a segmenter trained on the frames of `--train`, are computed once for each frame and fault.

The same draws are judged twice: by the real frames alone, where OTHER is a fault, and with the second yardstick, of all
other videos of ROOT and `--train`. There OTHER is a fault only where, by some figure, it lies beyond the first bound
and farther from VIDEO than each of these, and is called so in the table. Its blurred, turned and noisy frames are
faulty always.

Prints a line for each set, fault and size, with the share of draws by answer. Ends with 1 where "Yes" to a fault or
"No" to real frames is said in more than 5 % of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from surgaug.cli import screen
from surgaug.datasets.dataset import PairedFrames, open_pairs
from surgaug.io.atomic import write_text
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.options import parse_size
from surgaug.runtime.parallel import cores
from surgaug.scoring import features, metrics
from surgaug.scoring.compute.energy import distances, energy_of_distances, interval
from surgaug.scoring.compute.intervals import set_measures
from surgaug.scoring.compute.other_videos import FEWEST_VIDEOS, Sides, frames_of_videos, sides
from surgaug.scoring.config import Weights
from surgaug.scoring.report.model import Report, Row, Separation, Tone
from surgaug.scoring.report.verdicts import DRIFTS, LABELS, LOOK, SEPARATED, verdicts
from surgaug.scoring.segmenter.agreement import compare_maps
from surgaug.scoring.segmenter.faithfulness import Agreement, faithfulness
from surgaug.segmenter.config import SegmenterConfig
from surgaug.segmenter.frames import LabelledFrames, read_frames
from surgaug.segmenter.training import Training, predict, train

SIZES = (10, 20, 50, 100, 200, 500)
NONE, WRONG, OTHER = "none", "wrong labels", "another video"
FARTHEST = "another video, farther than all known"
SIGMA, TURN, NOISE = 1.0, 20, 10.0  # pixels, degrees, grey levels
COLOUR = "colour_texture"
MOST = 0.05
CPU = torch.device("cpu")
Images = np.ndarray  # uint8 [N, H, W, 3]


def blurred(images: Images) -> Images:
    """Gaussian blur of `SIGMA` pixels."""
    return np.stack([cv2.GaussianBlur(image, (0, 0), SIGMA, borderType=cv2.BORDER_REFLECT) for image in images])


def turned(images: Images) -> Images:
    """Hue turned by `TURN` degrees."""
    out = []
    for image in images:
        hsv = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + TURN) % 360
        out.append(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))
    return (np.stack(out) * 255).round().clip(0, 255).astype(np.uint8)


def noisy(images: Images) -> Images:
    """Gaussian noise with a standard deviation of `NOISE` grey levels."""
    noise = np.random.default_rng(0).normal(0, NOISE, images.shape)
    return (images + noise).round().clip(0, 255).astype(np.uint8)


FAULTS: dict[str, Callable[[Images], Images]] = {"blur": blurred, "hue": turned, "noise": noisy}
KNOWN = f"{LOOK} Other videos known"


@dataclass(frozen=True)
class Distances:
    """By extractor, of one faulty version of the frames: distances to the real frames, and among themselves."""

    across: dict[str, np.ndarray]
    within: dict[str, np.ndarray]

    @classmethod
    def of(cls, vectors: dict[str, np.ndarray], real: dict[str, np.ndarray]) -> Distances:
        return cls(
            {key: distances(x, real[key]) for key, x in vectors.items()},
            {key: distances(x, x) for key, x in vectors.items()},
        )


@dataclass(frozen=True)
class Video:
    """All that draws are made of.

    real: distances among the real frames by extractor. colours, versions: by fault. others: of the videos of the second
    yardstick, with their colours. counts: of label maps as they are, and of those of two other frames, [3, N, 7, K].
    """

    name: str
    real: dict[str, np.ndarray]
    colours: dict[str, np.ndarray]
    versions: dict[str, Distances]
    others: dict[str, tuple[Distances, np.ndarray]] = field(default_factory=dict)
    counts: np.ndarray | None = None
    train_frames: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    space: LabelSpace | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="+", metavar="ROOT@VIDEO:OTHER")
    parser.add_argument("--train", type=Path, help="labelled frames of other videos, for the segmenter")
    parser.add_argument("--size", default="64x112", metavar="HxW")
    parser.add_argument("--steps", type=int, default=400, help="of the segmenter")
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--label-draws", type=int, default=40, help="of the questions on labels")
    parser.add_argument("--json", type=Path, help="write the lines there, too")
    options = parser.parse_args()
    hw = parse_size(options.size)
    segmenter = trained(options.train, hw, options.steps) if options.train else None
    videos = [read_video(text, hw, options.train, segmenter) for text in options.videos]
    lines = [line for video in videos for line in simulate(video, options.draws, options.label_draws)]
    sys.stdout.write(table(lines))
    if options.json:
        write_text(options.json, json.dumps([asdict(line) for line in lines], indent=1))
    sys.exit(0 if all(line.passed for line in lines) else 1)


@dataclass(frozen=True)
class Segmenter:
    """A network, its classes, and how many training frames show each of them."""

    network: torch.nn.Module
    space: LabelSpace
    train_frames: np.ndarray


def trained(root: Path, hw: tuple[int, int], steps: int) -> Segmenter:
    """A segmenter of all frames of a data set."""
    pairs = open_pairs(root)
    frames = read_frames(pairs, hw, pairs.space, cores(), screen.feedback(), "reading training frames")
    with screen.feedback().task("training a segmenter", steps, "steps") as bar:
        network = train(Training((frames,), SegmenterConfig(size=hw, steps=steps)), pairs.space.num_classes, CPU, bar)
    return Segmenter(network, pairs.space, frames.class_frames())


def read_video(text: str, hw: tuple[int, int], train: Path | None, segmenter: Segmenter | None) -> Video:
    """Frames of ROOT@VIDEO:OTHER, described with every fault."""
    root, _, names = text.rpartition("@")
    name, _, other = names.partition(":")
    pairs = open_pairs(Path(root), classes=segmenter.space if segmenter else "auto")
    frames, foreign = read(pairs, name, hw), read(pairs, other, hw).images
    images = {NONE: frames.images, OTHER: foreign}
    images |= {fault: change(frames.images) for fault, change in FAULTS.items()}
    images |= {f"{OTHER}, {fault}": change(foreign) for fault, change in FAULTS.items()}
    vectors = described(f"features of {name}", images)
    other_images: dict[str, Images] = {}
    for source in [pairs, *([open_pairs(train)] if train else [])]:
        for video in frames_of_videos([item.video for item in source.items], [name, other, *other_images]):
            other_images[video] = read(source, video, hw).images
    others = described("features of other videos", other_images)
    real = vectors[NONE]
    versions = {fault: Distances.of(found, real) for fault, found in vectors.items()}
    video = Video(
        names,
        versions[NONE].within,
        {fault: found[COLOUR] for fault, found in vectors.items()},
        versions,
        {video: (Distances.of(found, real), found[COLOUR]) for video, found in others.items()},
    )
    if segmenter is None:
        return video
    counts = label_counts(frames, segmenter)
    return replace(video, counts=counts, train_frames=segmenter.train_frames, space=segmenter.space)


def described(title: str, images: dict[str, Images]) -> dict[str, dict[str, np.ndarray]]:
    """Features [N, d] of each set of images, by extractor."""
    extractors = {key: module.load(Weights(), CPU) for key, module in features.available(Weights()).items()}
    vectors: dict[str, dict[str, np.ndarray]] = {}
    with screen.feedback().task(title, len(images) * len(extractors), "sets") as bar:
        for name, version in images.items():
            for key, feature in extractors.items():
                vectors.setdefault(name, {})[key] = extracted(feature, version)
                bar.advance()
    return vectors


def read(pairs: PairedFrames, video: str, hw: tuple[int, int]) -> LabelledFrames:
    """The frames of one video."""
    items = tuple(item for item in pairs.items if item.video == video)
    return read_frames(replace(pairs, items=items), hw, pairs.space, cores(), screen.feedback(), f"reading {video}")


def extracted(feature: features.Feature, images: Images) -> np.ndarray:
    """Features [N, d]."""
    if not feature.batch:
        return np.stack([feature.extract(image) for image in images])
    parts = [images[i : i + feature.batch] for i in range(0, len(images), feature.batch)]
    return np.concatenate([feature.extract(part) for part in parts])


def label_counts(frames: LabelledFrames, segmenter: Segmenter) -> np.ndarray:
    """Predictions held against each frame's label map, and against those of two other frames: int64 [3, N, 7, K]."""
    predicted = predict(segmenter.network, frames.images, CPU)
    maps = [np.roll(frames.maps, shift, 0) for shift in (0, len(frames) // 3, len(frames) // 2)]
    return np.stack([compare_maps(predicted, m, segmenter.space.num_classes) for m in maps])


@dataclass(frozen=True)
class Line:
    """Shares of answers to one question about sets of one size with one fault."""

    video: str
    question: str
    fault: str
    images: int
    shares: dict[Tone, float]

    @property
    def passed(self) -> bool:
        """Whether wrong answers are few."""
        is_real = self.fault == NONE or (self.fault == OTHER and self.question == KNOWN)  # not FARTHEST
        return self.shares["bad" if is_real else "good"] <= MOST


def simulate(video: Video, draws: int, label_draws: int) -> Iterator[Line]:
    """The lines of one video."""
    for fault in video.versions:
        for size in SIZES:
            rng = np.random.default_rng([size, len(fault)])
            answers = [look(video, fault, size, rng) for _ in range(draws)]
            for question in answers[0]:
                found = Counter(answer[question] for answer in answers)
                called = FARTHEST if question == KNOWN and fault == OTHER and farthest(video) else fault
                yield Line(video.name, question, called, size, shares(found))
    for fault in (NONE, WRONG) if video.counts is not None else ():
        for size in SIZES:
            rng = np.random.default_rng([size, len(fault), 1])
            found = Counter(labels(video, fault, size, rng) for _ in range(label_draws))
            yield Line(video.name, LABELS, fault, size, shares(found))


def shares(found: Counter[Tone]) -> dict[Tone, float]:
    return {tone: found[tone] / found.total() for tone in ("good", "mixed", "bad", "open")}


def split(video: Video, fault: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Positions of real frames, and of the set: other frames, each taken once before any is taken again."""
    order = rng.permutation(len(video.colours[NONE]))
    real, pool = order[: len(order) // 2], order[len(order) // 2 :]
    if fault.startswith(OTHER):
        pool = rng.permutation(len(video.colours[OTHER]))
    return real, np.concatenate([rng.permutation(pool) for _ in range(-(-size // len(pool)))])[:size]


def look(video: Video, fault: str, size: int, rng: np.random.Generator) -> dict[str, Tone]:
    """The answers to "Do they look real?" for one draw: by the real frames alone, and with other videos known."""
    real, chosen = split(video, fault, size, rng)
    version, weights, separations = video.versions[fault], Weights(), {}
    images = min(len(real), len(np.unique(chosen)))
    for key, module in features.available(weights).items():
        among_real = video.real[key][np.ix_(real, real)]
        value, error = energy_of_distances(
            version.across[key][np.ix_(chosen, real)], version.within[key][np.ix_(chosen, chosen)], among_real, chosen
        )
        others = {
            name: energy_of_distances(of.across[key][:, real], of.within[key], among_real)[0]
            for name, (of, _) in video.others.items()
        }
        separations[key] = Separation(
            module.title(weights), value, *interval(value, error), images, others=others or None
        )
    colours: Sides = sides(
        video.colours[NONE][real], [None] * len(real), {name: found for name, (_, found) in video.others.items()}
    )
    sets = video.colours[NONE][real], video.colours[fault][chosen]
    measures = {name: set_measures(metrics.get(name), *sets, 10, 0, colours)[0] for name in DRIFTS}
    row = Row("", "", size, (1, 1), 0, "", measures, None, None, (), separations=separations, videos=1)
    answers = {} if fault.startswith(f"{OTHER},") else {LOOK: answer(row, len(real), LOOK)}
    if len(video.others) >= FEWEST_VIDEOS:
        answers[KNOWN] = answer(row, len(real), LOOK, dict.fromkeys(video.others, 0))
    return answers


def labels(video: Video, fault: str, size: int, rng: np.random.Generator) -> Tone:
    """The answer to "Do they show what their labels say?" for one draw."""
    real, chosen = split(video, NONE, size, rng)
    assert video.counts is not None and video.space is not None
    right, wrong, floor = video.counts
    synth = Agreement((wrong if fault == WRONG else right)[chosen], chosen.astype(str), floor[chosen])
    reached = Agreement(right[real], real.astype(str))
    found = faithfulness(synth, reached, video.train_frames, video.space, 0)
    row = Row("", "", size, (1, 1), 0, "", {}, None, None, (), faithfulness=found)
    return answer(row, len(real), LABELS)


def farthest(video: Video) -> bool:
    """Whether OTHER lies farther from the frames than every other known video, and beyond the bound of a "Yes", by some
    distance or drift."""
    for key, among_real in video.real.items():
        apart = [
            energy_of_distances(of.across[key], of.within[key], among_real)[0]
            for of in (video.versions[OTHER], *(of for of, _ in video.others.values()))
        ]
        if apart[0] > max(SEPARATED, *apart[1:]):
            return True
    real = video.colours[NONE]
    known = sides(real, [None] * len(real), {name: colours for name, (_, colours) in video.others.items()})
    for name, bound in DRIFTS.items():
        found = set_measures(metrics.get(name), real, video.colours[OTHER], 10, 0, known)[0]
        if found.value is not None and found.value > max(bound, *(found.others or {}).values()):
            return True
    return False


def answer(row: Row, real_images: int, question: str, other_videos: dict[str, int] | None = None) -> Tone:
    report = Report("", real_images, {}, {}, (row,), {}, {}, 0, 10, other_videos=other_videos or {})
    return next(v.tone for v in verdicts(report, row) if v.question == question)


def table(lines: list[Line]) -> str:
    """Markdown: Yes / Not quite / No / Cannot be told, in % of the draws, by size."""
    rows = ["| video | question | fault | " + " | ".join(map(str, SIZES)) + " |", "|---" * (3 + len(SIZES)) + "|"]
    cells: dict[tuple[str, str, str], list[str]] = {}
    for line in lines:
        text = " / ".join(f"{100 * share:.0f}" for share in line.shares.values())
        cells.setdefault((line.video, line.question, line.fault), []).append(text)
    rows += [f"| {' | '.join(key)} | {' | '.join(texts)} |" for key, texts in cells.items()]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
