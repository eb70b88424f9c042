"""What the figures of one synthetic folder come to, question by question, in a sentence each. Pure.

A question is answered where the sample is large enough for it. Each figure has a bound, what it may be and still pass
for the same as real frames, and a 95 % interval: "Yes" where the interval of every figure lies below its bound, "Not
quite" or "No" where that of one figure lies beyond it, and otherwise "Cannot be told", with about how many images would
tell. The bounds were set on real frames with known faults by `benchmarks/power.py`.

There are two yardsticks. By the first the bounds are constants: the set passes for more frames of the same videos. By
the second, where other real videos are known, the set passes for real frames of other videos. Each bound is what three
in four of these keep. A set that mixes videos must lie nearer: its bound is the distance of all other videos as one
set, with the first bound on top. No bound is below the first yardstick's. "No" begins as many times beyond the bound;
for a mix, beyond what is plain to see by the first yardstick and beyond every other video. Within a yardstick the worst
figure decides; of the two yardsticks, the better one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betaincinv

from surgaug.scoring.compute.leakage import COPIES, LEAKAGE
from surgaug.scoring.compute.other_videos import FEWEST_VIDEOS
from surgaug.scoring.metrics.hue import DECOLOURED
from surgaug.scoring.report.model import (
    COPIED,
    Faithfulness,
    Measure,
    Report,
    Row,
    Separation,
    Sweep,
    Tone,
    Utility,
    Verdict,
    copied,
    span,
)

NEW = "Are they new?"
LOOK = "Do they look real?"
HOW_MANY = "How many of them, and how?"
LABELS = "Do they show what their labels say?"
UNKNOWN, AS_OTHERS = "Cannot be told", "As other videos"
MOST_KEEP = 3 / 4  # the share of other videos that sets the bounds of the second yardstick

SEPARATED, FAR_APART = 0.1, 3.0  # of what real frames differ among themselves; that many times it is plain to see
DRIFTS = {"hue": 5.0, "chroma": 5.0, "brightness": 5.0, "sharpness": 25.0}  # degrees, a*b*, L*, %
PLAIN = 2.0  # times these drifts
DRIFT_QUESTIONS = {
    "Are colour and light right?": {
        "hue": "hue is turned by {:.0f}°",
        "chroma": "chroma differs by {:.0f} (0 is grey)",
        "brightness": "brightness differs by {:.0f} of 100",
    },
    "Are they as sharp?": {"sharpness": "fine detail differs by {:.0f} % (blur takes it away, noise adds it)"},
}
HUE_LOST = "hue is lost (the real frames have one, the synthetic images are grey)"
BLIND = 0.1  # the segmenter must beat unrelated labels on real frames by this much mIoU to be believed
FOLLOWS, HALF, LOST = 0.8, 0.5, 0.25  # share of the way from unrelated labels to real frames
CLOSE = 0.6  # probability of being closer to training than real frames are
UNLIKE = 1 - CLOSE  # as clearly farther from it than new real frames are


@dataclass(frozen=True)
class Bounded:
    """A figure and its 95 % interval in multiples of the bound below which it passes; from `far` on it is plain to see.

    images: how many it was measured on. text: the figure in words; hidden: what an image set of this size may hide.
    by_others: bound and `far` of the second yardstick, in the same multiples; None where it is that of the first.
    """

    value: float
    low: float
    high: float
    far: float
    images: int
    text: str
    hidden: str
    by_others: tuple[float, float] | None = None

    def rescaled(self) -> Bounded:
        """The same by the bound of the second yardstick."""
        if self.by_others is None:
            return self
        bound, far = self.by_others
        return replace(self, value=self.value / bound, low=self.low / bound, high=self.high / bound, far=far / bound)

    @property
    def needed(self) -> int:
        """About how many images would tell, if the figure stayed: the interval shrinks as one over their root."""
        room = max(abs(1 - self.value), 0.5)
        return rounded_up(self.images * ((self.high - self.value) / room) ** 2)


def with_verdicts(report: Report) -> Report:
    """`report` with the verdicts on each of its rows."""
    return replace(report, rows=tuple(replace(row, verdicts=tuple(verdicts(report, row))) for row in report.rows))


def verdicts(report: Report, row: Row) -> list[Verdict]:
    """The questions that this run can answer, in the order in which a user asks them."""
    found = [_look(report, row), *(_drift(report, row, question) for question in DRIFT_QUESTIONS)]
    if row.faithfulness:
        found.append(_labels(row.faithfulness))
    if row.utility:
        found.append(_use(row, row.utility))
    if row.sweep:
        found.append(_how_many(row.sweep))
    found.append(_copies(row))
    return [v for v in found if v is not None]


def tone_of(figures: Sequence[Bounded]) -> Tone:
    """The worst of the figures decides: surely beyond its bound, perhaps, or surely not."""
    if any(f.low > f.far for f in figures):
        return "bad"
    if any(f.low > 1 for f in figures):
        return "mixed"
    return "good" if all(f.high < 1 for f in figures) else "open"


def rounded_up(number: float) -> int:
    """To the next of 20, 50, 100, 200 and so on."""
    if not math.isfinite(number):
        return 20
    scale = 10
    while True:
        for step in (1, 2, 5):
            if step * scale >= max(number, 20):
                return step * scale
        scale *= 10


ANSWERS: dict[Tone, str] = {"good": "Yes", "mixed": "Not quite", "bad": "No", "open": UNKNOWN}
BEST_FIRST: tuple[Tone, ...] = ("good", "open", "mixed", "bad")
NOT_NEAR = "not as near"
HOW_NEAR: dict[Tone, str] = {"good": "as near", "open": "perhaps as near", "mixed": NOT_NEAR, "bad": NOT_NEAR}


def _answered(report: Report, row: Row, question: str, text: str, figures: Sequence[Bounded]) -> Verdict:
    """`text` with what the figures come to, and against which yardstick the set is as good as real."""
    own = tone = tone_of(figures)
    if own != "good" and len(report.other_videos) >= FEWEST_VIDEOS:
        by_others = [f.rescaled() for f in figures]
        others = tone_of(by_others)
        tone = min(own, others, key=BEST_FIRST.index)
        figures = figures if tone == own else by_others
        text += f" {_nearness(report, row, own, others)}"
    return Verdict(question, AS_OTHERS if tone == "good" != own else ANSWERS[tone], text + _power(figures, tone), tone)


def _nearness(report: Report, row: Row, own: Tone, others: Tone) -> str:
    real, whose = (report.videos[0], "its") if len(report.videos) == 1 else ("the real frames", "their")
    joined = "but" if HOW_NEAR[own] == NOT_NEAR != HOW_NEAR[others] else "and"
    videos = f"{len(report.other_videos)} other real videos"
    they_are = f"{videos} together are" if _mixes(report, row) else f"3 in 4 of {videos} are"
    return f"{HOW_NEAR[others].capitalize()} to {real} as {they_are}, {joined} {HOW_NEAR[own]} as {whose} own halves."


def _mixes(report: Report, row: Row) -> bool:
    """Whether the set is held against all other videos as one set: unless it shows one video alone, or there are
    none."""
    return row.videos != 1 and any(found.together is not None for found in row.separations.values())


def _look(report: Report, row: Row) -> Verdict | None:
    separations = [_separation(s, row) for s in row.separations.values()]
    if not separations:
        return None
    drifts = [drift for question in DRIFT_QUESTIONS for drift in _drifts(report, row, question)]
    text = f"Distance to real frames, in % of what real frames differ from each other: {_listed(separations)}."
    failing = [f.text for f in drifts if f.low > 1]
    if failing:
        text += f" On average {' and '.join(failing)}."
    return _answered(report, row, LOOK, text, [*separations, *drifts])


def _drift(report: Report, row: Row, question: str) -> Verdict | None:
    figures = _drifts(report, row, question)
    if not figures:
        return None
    answered = _answered(report, row, question, f"On average {' and '.join(f.text for f in figures)}.", figures)
    unasked = [name for name in DRIFT_QUESTIONS[question] if name not in row.measures]
    if answered.tone == "good" and unasked:
        return Verdict(question, UNKNOWN, f"{answered.text} Not measured: {', '.join(unasked)} (--metrics).", "open")
    return answered


def _separation(found: Separation, row: Row) -> Bounded:
    if found.value is None or found.low is None or found.high is None:
        unknown = f"any distance by {found.title}"
        return Bounded(0.0, 0.0, math.inf, FAR_APART, found.images, f"{found.title} unknown ({found.reason})", unknown)
    beside = [f"95 % interval {100 * found.low:.0f} to {100 * found.high:.0f}"]
    if found.others:
        beside += [f"own halves {100 * max(0.0, found.baseline.mean):.0f}"] if found.baseline else []
        beside.append(_other_videos(found, 100))
    text = f"{found.title} {100 * max(0.0, found.value):.0f} ({', '.join(beside)})"
    value, low, high = (v / SEPARATED for v in (found.value, found.low, found.high))
    hidden = f"a distance of {100 * found.high:.0f} % by {found.title}"
    return Bounded(
        value, low, high, FAR_APART, found.images, text, hidden, _by_others(found, SEPARATED, FAR_APART, row)
    )


def _drifts(report: Report, row: Row, question: str) -> list[Bounded]:
    found = []
    for name, words in DRIFT_QUESTIONS[question].items():
        measure, bound = row.measures.get(name, Measure(None, 0)), DRIFTS[name]
        if measure.reason == DECOLOURED:
            # At fault by either yardstick; how plainly is told by the drift of chroma.
            found.append(Bounded(PLAIN, PLAIN, PLAIN, PLAIN, row.images, HUE_LOST, ""))
        if measure.value is None:
            continue
        # Without an interval there were too few images for one.
        low, high = (0.0, math.inf) if measure.low is None or measure.high is None else (measure.low, measure.high)
        images = min(row.images, report.real_images)
        hidden = f"that {words.format(high).split(' (')[0]}" if math.isfinite(high) else f"any drift of {name}"
        text, others = words.format(measure.value), _by_others(measure, bound, PLAIN, row)
        if measure.others:
            text += f" ({_other_videos(measure, 1)})"
        found.append(Bounded(measure.value / bound, low / bound, high / bound, PLAIN, images, text, hidden, others))
    return found


def _by_others(found: Separation | Measure, bound: float, far: float, row: Row) -> tuple[float, float] | None:
    """Bound and `far` of the second yardstick in multiples of the first's `bound`; see the head of this file."""
    if not found.others:
        return None
    each = np.array(list(found.others.values())) / bound
    if row.videos != 1 and found.together is not None:
        mix = 1 + max(0.0, found.together / bound)
        return mix, max(far, mix, float(each.max()))
    keep = max(1.0, float(np.quantile(each, MOST_KEEP)))
    return keep, far * keep


