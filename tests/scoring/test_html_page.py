"""The page: whole in itself, names escaped, every figure in it; and in a browser no wider than the window."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from surgaug.runtime.feedback import Silent
from surgaug.scoring.inputs import open_folder
from surgaug.scoring.report.html.charts import utility_chart
from surgaug.scoring.report.html.page import Thumbnails, render, write_page
from surgaug.scoring.report.html.thumbnails import Trio, Twins
from surgaug.scoring.report.model import (
    NOTHING,
    ClassGain,
    ClassReading,
    ClassShare,
    Definition,
    Faithfulness,
    Figure,
    Measure,
    Report,
    Row,
    Separation,
    Spread,
    Utility,
    best_rows,
    span,
)
from surgaug.scoring.report.tables import tables
from surgaug.scoring.report.verdicts import rounded_up, verdicts, with_verdicts
from surgaug.scoring.segmenter.evaluation import BOUNDARY, DEFINITIONS, MIOU, RARE, Evaluation

EVIL = '<script>alert("x")</script> & co'
PIXEL = "data:image/webp;base64,UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="
VOID = {"meta", "img", "br", "hr", "link", "input", "line", "rect"}


def reading(real=0.6, synth=0.55, floor=0.1, classes=3):
    def around(value):
        return Figure(value, value - 0.05, value + 0.05)

    shown = [
        ClassReading(k, f"class {k}", 40, 30, around(synth), around(real), around(synth), around(real))
        for k in range(classes)
    ]
    gone = ClassReading(99, EVIL, 0, 5, NOTHING, NOTHING, NOTHING, NOTHING, "no synthetic image shows it")
    counted = tuple(range(classes))
    return Faithfulness(40, 30, counted, counted[:1], *[around(synth), around(real)] * 3, floor, (*shown, gone))


def usefulness(gain=0.03, half=0.01, seeds=3):
    figure = Figure(gain, gain - half, gain + half)
    each = ClassGain(0, EVIL, 30, 0.5, 0.4, 0.5 + gain, figure, figure, sure=gain > half)
    level = Figure(0.5, 0.4, 0.6)
    return Utility(seeds, 400, 50, 40, 30, level, level, level, figure, figure, half, (each,), f"Because {EVIL}.")


def row(name, ratio=1.2, **parts):
    fid = Measure(3.0 * ratio, 40, 2.0, 5.0, Spread(3 * ratio, 0.1, 20, 10), Spread(3.0, 0.2, 20, 10), ratio)
    nothing = Measure(None, 0, reason="no pair")
    balance = (ClassShare(0, EVIL, 0.9, 0.8, 1.0, 1.0), ClassShare(1, "iris", 0.001, 0.0, 0.5, 0.0))
    measures = {"frechet_colour_texture": fid, "psnr": nothing}
    apart = 0.15 * (ratio - 1)
    parts.setdefault("separations", {"f": Separation("features", apart, max(apart - 0.04, 0), apart + 0.04, 30)})
    return Row(name, f"/data/{name}", 40, (64, 64), 0, "", measures, balance, None, (f"{name} was resized",), **parts)


def report(*rows, **parts):
    definitions = {
        "frechet_colour_texture": Definition("Fréchet", "lower", "", "squared distance"),
        "psnr": Definition("PSNR", "higher", "dB", "10 log10"),
    }
    return Report("/data/real", 30, {"64x64": 30}, definitions, rows, {}, {"surgaug": "0"}, 0, 10, **parts)


def page(*rows, **parts):
    trio = Trio(EVIL, PIXEL, None, PIXEL)
    twins = Twins(PIXEL, PIXEL, EVIL, True)
    shown = Thumbnails(tuple((trio,) for _ in rows), tuple((twins,) for _ in rows), (PIXEL,))
    return render(with_verdicts(report(*rows, **parts)), shown)


class Checked(HTMLParser):
    """Every tag closed in order; all that could be fetched; all text."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.fetched, self.text = [], [], [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.fetched += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "action")]
        assert not [name for name, _ in attributes if name.startswith("on")]

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


def parse(text):
    checked = Checked()
    checked.feed(text)
    assert checked.open == []
    return checked


