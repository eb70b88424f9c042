"""What the figures of one synthetic folder come to, question by question, in a sentence each. Pure."""

from __future__ import annotations

from dataclasses import replace

from surgaug.scoring.compute.leakage import COPIES, LEAKAGE
from surgaug.scoring.report.model import Report, Row, Verdict, copied
from surgaug.scoring.segmenter.results import Faithfulness, Utility

NEW = "Are they new?"

BLIND = 0.1  # the segmenter must beat unrelated labels on real frames by this much mIoU to be believed
FOLLOWS, LOST = 0.8, 0.25  # share of the way from unrelated labels to real frames
NEAR, FAR = 1.5, 3.0  # times the distance of real frames among themselves
CLOSE = 0.6  # probability of being closer to training than real frames are
UNLIKE = 1 - CLOSE  # as clearly farther from it than new real frames are
DRIFTS = {"hue": 5.0, "brightness": 5.0, "sharpness": 25.0}  # degrees, L*, %; twice that is plain to see
DRIFT_QUESTIONS = {
    "Are colour and light right?": {
        "hue": "hue is turned by {:.0f}°",
        "brightness": "brightness differs by {:.0f} of 100",
    },
    "Are they as sharp?": {"sharpness": "fine detail differs by {:.0f} % (blur takes it away, noise adds it)"},
}
COLOUR = "frechet_colour_texture"  # speaks for the look where no network's features were measured


def with_verdicts(report: Report) -> Report:
    """`report` with the verdicts on each of its rows."""
    return replace(report, rows=tuple(replace(row, verdicts=tuple(verdicts(report, row))) for row in report.rows))


def verdicts(report: Report, row: Row) -> list[Verdict]:
    """The questions that this run can answer, in the order in which a reader asks them."""
    found = [_look(report, row), *(_drift(row, question, said) for question, said in DRIFT_QUESTIONS.items())]
    if row.faithfulness:
        found.append(_labels(row.faithfulness))
    if row.utility:
        found.append(_use(row, row.utility))
    found.append(_copies(row))
    return [v for v in found if v is not None]


def _look(report: Report, row: Row) -> Verdict | None:
    question = "Do they look real?"
    keys = [*(k for k, definition in report.definitions.items() if definition.deep), COLOUR]
    key = next((k for k in keys if k in row.measures and row.measures[k].ratio is not None), None)
    if key is None:
        return None
    measure = row.measures[key]
    assert measure.ratio is not None and measure.matched is not None  # the one is made of the other
    ratio, title = measure.ratio, report.definitions[key].title
    text = (
        f"By {title} they lie {ratio:.2g} times as far from real frames as real frames lie from each other "
        f"({measure.matched.size} images a side)."
    )
    if ratio < NEAR:
        return Verdict(question, "Yes", text, "good")
    return Verdict(question, "Not quite", text, "mixed") if ratio < FAR else Verdict(question, "No", text, "bad")


def _drift(row: Row, question: str, said: dict[str, str]) -> Verdict | None:
    """By the ends of the intervals: a drift must be sure before it is called one. `said`: measures and their words."""
    found = {name: row.measures.get(name) for name in said}
    known = {
        name: (m.value if m.low is None else m.low, m.value)
        for name, m in found.items()
        if m is not None and m.value is not None
    }
    if not known:
        return None
    text = "On average " + " and ".join(said[name].format(value) for name, (_, value) in known.items()) + "."
    worst = max(low / DRIFTS[name] for name, (low, _) in known.items())
    if worst < 1:
        return Verdict(question, "Yes", text, "good")
    return Verdict(question, "Not quite", text, "mixed") if worst < 2 else Verdict(question, "No", text, "bad")


def _labels(found: Faithfulness) -> Verdict:
    question = "Do they show what their labels say?"
    if found.miou.value is None:
        return Verdict(
            question, "Cannot be told", "No class is shown by training, held-out and synthetic frames.", "open"
        )
    floor, real, value = found.floor, found.real_miou, found.miou.value
    readable = real.value or 0.0
    figures = f"A segmenter of real frames reads them with mIoU {value:.3f}; held-out real frames {real.value:.3f}"
    if floor is None:
        return Verdict(question, "Cannot be told", f"{figures}; too few images to say what chance gives.", "open")
    figures += f", labels of other images {floor:.3f}."
    if readable - floor < BLIND:
        text = f"{figures} It hardly reads real frames: give it more frames (--train) or steps before believing it."
        return Verdict(question, "Cannot be told", text, "open")
    share = (value - floor) / (readable - floor)
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
    if copied(row):
        return Verdict(NEW, "No, copies", text, "bad")
    if leakage.low is not None and leakage.low > CLOSE:
        return Verdict(NEW, "Close to training", text, "mixed")
    if leakage.high is not None and leakage.high < UNLIKE:
        text += " Farther than new real frames: no copies, but not much like real frames either."
    return Verdict(NEW, "Yes", text, "good")


def _use(row: Row, found: Utility) -> Verdict:
    question = "Does training on them help?"
    gain, text = found.both_gain, f"{found.verdict} Synthetic images alone: {found.synthetic.value:.3f}."
    if found.of_test_masks:
        text += (
            f" {found.of_test_masks} of {row.images} images have the label maps of test frames: training has seen the "
            "answers, and the gain may be overstated."
        )
    if found.seeds < 2 or gain.low is None or gain.high is None or gain.low <= 0 <= gain.high:
        return Verdict(question, "Cannot be told", text, "open")
    if gain.high < 0:
        return Verdict(question, "No, it harms", text, "bad")
    return (
        Verdict(question, "Perhaps", text, "mixed") if found.of_test_masks else Verdict(question, "Yes", text, "good")
    )
