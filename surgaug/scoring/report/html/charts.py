"""Plots as rows of small inline SVGs, so that text stays text, wraps on a phone and can be searched. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from surgaug.scoring.report.model import (
    ClassGain,
    ClassMeasure,
    ClassReading,
    ClassShare,
    Figure,
    Judged,
    Sweep,
    SweepPoint,
    Utility,
)

HEIGHT = 22  # user units; the width is 100 and stretches


@dataclass(frozen=True)
class ChartRow:
    """One class: its name, a small print, the drawing, and the figures beside it. `hint`: all of it in words."""

    name: str
    small: str
    svg: str
    figures: tuple[str, ...]
    hint: str


@dataclass(frozen=True)
class Chart:
    """Rows on one axis. ticks: (position in percent, text). columns: what `figures` are."""

    title: str
    caption: str
    key: tuple[tuple[str, str], ...]
    columns: tuple[str, ...]
    ticks: tuple[tuple[float, str], ...]
    rows: tuple[ChartRow, ...]


def faithfulness_chart(classes: tuple[ClassReading, ...]) -> Chart:
    """IoU by class: synthetic images over what held-out real frames reach."""
    rows = []
    for c in classes:
        band = _bar(c.real_iou.low, c.real_iou.high, "real") + _tick(c.real_iou.value, "real")
        dot = _whisker(c.iou, "synth") + _dot(c.iou.value, "synth")
        small = f"{c.images} images" + (f" · {c.reason}" if c.reason else "")
        hint = f"{c.name}: synthetic {_in_words(c.iou)}, real {_in_words(c.real_iou)}"
        rows.append(ChartRow(c.name, small, _svg(band + dot), (_number(c.iou.value), _number(c.real_iou.value)), hint))
    return Chart(
        "Labels read back, by class",
        "Intersection over union of a segmenter trained on real frames; bars are 95 % intervals.",
        (("synth", "synthetic images"), ("real", "held-out real frames")),
        ("synthetic", "real"),
        tuple((25.0 * i, f"{i / 4:g}") for i in range(5)),
        tuple(rows),
    )


def utility_chart(classes: tuple[ClassGain, ...]) -> Chart:
    """What adding the synthetic images changes, by class, around zero."""
    reach = _reach(c.both_gain for c in classes)
    rows = []
    for c in classes:
        tone = "synth" if not c.sure else "good" if (c.both_gain.value or 0) > 0 else "bad"
        drawn = _around_zero(c.both_gain, reach, tone)
        hint = f"{c.name}: {c.real:.3f} to {c.both:.3f}, change {_in_words(c.both_gain)}"
        figures = (_number(c.real), _number(c.both), _change(c.both_gain))
        rows.append(ChartRow(c.name, f"{c.images} test frames", _svg(drawn), figures, hint))
    return Chart(
        "What adding them changes, by class",
        "IoU on held-out real frames after training on real and synthetic images, less real alone; 95 % intervals.",
        (("synth", "cannot be told"), ("good", "surely better"), ("bad", "surely worse")),
        ("real", "both", "change"),
        _ticks_around_zero(reach),
        tuple(rows),
    )


def arms_chart(found: Utility) -> Chart:
    """What every way of training brings beside real frames alone, around zero."""
    others = {name: arm for name, arm in found.arms.items() if name != found.reference}
    reference = found.arms[found.reference]
    reach = _reach([arm.gain for arm in others.values()])
    rows = [
        ChartRow(
            arm.title,
            f"{arm.steps} steps, {arm.real_steps} of real frames",
            _svg(_around_zero(arm.gain, reach, _tone(arm.gain))),
            (_number(arm.miou.value), _change(arm.gain), _change(arm.rare_gain)),
            f"{arm.title}: {_in_words(arm.miou)}, change {_in_words(arm.gain)}",
        )
        for arm in others.values()
    ]
    return Chart(
        "Ways of training",
        f"mIoU on {found.test_images} held-out real frames, less that of the best training on real frames alone "
        f"({reference.title}: {_number(reference.miou.value)}); {found.seeds} seeds; 95 % intervals; rare: the same "
        "over the rarest quarter of the classes.",
        (("synth", "cannot be told"), ("good", "better"), ("bad", "worse")),
        ("mIoU", "change", "rare"),
        _ticks_around_zero(reach),
        tuple(rows),
    )


def sweep_chart(found: Sweep) -> Chart:
    """The curve over mixtures: gain over real frames alone by ratio, way and labels."""
    reach = _reach([point.gain for point in found.points])
    order = sorted(range(len(found.points)), key=lambda i: (_kind(found.points[i]), found.points[i].ratio))
    rows = []
    for i in order:
        point = found.points[i]
        small = f"{point.images} images, " + (f"{point.seeds} trainings" if point.seeds else "told by its neighbours")
        tone = "good" if i == found.advice else "synth" if point.seeds else "real"
        name = f"1:{point.ratio:g} {_kind(point)}" + (" (advised)" if i == found.advice else "")
        figures = (_number(point.miou), _change(point.gain))
        drawn = _svg(_around_zero(point.gain, reach, tone))
        rows.append(ChartRow(name, small, drawn, figures, f"{name}: change {_in_words(point.gain)}"))
    longer = f", trained for {found.times} times the steps" if found.times > 1 else ""
    return Chart(
        "How many synthetic images",
        f"Gain in mIoU on {found.test_images} held-out real frames over {found.train_images} real frames alone "
        f"({found.real:.3f}{longer}), by synthetic images for each real one; {found.trainings} trainings instead of "
        f"{found.of_grid}, which say something of each other; 95 % intervals of chance in training.",
        (("good", "advised"), ("synth", "trained"), ("real", "told by neighbours")),
        ("mIoU", "change"),
        _ticks_around_zero(reach),
        tuple(rows),
    )


def trust_chart(found: Judged) -> Chart:
    """What the judge trusts, by class, the least first."""
    rows = [
        ChartRow(
            c.name,
            f"{c.images} images",
            _svg(_dot(c.agreement, "synth")),
            (_percent(c.agreement),),
            f"{c.name}: {_percent(c.agreement)}",
        )
        for c in found.classes
    ]
    return Chart(
        "What the judge trusts, by class",
        "Share of a class's pixels whose label a segmenter of real frames did not find too surprising, as the images "
        f"were synthesized; {_percent(found.agreement.value or 0.0)} of all.",
        (("synth", "trusted"),),
        ("trusted",),
        tuple((25.0 * i, f"{25 * i} %") for i in range(5)),
        tuple(rows),
    )


def _kind(point: SweepPoint) -> str:
    return f"{point.way}, {point.labels}"


def _reach(gains: Iterable[Figure]) -> float:
    """Half the width of an axis around zero."""
    return _nice(max([0.01, *(abs(v) for gain in gains for v in _three(gain) if v is not None)]))


def _around_zero(gain: Figure, reach: float, tone: str) -> str:
    placed = Figure(*(None if v is None else (v / reach + 1) / 2 for v in _three(gain)))
    return '<line class="zero" x1="50" x2="50" y1="0" y2="22"/>' + _whisker(placed, tone) + _dot(placed.value, tone)


def _ticks_around_zero(reach: float) -> tuple[tuple[float, str], ...]:
    return tuple((50 + 50 * f, f"{f * reach:+g}".replace("-", "−") if f else "0") for f in (-1.0, 0.0, 1.0))


def _tone(gain: Figure) -> str:
    if gain.low is None or gain.high is None or gain.low <= 0 <= gain.high:
        return "synth"
    return "good" if gain.low > 0 else "bad"


def _change(gain: Figure) -> str:
    return "–" if gain.value is None else f"{gain.value:+.3f}".replace("-", "−")


def balance_chart(classes: tuple[ClassShare, ...]) -> Chart:
    """Share of pixels by class, synthetic over real, on a root scale so that thin classes show."""
    largest = max([1e-9, *(share for c in classes for share in (c.real_pixels, c.synth_pixels))])
    rows = []
    for c in classes:
        real, synth = ((share / largest) ** 0.5 for share in (c.real_pixels, c.synth_pixels))
        drawn = _strip(real, 4, "real") + _strip(synth, 12, "synth")
        figures = (_percent(c.synth_pixels), _percent(c.real_pixels))
        hint = f"{c.name}: synthetic {figures[0]}, real {figures[1]} of the pixels"
        small = f"in {c.synth_frames:.0%} of images (real {c.real_frames:.0%})"
        rows.append(ChartRow(c.name, small, _svg(drawn), figures, hint))
    return Chart(
        "How much of each class",
        "Share of the labelled pixels; lengths on a square-root scale.",
        (("synth", "synthetic images"), ("real", "real frames")),
        ("synthetic", "real"),
        (),
        tuple(rows),
    )


def look_chart(classes: tuple[ClassMeasure, ...]) -> Chart:
    """Colour and texture by class: how many times as far from real regions as those are from each other."""
    largest = 2.0 ** max(1, *(math.ceil(math.log2(c.measure.ratio)) for c in classes if c.measure.ratio), 2)
    rows = []
    for c in classes:
        ratio = c.measure.ratio
        place = None if ratio is None else max(0.0, math.log(ratio) / math.log(largest)) if ratio > 0 else 0.0
        small = f"{c.synth_regions} regions, real {c.real_regions}" + (
            f" · {c.measure.reason}" if c.measure.reason else ""
        )
        drawn = '<line class="zero" x1="0" x2="0" y1="0" y2="22"/>' + _dot(place, "synth")
        text = "–" if ratio is None else f"{ratio:.2g}×"
        rows.append(ChartRow(c.name, small, _svg(drawn), (text,), f"{c.name}: {text}"))
    steps = int(math.log2(largest))
    return Chart(
        "How each class looks",
        "Fréchet distance of colour and texture inside a class's region, in multiples of what real frames are "
        "from each other; a doubling is a step of equal length.",
        (("synth", "synthetic against real"),),
        ("ratio",),
        tuple((100 * i / steps, f"{2**i}×") for i in range(0, steps + 1, max(1, steps // 4))),
        tuple(rows),
    )


def _svg(content: str) -> str:
    return f'<svg viewBox="0 0 100 {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">{content}</svg>'


def _bar(low: float | None, high: float | None, tone: str) -> str:
    if low is None or high is None:
        return ""
    return f'<rect class="{tone} soft" x="{100 * low:.2f}" width="{100 * (high - low):.2f}" y="5" height="12"/>'


def _strip(length: float, top: int, tone: str) -> str:
    return f'<rect class="{tone}" x="0" width="{100 * length:.2f}" y="{top}" height="6"/>'


def _tick(value: float | None, tone: str) -> str:
    return "" if value is None else _line(100 * value, 100 * value, 3, 19, tone)


def _whisker(figure: Figure, tone: str) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return _line(100 * figure.low, 100 * figure.high, 11, 11, tone)


def _line(x1: float, x2: float, y1: float, y2: float, tone: str) -> str:
    return f'<line class="{tone}" x1="{x1:.2f}" x2="{x2:.2f}" y1="{y1}" y2="{y2}"/>'


def _dot(value: float | None, tone: str) -> str:
    """A line of no length with a round cap: a circle however the drawing is stretched."""
    if value is None:
        return ""
    return f'<line class="{tone} dot" x1="{100 * value:.2f}" x2="{100 * value:.2f}" y1="11" y2="11"/>'


def _three(figure: Figure) -> tuple[float | None, float | None, float | None]:
    return figure.value, figure.low, figure.high


def _nice(reach: float) -> float:
    """The next of 1, 2, 5 times a power of ten."""
    step = 10.0 ** len(str(int(reach))) if reach >= 1 else 1.0
    while step / 10 >= reach:
        step /= 10
    return next(step / part for part in (5, 2, 1) if step / part >= reach)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %" if 0 < share < 0.1 else f"{100 * share:.1f} %"


def _in_words(figure: Figure) -> str:
    if figure.value is None:
        return "not measured"
    interval = "" if figure.low is None else f" (95 % interval {figure.low:.3f} to {figure.high:.3f})"
    return f"{figure.value:.3f}{interval}"