@pytest.mark.parametrize("count", [1, 3])
def test_one_file_that_asks_for_nothing(count):
    rows = [row(f"{EVIL} {i}", faithfulness=reading(), utility=usefulness()) for i in range(count)]
    text = page(*rows)
    found = parse(text)
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(found.tags)
    assert all(value.startswith(("#", "data:image/webp;base64,")) for value in found.fetched)
    assert "url(" not in text and "@import" not in text
    assert found.text.count(f"{EVIL} 0") >= 1
    assert "prefers-color-scheme: dark" in text
    for figure in ("3.6", "2 to 5", "0.550", "+0.030", "no synthetic image shows it"):
        assert figure in found.text
    assert ("Side by side" in found.text) is (count > 1)


def test_every_svg_stays_inside_its_axis():
    text = page(row("a", faithfulness=reading(), utility=usefulness(-0.2, 0.5)))
    places = [float(v) for v in re.findall(r'\b(?:x|x1|x2)="([-\d.]+)"', text)]
    assert places
    assert min(places) >= 0 and max(places) <= 100


@pytest.mark.parametrize(
    ("gain", "half", "reach"), [(0.004, 0.003, 0.01), (0.03, 0.01, 0.05), (0.03, 0.05, 0.1), (0.2, 0.5, 1)]
)
def test_the_axis_of_gains_is_round_and_long_enough(gain, half, reach):
    ticks = utility_chart(usefulness(gain, half).classes).ticks
    assert [text for _, text in ticks] == [f"−{reach:g}", "0", f"+{reach:g}"]


def test_other_videos_have_a_column_and_are_named():
    def text(**parts):
        checked = Checked()
        apart = Separation("features", 0.3, 0.25, 0.35, 30, None, Spread(0.004, 0.01, 15, 10), {"a": 0.1, "b": 0.456})
        checked.feed(page(row("a", separations={"f": apart}), **parts))
        return checked.text

    known = text(other_videos={"a": 12, EVIL: 9, "c": 8})
    for part in ("other real videos", "10 to 45.6", "Distance (features) (%)", f"{EVIL} (9 frames)"):
        assert part in known
    assert "other real videos" not in text()


def test_a_single_other_video_is_one_figure():
    assert span([0.69], "{:.2f}".format, " .. ") == span([0.69, 0.694], "{:.2f}".format, " .. ") == "0.69"
    assert span([3.0, 1.0, 2.0], "{:.0f}".format, " to ") == "1 to 3"


def test_a_figure_that_is_missing_is_a_dash_with_its_reason():
    found = parse(page(row("a"), row("b")))
    assert "–" in found.text
    assert 'title="no pair"' in page(row("a"), row("b"))


def answers(**parts):
    made = row("a", **parts)
    return {v.question.split()[1]: v.tone for v in verdicts(report(made), made)}, verdicts(report(made), made)


@pytest.mark.parametrize(
    ("real", "synth", "floor", "tone", "word"),
    [
        (0.6, 0.58, 0.1, "good", "Yes"),
        (0.6, 0.4, 0.1, "mixed", "In part"),
        (0.6, 0.12, 0.1, "bad", "No"),
        (0.6, 0.9, 0.1, "mixed", "More than real ones"),
        (0.15, 0.15, 0.1, "open", "Cannot be told"),
        (0.6, 0.58, None, "open", "Cannot be told"),
    ],
)
def test_verdict_on_labels(real, synth, floor, tone, word):
    verdict = answers(faithfulness=reading(real, synth, floor))[1][1]
    assert (verdict.tone, verdict.answer) == (tone, word)
    assert f"{synth:.3f}" in verdict.text


@pytest.mark.parametrize(("half", "tone"), [(0.05, "good"), (0.3, "open")])
def test_labels_hold_only_where_the_interval_says_so(half, tone):
    wide = replace(reading(0.6, 0.58, 0.1), miou=Figure(0.58, 0.58 - half, 0.58 + half))
    assert answers(faithfulness=wide)[1][1].tone == tone
    assert ("would tell" in answers(faithfulness=wide)[1][1].text) is (tone == "open")
    lost = replace(reading(0.6, 0.12, 0.1), miou=Figure(0.12, 0.12 - half, 0.12 + 2 * half))
    assert answers(faithfulness=lost)[1][1].tone == ("bad" if tone == "good" else "open")


def test_verdict_on_labels_without_a_common_class():
    empty = replace(reading(), counted=(), miou=NOTHING, real_miou=NOTHING, floor=None)
    assert answers(faithfulness=empty)[1][1].tone == "open"


