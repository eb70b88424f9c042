"""Plots as rows of small inline SVGs, so that text stays text, wraps on a phone and can be searched. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from surgaug.scoring.report.model import ClassGain, ClassMeasure, ClassReading, ClassShare, Figure

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
    ends = [abs(v) for c in classes for v in (c.both_gain.low, c.both_gain.high, c.both_gain.value) if v is not None]
    reach = _nice(max([0.01, *ends]))
    rows = []
    for c in classes:
        gain = Figure(*(None if v is None else (v / reach + 1) / 2 for v in _three(c.both_gain)))
        tone = "synth" if not c.sure else "good" if (c.both_gain.value or 0) > 0 else "bad"
        drawn = '<line class="zero" x1="50" x2="50" y1="0" y2="22"/>' + _whisker(gain, tone) + _dot(gain.value, tone)
        hint = f"{c.name}: {c.real:.3f} to {c.both:.3f}, change {_in_words(c.both_gain)}"
        figures = (_number(c.real), _number(c.both), f"{c.both_gain.value:+.3f}".replace("-", "−"))
        rows.append(ChartRow(c.name, f"{c.images} test frames", _svg(drawn), figures, hint))
    return Chart(
        "What adding them changes, by class",
        "IoU on held-out real frames after training on real and synthetic images, less real alone; 95 % intervals.",
        (("synth", "cannot be told"), ("good", "surely better"), ("bad", "surely worse")),
        ("real", "both", "change"),
        tuple((50 + 50 * f, f"{f * reach:+g}".replace("-", "−") if f else "0") for f in (-1.0, 0.0, 1.0)),
        tuple(rows),
    )


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
