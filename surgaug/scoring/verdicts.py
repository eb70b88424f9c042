"""What the figures of one synthetic folder come to, question by question, in a sentence each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from surgaug.scoring.leakage import COPIES, LEAKAGE
from surgaug.scoring.report import Report, Row
from surgaug.scoring.segmentation import Faithfulness

Tone = Literal["good", "mixed", "bad", "open"]
NEW = "Are they new?"

BLIND = 0.1  # the segmenter must beat unrelated labels on real frames by this much mIoU to be believed
FOLLOWS, LOST = 0.8, 0.25  # share of the way from unrelated labels to real frames
NEAR, FAR = 1.5, 3.0  # times the distance of real frames among themselves
COPIED, CLOSE = 5.0, 0.6  # percent of near-copies; probability of being closer to training than real frames are
FIDELITY = ("fid", "fd_dinov2", "frechet_colour_texture")  # the first that was measured speaks for the look


@dataclass(frozen=True)
class Verdict:
    """`tone`: good, mixed, bad, or open where it cannot be told."""

    question: str
    answer: str
    text: str
    tone: Tone


def verdicts(report: Report, row: Row) -> list[Verdict]:
    """The questions that this run can answer, in the order in which a reader asks them."""
    found = [_look(report, row)]
    if row.faithfulness:
        found.append(_labels(row.faithfulness))
    if row.utility:
        found.append(_use(row))
    found.append(_copies(row))
    return [v for v in found if v is not None]


def _look(report: Report, row: Row) -> Verdict | None:
    question = "Do they look real?"
    key = next((k for k in FIDELITY if k in row.measures and row.measures[k].ratio is not None), None)
    if key is None:
        return None
    measure = row.measures[key]
    ratio, title = measure.ratio, report.definitions[key].title
    text = (
        f"By {title} they lie {ratio:.2g} times as far from real frames as real frames lie from each other "
        f"({measure.matched.size} images a side)."
    )
    if ratio < NEAR:
        return Verdict(question, "Yes", text, "good")
    return Verdict(question, "Not quite", text, "mixed") if ratio < FAR else Verdict(question, "No", text, "bad")


def _labels(found: Faithfulness) -> Verdict:
    question = "Do they show what their labels say?"
    if found.miou.value is None:
        return Verdict(
            question, "Cannot be told", "No class is shown by training, held-out and synthetic frames.", "open"
        )
    floor, real, value = found.floor, found.real_miou, found.miou.value
    figures = f"A segmenter of real frames reads them with mIoU {value:.3f}; held-out real frames {real.value:.3f}"
    if floor is None:
        return Verdict(question, "Cannot be told", f"{figures}; too few images to say what chance gives.", "open")
    figures += f", labels of other images {floor:.3f}."
    if real.value - floor < BLIND:
        text = f"{figures} It hardly reads real frames: give it more frames (--train) or steps before believing it."
        return Verdict(question, "Cannot be told", text, "open")
    share = (value - floor) / (real.value - floor)
    if real.high is not None and value > real.high:
        text = f"{figures} Easier to read than real frames: tidier than reality, or copies of training frames."
        return Verdict(question, "More than real ones", text, "mixed")
    if share >= FOLLOWS:
        return Verdict(question, "Yes", figures, "good")
    return Verdict(question, "No", figures, "bad") if share < LOST else Verdict(question, "In part", figures, "mixed")


def _copies(row: Row) -> Verdict | None:
    copies, leakage = row.measures.get(COPIES), row.measures.get(LEAKAGE)
    if copies is None or leakage is None:
        return None
    interval = "" if leakage.low is None else f", 95 % interval {leakage.low:.2f} to {leakage.high:.2f}"
    text = (
        f"{copies.value:.3g} % are near-copies of training frames. A synthetic image is closer to training than a new "
        f"real frame is with probability {leakage.value:.2f}{interval} (0.5: as far from it as new frames)."
    )
    if copies.value >= COPIED:
        return Verdict(NEW, "No, copies", text, "bad")
    if leakage.low is not None and leakage.low > CLOSE:
        return Verdict(NEW, "Close to training", text, "mixed")
    return Verdict(NEW, "Yes", text, "good")


def _use(row: Row) -> Verdict:
    question = "Does training on them help?"
    found = row.utility
    gain, text = found.both_gain, f"{found.verdict} Synthetic images alone: {found.synthetic.value:.3f}."
    if found.of_test_masks:
        text += (
            f" {found.of_test_masks} of {row.images} images have the label maps of test frames: training has seen the "
            "answers, and the gain may be overstated."
        )
    if found.seeds < 2 or gain.low is None or gain.low <= 0 <= gain.high:
        return Verdict(question, "Cannot be told", text, "open")
    if gain.high < 0:
        return Verdict(question, "No, it harms", text, "bad")
    return (
        Verdict(question, "Perhaps", text, "mixed") if found.of_test_masks else Verdict(question, "Yes", text, "good")
    )