@pytest.mark.parametrize(
    ("gain", "half", "seeds", "tone"),
    [(0.03, 0.01, 3, "good"), (-0.03, 0.01, 3, "bad"), (0.03, 0.05, 3, "open"), (0.03, 0.01, 1, "open")],
)
def test_verdict_on_use(gain, half, seeds, tone):
    assert answers(utility=usefulness(gain, half, seeds))[1][1].tone == tone


def test_a_gain_by_test_masks_is_only_perhaps_one():
    verdict = answers(utility=replace(usefulness(), of_test_masks=7))[1][1]
    assert (verdict.answer, verdict.tone) == ("Perhaps", "mixed")
    assert "7 of 40 images have the label maps of test frames, or parts of them" in verdict.text


@pytest.mark.parametrize(("classes", "best"), [(3, {MIOU, RARE, BOUNDARY}), (2, {RARE})])
def test_means_over_other_classes_are_not_ranked(classes, best):
    """A set that lacks the hard class would have the better mean of the others."""
    first, second = reading(synth=0.5, classes=3), reading(synth=0.55, classes=classes)
    rows = [Evaluation(found, None, None, ()).added_to(row(str(i))) for i, found in enumerate((first, second))]
    found = replace(report(*rows), definitions={key: DEFINITIONS[key] for key in (MIOU, RARE, BOUNDARY)})
    assert best_rows(found) == dict.fromkeys(best, 1)
    assert (rows[0].measures[MIOU].classes, rows[0].measures[RARE].classes) == ((0, 1, 2), (0,))


def test_tables_of_classes_for_the_terminal():
    made = tables(report(row("a", faithfulness=reading(), utility=usefulness())))
    assert {"labels read back", "trained on"} <= {title for title, *_ in made}
    for title, columns, lines, _ in made:
        assert all(len(line) == len(columns) for line in lines), title


@pytest.mark.parametrize(("ratio", "tone"), [(1.1, "good"), (2.0, "mixed"), (5.0, "bad")])
def test_verdict_on_looks(ratio, tone):
    made = row("a", ratio)
    assert verdicts(report(made), made)[0].tone == tone


def looks(*ends, hue=None):
    """The verdict on the look of sets with separations of these intervals, 12 images each."""
    made = row("a", separations={str(i): Separation(f"F{i}", *of, 12) for i, of in enumerate(ends)})
    if hue:
        made.measures["hue"] = Measure(hue[1], 12, hue[0], hue[2])
    return verdicts(report(made), made)[0]


def test_the_worst_distance_speaks_for_the_look():
    near, little, unknown, apart, far = (
        (0.01, 0.0, 0.05), (0.03, 0.0, 0.09), (0.08, 0.02, 0.17), (0.2, 0.12, 0.29), (0.6, 0.4, 0.9)
    )  # fmt: skip
    assert looks(near, little).answer == "Yes"
    assert looks(near, unknown).answer == "Cannot be told"
    assert looks(near, unknown, apart).answer == "Not quite"
    assert looks(far, near, unknown, apart).answer == "No"
    assert looks(near, hue=(6.0, 7.0, 8.0)).answer == "Not quite"
    assert looks(near, hue=(11.0, 12.0, 13.0)).answer == "No"
    assert "turned by 12" in looks(near, hue=(11.0, 12.0, 13.0)).text
    assert looks(near, hue=(0.0, 3.0, 6.0)).answer == "Cannot be told"


OTHERS = {"a": 0.2, "b": 0.3, "c": 0.4, "d": 0.5}  # three in four of them keep 0.425


def with_others(value, half, hue=None):
    apart = Separation("F", value, value - half, value + half, 12, None, Spread(0.0, 0.01, 6, 10), OTHERS)
    made = row("a", separations={"f": apart})
    if hue:
        made.measures["hue"] = Measure(hue, 12, hue - 1, hue + 1, others={"a": 1.0, "b": 9.0, "c": 12.0, "d": 13.0})
    return verdicts(report(made, videos=("v",), other_videos=dict.fromkeys(OTHERS, 9)), made)[0]