def _other_videos(found: Separation | Measure, factor: float) -> str:
    """How far they lie, in words; `found` has them."""
    assert found.others
    each = f"other videos {span(found.others.values(), lambda value: f'{factor * value:.0f}', ' to ')}"
    return each if found.together is None else f"{each}, together {factor * max(0.0, found.together):.0f}"


def _listed(figures: Sequence[Bounded]) -> str:
    return ", ".join(f.text for f in sorted(figures, key=lambda f: -f.value))


def _power(figures: Sequence[Bounded], tone: Tone) -> str:
    """What images of this number can tell, where the question stays open."""
    if tone != "open":
        return ""
    blind = max((f for f in figures if f.high >= 1), key=lambda f: f.high)
    needed = max(f.needed for f in figures if f.high >= 1)
    return f" {blind.images} images may hide {blind.hidden}; about {needed} would tell."


def _labels(found: Faithfulness) -> Verdict:
    if found.miou.value is None:
        return Verdict(LABELS, UNKNOWN, "No class is shown by training, held-out and synthetic frames.", "open")
    floor, real, value = found.floor, found.real_miou, found.miou.value
    readable = real.value or 0.0
    figures = f"A segmenter of real frames reads them with mIoU {value:.3f}; held-out real frames {real.value:.3f}"
    if floor is None:
        return Verdict(LABELS, UNKNOWN, f"{figures}; too few images to say what chance gives.", "open")
    figures += f", labels of other images {floor:.3f}."
    if readable - floor < BLIND:
        text = f"{figures} It hardly reads real frames: give it more frames (--train) or steps before believing it."
        return Verdict(LABELS, UNKNOWN, text, "open")
    if found.miou.low is None or found.miou.high is None or real.low is None or real.high is None:
        return Verdict(LABELS, UNKNOWN, f"{figures} Images of one mask or video leave chance open.", "open")

    # The worst and the best that both intervals allow.
    def share(of: float, reached: float) -> float:
        return (of - floor) / (reached - floor) if reached > floor else math.inf

    middle, low, high = share(value, readable), share(found.miou.low, real.high), share(found.miou.high, real.low)
    if found.miou.low > real.high:
        text = f"{figures} Easier to read than real frames: tidier than reality, or copies of training frames."
        return Verdict(LABELS, "More than real ones", text, "mixed")
    if middle >= FOLLOWS and low > HALF:
        return Verdict(LABELS, "Yes", figures, "good")
    if middle < LOST and high < HALF:
        return Verdict(LABELS, "No", figures, "bad")
    if high < FOLLOWS:
        return Verdict(LABELS, "In part", figures, "mixed")
    images = min(found.images, found.real_images)
    needed = rounded_up(images * (max(high - middle, middle - low) / (FOLLOWS - HALF)) ** 2)
    text = f"{figures} {images} images may hide that every second label is wrong; about {needed} would tell."
    return Verdict(LABELS, UNKNOWN, text, "open")