@pytest.mark.parametrize(
    ("value", "half", "answer", "said"),
    [
        (0.03, 0.02, "Yes", "other videos 20 to 50"),
        (
            0.09,
            0.05,
            "As other videos",
            "As near to v as 3 in 4 of 4 other real videos are, and perhaps as near as its",
        ),
        (0.3, 0.05, "As other videos", "As near to v as 3 in 4 of 4 other real videos are, but not as near as its own"),
        (0.4, 0.1, "Cannot be told", "Perhaps as near to v as 3 in 4 of 4 other real videos are, but not as near"),
        (0.6, 0.1, "Not quite", "Not as near to v as 3 in 4 of 4 other real videos are, and not as near"),
        (1.5, 0.1, "No", "Not as near to v"),
    ],
)
def test_the_better_yardstick_speaks(value, half, answer, said):
    verdict = with_others(value, half)
    assert verdict.answer == answer and said in verdict.text
    assert "own halves 0, other videos 20 to 50" in verdict.text
    assert ("12 images may hide a distance of 50 % by F" in verdict.text) is (answer == "Cannot be told")


def test_the_worst_figure_speaks_by_other_videos_too():
    assert with_others(0.3, 0.05, hue=10.0).answer == "As other videos"
    assert with_others(0.3, 0.05, hue=14.0).answer == "Not quite"
    assert "turned by 14° (other videos 1 to 13)" in with_others(0.3, 0.05, hue=14.0).text


@pytest.mark.parametrize(
    ("videos", "answer", "said"),
    [
        (1, "As other videos", "as 3 in 4 of 4 other real videos are"),
        (5, "Not quite", "as 4 other real videos together are"),
        (None, "Not quite", "as 4 other real videos together are"),
    ],
)
def test_a_set_that_mixes_videos_is_held_against_all_of_them_as_one_set(videos, answer, said):
    apart = Separation("F", 0.3, 0.25, 0.35, 12, None, Spread(0.0, 0.01, 6, 10), OTHERS, 0.12)  # so up to 0.22
    made = row("a", separations={"f": apart}, videos=videos)
    verdict = verdicts(report(made, other_videos=dict.fromkeys(OTHERS, 9)), made)[0]
    assert verdict.answer == answer and said in verdict.text
    assert "other videos 20 to 50, together 12" in verdict.text


@pytest.mark.parametrize(("value", "videos", "answer"), [(0.7, 5, "No"), (0.45, 5, "Not quite"), (0.7, 1, "Not quite")])
def test_a_mix_farther_than_every_other_video_is_plain_to_see(value, videos, answer):
    apart = Separation("F", value, value - 0.05, value + 0.05, 12, None, None, OTHERS, 0.12)
    made = row("a", separations={"f": apart}, videos=videos)
    assert verdicts(report(made, other_videos=dict.fromkeys(OTHERS, 9)), made)[0].answer == answer


def test_two_other_videos_are_no_yardstick():
    made = row("a", separations={"f": Separation("F", 0.4, 0.35, 0.45, 12, None, None, {"a": 0.5, "b": 0.6})})
    verdict = verdicts(report(made, videos=("v",), other_videos={"a": 9, "b": 9}), made)[0]
    assert verdict.answer == "No" and "3 in 4" not in verdict.text


def test_what_cannot_be_told_is_said_with_the_number_of_images_that_would_tell():
    verdict = looks((0.0, 0.0, 0.25), (0.01, 0.0, 0.05))
    assert verdict.tone == "open"
    # The interval is to end at 0.1 instead of 0.25: (2.5 / 1)^2 times as many images, 75, and rounded up.
    assert "12 images may hide a distance of 25 % by F0; about 100 would tell" in verdict.text
    few = looks((None, None, None))
    assert few.tone == "open" and "any distance by F0; about 20 would tell" in few.text


@pytest.mark.parametrize(("number", "rounded"), [(3, 20), (20, 20), (21, 50), (75, 100), (100, 100), (1001, 2000)])
def test_numbers_of_images_are_round(number, rounded):
    assert rounded_up(number) == rounded


@pytest.mark.parametrize(
    ("hue", "brightness", "tone"), [(1.0, 2.0, "good"), (24.0, 2.0, "bad"), (1.0, 8.0, "mixed"), (None, 30.0, "bad")]
)
def test_verdict_on_colours(hue, brightness, tone):
    made = row("a")
    grey = Measure(None, 40, reason="images that are grey on average have no hue")
    turned = grey if hue is None else Measure(hue, 40, hue - 1, hue + 1)
    light = Measure(brightness, 40, brightness - 1, brightness + 1)
    made.measures.update(hue=turned, chroma=Measure(1.0, 40, 0.5, 1.5), brightness=light)
    found = next(v for v in verdicts(report(made), made) if "colour" in v.question)
    assert found.tone == tone
    assert ("hue" in found.text) is (hue is not None)


@pytest.mark.parametrize(("drift", "tone"), [(10.0, "good"), (40.0, "mixed"), (70.0, "bad")])
def test_verdict_on_sharpness(drift, tone):
    made = row("a")
    made.measures.update(sharpness=Measure(drift, 40, drift - 5, drift + 5))
    assert next(v for v in verdicts(report(made), made) if "sharp" in v.question).tone == tone


@pytest.mark.parametrize("measure", [Measure(10.0, 12, 0.0, 60.0), Measure(10.0, 3)], ids=["wide", "no interval"])
def test_a_drift_that_few_images_leave_open_is_open(measure):
    made = row("a")
    made.measures.update(sharpness=measure)
    verdict = next(v for v in verdicts(report(made), made) if "sharp" in v.question)
    assert (verdict.tone, verdict.answer) == ("open", "Cannot be told")
    assert "would tell" in verdict.text


@pytest.mark.parametrize(
    ("copies", "auc", "tone"), [(0.0, 0.5, "good"), (0.0, 0.8, "mixed"), (40.0, 0.9, "bad"), (0.0, 0.1, "good")]
)
def test_verdict_on_copies(copies, auc, tone):
    made = row("a")
    made.measures.update(copies=Measure(copies, 40), leakage=Measure(auc, 40, auc - 0.05, auc + 0.05))
    assert verdicts(report(made), made)[-1].tone == tone
    made.measures.update(copies=Measure(copies, 12))
    assert verdicts(report(made), made)[-1].tone == ("open" if tone == "good" else tone)  # 0 of 12: up to 22 %
    made.measures.update(copies=Measure(copies, 40))
    assert (">copies</small>" in page(made, row("b"))) is (tone == "bad")
    made.measures.update(leakage=Measure(None, 40, reason="none is held out"))
    assert verdicts(report(made), made)[-1].tone == ("good" if tone == "mixed" else tone)
    assert "no real frame is held out" in verdicts(report(made), made)[-1].text


@pytest.fixture
def written(tmp_path):
    """A page with pictures of real files, wider names and more classes than usual."""
    rng = np.random.default_rng(0)
    for name in ("real", "synth"):
        for i in range(4):
            for sub, array in (
                ("images", rng.integers(0, 255, (40, 400, 3))),
                ("labels", rng.integers(0, 2, (40, 400))),
            ):
                path = tmp_path / name / sub / f"{'long_name_' * 6}{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), array.astype(np.uint8))
    real, synth = (open_folder(tmp_path / name, "auto", Silent()) for name in ("real", "synth"))
    rows = [row(f"method_{i}", faithfulness=reading(classes=20), utility=usefulness()) for i in range(5)]
    write_page(tmp_path / "page.html", with_verdicts(report(*rows)), real, None, [synth] * 5, Silent())
    return tmp_path / "page.html"


def test_pictures_are_small_and_in_the_page(written):
    found = parse(written.read_text(encoding="utf-8"))
    pictures = [v for v in found.fetched if v.startswith("data:")]
    assert len(pictures) == 5 * 4 * 3 + 4
    assert max(map(len, pictures)) < 30_000


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_needs_no_sideways_scrolling(written, width, tmp_path, browser_program):
    # A window cannot be as narrow as a phone; a frame in it can.
    script = "document.body.innerText = f.contentDocument.documentElement.scrollWidth"
    frame = f'<iframe id="f" src="page.html" style="width:{width}px;height:900px;border:0" onload="{script}"></iframe>'
    (tmp_path / "frame.html").write_text(f"<!doctype html><body>{frame}</body>")
    options = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --dump-dom "
        "--disable-component-update --disable-sync --allow-file-access-from-files --virtual-time-budget=3000"
    )
    done = subprocess.run(
        [
            browser_program,
            *options.split(),
            f"--user-data-dir={tmp_path / 'profile'}",
            (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert int(re.search(r"<body>(\d+)", done.stdout).group(1)) <= width