def _copies(row: Row) -> Verdict | None:
    copies, leakage = row.measures.get(COPIES), row.measures.get(LEAKAGE)
    if copies is None or copies.value is None or leakage is None:
        return None
    interval = "" if leakage.low is None else f", 95 % interval {leakage.low:.2f} to {leakage.high:.2f}"
    closer = (
        "How close new real frames come to training is not known, as no real frame is held out."
        if leakage.value is None
        else f"A synthetic image is closer to training than a new real frame is with probability {leakage.value:.2f}"
        f"{interval} (0.5: as far from it as new frames)."
    )
    text = f"{copies.value:.3g} % are near-copies of training frames. {closer}"
    if copied(row):
        return Verdict(NEW, "No, copies", text, "bad")
    if leakage.low is not None and leakage.low > CLOSE:
        return Verdict(NEW, "Close to training", text, "mixed")
    if leakage.high is not None and leakage.high < UNLIKE:
        text += " Farther than new real frames: no copies, but not much like real frames either."
    found = round(copies.value * copies.n / 100)
    most = 100 * float(betaincinv(found + 1, copies.n - found, 0.95))  # Clopper and Pearson 1934
    if most >= PLAIN * COPIED:
        text += f" Were {most:.0f} % copies, {copies.n} images could still show as few; 50 would tell."
        return Verdict(NEW, UNKNOWN, text, "open")
    return Verdict(NEW, "Yes", text, "good")


def _how_many(found: Sweep) -> Verdict:
    gain = found.gain
    if found.advice is None:
        return Verdict(HOW_MANY, "None", found.text, "mixed")
    point = found.points[found.advice]
    sure = gain.low is not None and gain.low > 0
    return Verdict(HOW_MANY, f"1:{point.ratio:g}, {point.way}", found.text, "good" if sure else "open")


def _use(row: Row, found: Utility) -> Verdict:
    question = "Does training on them help?"
    gain, text = found.both_gain, f"{found.verdict} Synthetic images alone: {found.synthetic.value:.3f}."
    if found.of_test_masks:
        text += (
            f" {found.of_test_masks} of {row.images} images have the label maps of test frames, or parts of them: "
            "training has seen the answers, and the gain may be overstated."
        )
    if found.seeds < 2 or gain.low is None or gain.high is None or gain.low <= 0 <= gain.high:
        return Verdict(question, UNKNOWN, text, "open")
    if gain.high < 0:
        return Verdict(question, "No, it harms", text, "bad")
    return (
        Verdict(question, "Perhaps", text, "mixed") if found.of_test_masks else Verdict(question, "Yes", text, "good")
    )
