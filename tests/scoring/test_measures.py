"""Class regions, drift, diversity, extrapolation, CMMD, what is planned, and what the cache spares."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from surgaug.errors import UsageError
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.scoring import metrics
from surgaug.scoring.compute import colour_texture, regions
from surgaug.scoring.compute.intervals import set_measures
from surgaug.scoring.compute.regions import compare
from surgaug.scoring.config import ScoreConfig, Weights
from surgaug.scoring.metrics import (
    brightness,
    chroma,
    class_frechet,
    cmmd,
    frechet,
    frechet_infinity,
    hue,
    kid,
    sharpness,
)
from surgaug.scoring.metrics.diversity import pairs_of_one_map
from surgaug.scoring.plan import ALL, known_metrics, plan_measures
from surgaug.scoring.report.model import Definition, Measure, Report, Row, Spread, best_rows
from surgaug.scoring.report.tables import tables
from surgaug.scoring.report.verdicts import verdicts
from surgaug.scoring.run import run_score


def scene(seed, inside=(180, 60, 50), outside=(60, 90, 160), hw=(40, 48)):
    """A disc on a ground, and its label map."""
    rng = np.random.default_rng(seed)
    label_map = np.zeros(hw, np.uint8)
    cv2.circle(label_map, tuple(int(v) for v in rng.integers(14, 26, 2)), int(rng.integers(8, 13)), 1, -1)
    image = np.where(label_map[..., None] == 1, inside, outside) + rng.normal(0, 8, (*hw, 3)) + rng.normal(0, 6, 3)
    return np.clip(image, 0, 255).astype(np.uint8), label_map


def write_set(root, seeds, labels=None, **options):
    """Images and labels of scenes; `labels` names the scene that each label map is of."""
    for part in ("images", "labels"):
        (root / part).mkdir(parents=True)
    for seed, other in zip(seeds, labels or seeds, strict=True):
        image, _ = scene(seed, **options)
        cv2.imwrite(str(root / f"images/{seed}.png"), image[..., ::-1])
        cv2.imwrite(str(root / f"labels/{seed}.png"), scene(other)[1])


def test_region_features_of_two_colours():
    image, label_map = np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.uint8)
    label_map[:, 10:] = 7
    image[:, 10:] = 255
    label_map[0, :2] = 3  # two pixels are no region
    found = regions.extract(image, label_map)
    assert found.shape == (2, 1 + regions.DIMENSION)
    assert found[:, 0].tolist() == [0, 7]
    assert found[:, 1] == pytest.approx([0, 1], abs=1e-4)  # L*
    assert found[:, 2:10] == pytest.approx(0, abs=1e-3)  # no colour, no spread
    assert found[:, 20:] == pytest.approx(0)  # flat inside, whatever the border does
    assert np.square(found[:, 10:20]).sum(1) == pytest.approx(1)


def test_region_moments_are_those_of_the_pixels():
    image, label_map = scene(0)
    lab = cv2.cvtColor(np.float32(image) / 255, cv2.COLOR_RGB2Lab)[label_map == 1] / 100
    row = regions.extract(image, label_map)[1]
    third = np.cbrt(((lab - lab.mean(0)) ** 3).mean(0))
    assert row[1:10] == pytest.approx(np.concatenate([lab.mean(0), lab.std(0), third]), abs=1e-4)


def test_class_regions_name_what_is_missing():
    space = LabelSpace("two", tuple(LabelClass(i, n, "other") for i, n in enumerate(("ground", "disc", "never"))))
    real = [regions.extract(*scene(i)) for i in range(40)]
    synth = [regions.extract(*scene(100 + i)) for i in range(30)]
    overall, classes = compare(class_frechet.METRIC, real, synth, (space, space), 10, 0)
    assert [(c.name, c.real_regions, c.synth_regions) for c in classes] == [("ground", 40, 30), ("disc", 40, 30)]
    assert overall.value == pytest.approx(np.mean([c.measure.value for c in classes]))
    assert overall.ratio == pytest.approx(1, abs=0.5)
    few, classes = compare(class_frechet.METRIC, real, synth[:3], (space, space), 10, 0)
    assert few.value is None
    assert "3 synthetic regions" in classes[1].measure.reason


@pytest.fixture
def sets(tmp_path):
    """Real and training scenes, a good set, one with labels permuted, one bluish, one synthesized from few maps."""
    write_set(tmp_path / "real", range(60))
    write_set(tmp_path / "train", range(500, 560))
    write_set(tmp_path / "good", range(200, 260))
    write_set(tmp_path / "permuted", range(200, 260), [*range(230, 260), *range(200, 230)])
    write_set(tmp_path / "bluish", range(200, 260), inside=(60, 60, 180))
    write_set(tmp_path / "copies", range(500, 560))
    write_set(tmp_path / "few", range(200, 260), [200, 201, 202] * 20)
    return tmp_path


def run(sets, *names, **options):
    config = ScoreConfig(sets / "real", tuple(sets / name for name in names), draws=10, **options)
    return run_score(config)


def test_each_fault_shows_in_its_measure(sets):
    names = ("good", "permuted", "bluish", "copies")
    report = run(sets, *names, train=sets / "train", metrics=("frechet", "class_frechet", "hue", "balance"))
    rows = dict(zip(names, report.rows, strict=True))

    def value(name, key, field="value"):
        return getattr(rows[name].measures[key], field)

    assert value("permuted", "class_frechet", "ratio") > 3 > value("good", "class_frechet", "ratio")
    assert value("permuted", "frechet_colour_texture") == value("good", "frechet_colour_texture")
    assert value("bluish", "hue", "low") > value("good", "hue", "high")
    assert value("copies", "copies") == 100
    assert value("good", "copies") == 0
    assert rows["copies"].closest[0].kind == "exact"
    assert value("copies", "leakage") > 0.99
    json.dumps(report.to_dict(), allow_nan=False)


def test_diversity_of_samples_of_one_map(sets):
    measures = run(sets, "few", metrics=("diversity",)).rows[0].measures
    for key in ("diversity", "diversity_colour_texture"):
        assert 0 < measures[key].low < measures[key].value < measures[key].high
        assert measures[key].n == 3 * 6
        assert measures[key].ratio is not None
    alone = run(sets, "good", metrics=("diversity",)).rows[0].measures["diversity"]
    assert alone.value is None
    assert "no label map has two images" in alone.reason


def test_pairs_of_one_map():
    pairs, groups = pairs_of_one_map(["a", "b", "a", "c", "a"], np.random.default_rng(0))
    assert sorted(map(tuple, pairs.tolist())) == [(0, 2), (0, 4), (2, 4)]
    assert len(set(groups.tolist())) == 1


def test_a_second_run_looks_at_no_image(sets, monkeypatch):
    options = {"metrics": ("psnr", "ssim", "frechet", "class_frechet"), "train": sets / "train"}
    first = run(sets, "good", "real", **options)
    calls = []
    monkeypatch.setattr("surgaug.scoring.compute.extraction.read_image", lambda path: calls.append(path))
    assert run(sets, "good", "real", **options) == first
    assert calls == []
    with pytest.raises(AttributeError):
        run(sets, "good", cache=False, **options)  # it would have to look, and sees nothing


def test_settings_of_a_sweep(sets):
    for name, steps in (("good", 4), ("bluish", 40)):
        rows = [
            {"image": f"images/{i}.png", "source": str(i), "sampler": "ddim", "steps": steps} for i in range(200, 260)
        ]
        (sets / name / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = run(sets, "good", "bluish", metrics=("brightness",))
    assert [row.settings["steps"] for row in report.rows] == [4, 40]
    comparison = tables(report)[0]
    assert comparison[1][1] == "steps"  # they differ; the sampler does not
    assert [line[1] for line in comparison[2]] == ["4", "40"]


def features(images):
    return np.stack([colour_texture.extract(image) for image in images])


def test_copies_of_training_frames_are_best_in_nothing(sets):
    report = run(sets, "good", "bluish", metrics=("brightness",))
    assert best_rows(report)["brightness"] == 0
    report.rows[0].measures["copies"] = Measure(60.0, 10)
    assert "brightness" not in best_rows(report)  # one rival is left


def test_sharpness_of_known_contrast():
    """A checkerboard of half the contrast has half the fine detail, whatever its colour; a blurred one hardly any."""

    def board(contrast, blur=0.0):
        y, x = np.mgrid[:32, :32]
        plane = np.where((y + x) % 2, 128 + contrast, 128 - contrast).astype(np.uint8)
        image = np.repeat(plane[..., None], 3, 2)
        image = cv2.GaussianBlur(image, (0, 0), blur) if blur else image
        return colour_texture.extract(image)[None]

    assert sharpness.detail(board(40))[0] == pytest.approx(40 / np.sqrt(3), rel=1e-3)  # in one of three orientations
    assert sharpness.compute(board(40), board(20)) == pytest.approx(50, abs=0.1)
    assert sharpness.compute(board(20), board(40)) == pytest.approx(100, abs=0.2)
    assert sharpness.compute(board(40), board(40, 2.0)) > 90
    with pytest.raises(ValueError, match="flat"):
        sharpness.compute(board(0), board(40))


def test_brightness_and_hue_of_known_colours():
    def flat(*rgb):
        return features([np.full((16, 16, 3), rgb, np.uint8)] * 3)

    assert brightness.compute(flat(0, 0, 0), flat(255, 255, 255)) == pytest.approx(100, abs=0.5)
    assert hue.compute(flat(200, 40, 40), flat(200, 40, 40)) == pytest.approx(0, abs=1e-9)
    assert 90 < hue.compute(flat(200, 40, 40), flat(40, 40, 200)) < 180
    with pytest.raises(ValueError, match="no hue"):
        hue.compute(flat(90, 90, 90), flat(200, 40, 40))
    with pytest.raises(ValueError, match=hue.DECOLOURED):
        hue.compute(flat(200, 40, 40), flat(90, 90, 90))


def faded(image, share):
    """With so much of its chroma."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(float)
    lab[..., 1:] = 128 + share * (lab[..., 1:] - 128)
    return cv2.cvtColor(lab.round().astype(np.uint8), cv2.COLOR_LAB2RGB)


def test_chroma_is_the_distance_from_grey():
    image, _ = scene(0)
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(float) - (0, 128, 128)
    assert chroma.chroma(features([image]))[0] == pytest.approx(np.square(lab[..., 1:]).sum(-1).mean() ** 0.5, rel=1e-4)
    half = chroma.compute(features([image]), features([faded(image, 0.5)]))
    assert half == pytest.approx(chroma.chroma(features([image]))[0] / 2, rel=0.02)


COLOURS = {"ground": (150, 110, 100), "reddish": (180, 60, 50)}


@pytest.mark.parametrize(
    ("share", "answer", "said"),
    [(1.0, "Yes", "chroma differs by"), (0.25, "No", "chroma differs by"), (0.0, "No", "hue is lost")],
)
def test_faded_and_lost_colours_are_at_fault(share, answer, said):
    """A set without colour has no hue, and was right by its brightness alone."""

    def coloured(seeds):
        return [scene(seed, COLOURS["reddish"], COLOURS["ground"])[0] for seed in seeds]

    sides = features(coloured(range(60))), features([faded(image, share) for image in coloured(range(100, 160))])
    measures = {m: set_measures(metrics.get(m), *sides, 10, 0)[0] for m in ("hue", "chroma", "brightness")}
    row = Row("s", "s", 60, (40, 48), 0, "", measures, None, None, ())
    found = next(v for v in verdicts(Report("r", 60, {}, {}, (row,), {}, {}, 0, 10), row) if "colour" in v.question)
    assert found.answer == answer and said in found.text


def test_a_faint_hue_that_is_lost_is_at_fault():
    """Real frames that are hardly coloured lose less chroma than the bound allows, and all of their hue."""
    ground = Measure(3.0, 60, 2.5, 3.5)
    measures = {"hue": Measure(None, 60, reason=hue.DECOLOURED), "chroma": ground, "brightness": ground}
    row = Row("s", "s", 60, (40, 48), 0, "", measures, None, None, ())
    found = next(v for v in verdicts(Report("r", 60, {}, {}, (row,), {}, {}, 0, 10), row) if "colour" in v.question)
    assert found.answer == "Not quite" and "hue is lost" in found.text


def test_brightness_alone_does_not_say_that_colours_are_right():
    measures = {"brightness": Measure(1.0, 60, 0.5, 1.5)}
    row = Row("s", "s", 60, (40, 48), 0, "", measures, None, None, ())
    found = next(v for v in verdicts(Report("r", 60, {}, {}, (row,), {}, {}, 0, 10), row) if "colour" in v.question)
    assert found.answer == "Cannot be told" and "Not measured: hue, chroma" in found.text


def measured(value, size, classes=None):
    return Measure(value, 2 * size, matched=Spread(value, 0.1, size, 10), classes=classes)


@pytest.mark.parametrize(
    ("definition", "first", "second", "best"),
    [
        # 600 images that are 15 % off, and 60 that are faithful: few images make a Fréchet distance large.
        (frechet.METRIC, Measure(28.3, 600, matched=Spread(62.0, 1, 150, 10)), measured(101.8, 30), None),
        (frechet.METRIC, Measure(28.3, 60, matched=Spread(62.0, 1, 30, 10)), measured(51.8, 30), 1),
        (kid.METRIC, measured(0.1, 150), measured(0.2, 30), 0),
        (class_frechet.METRIC, measured(0.1, 30, (0, 1)), measured(0.2, 30, (0, 1)), 0),
        (class_frechet.METRIC, measured(0.1, 30, (0,)), measured(0.2, 30, (0, 1)), None),
        (class_frechet.METRIC, measured(0.1, 90, (0, 1)), measured(0.2, 30, (0, 1)), None),
    ],
)
def test_only_like_figures_are_ranked(definition, first, second, best):
    definition = Definition("F", "lower", "", "", biased=definition.biased)
    rows = tuple(Row(str(i), "", 9, (8, 8), 0, "", {"f": m}, None, None, ()) for i, m in enumerate((first, second)))
    report = Report("r", 60, {}, {"f": definition}, rows, {}, {}, 0, 10)
    assert best_rows(report).get("f") == best


def test_a_mean_over_classes_names_them(sets):
    measures = run(sets, "good", metrics=("class_frechet", "brightness")).rows[0].measures
    assert (measures["class_frechet"].classes, measures["brightness"].classes) == ((0, 1), None)
    assert run(sets, "good", metrics=("class_frechet",)).definitions["class_frechet"].biased


def normal(n, d, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (n, d))


def test_extrapolation_takes_away_the_bias_of_few_images():
    x, y = normal(300, 20, 1), normal(300, 20, 2, 0.5)
    truth = 20 * 0.25
    plain, endless = frechet.compute(x, y), frechet_infinity.compute(x, y)
    assert plain > truth + 0.15
    assert abs(endless - truth) < abs(plain - truth)
    few = set_measures(frechet_infinity.METRIC, x[:30], y, 10, 0)[0]
    assert few.value is None
    assert "needs 40 images" in few.reason


def test_cmmd_by_its_definition():
    x, y = normal(7, 5, 1), normal(4, 5, 2, 0.3)
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (x, y))

    def mean(p, q):
        return np.mean([[np.exp(-np.square(u - v).sum() / 200) for v in q] for u in p])

    assert cmmd.compute(x, y) == pytest.approx(1000 * (mean(a, a) + mean(b, b) - 2 * mean(a, b)), rel=1e-9)
    assert cmmd.compute(x, x * 3) == pytest.approx(0, abs=1e-9)
    subsets = [(np.arange(5), np.arange(3))]
    assert cmmd.compute_many(x, y, subsets)[0] == pytest.approx(cmmd.compute(x[:5], y[:3]), rel=1e-9)


def test_what_is_planned(tmp_path):
    everything = plan_measures((ALL,), Weights())
    assert {"precision_colour_texture", "coverage_colour_texture", "diversity", "msssim"} <= set(everything)
    assert not {"lpips", "cmmd", "fid"} & set(everything)
    full = Weights(tmp_path, "clean", tmp_path, tmp_path, (tmp_path, tmp_path))
    with_weights = plan_measures(("frechet", "recall"), full)
    assert list(with_weights)[:3] == ["fid", "fd_dinov2", "frechet_colour_texture"]
    assert {"precision", "recall_dinov2", "lpips", "cmmd"} <= set(with_weights)
    assert with_weights["fid"].definition.title == "FID (clean)"
    for name, message in (("lpips", "--lpips-weights"), ("cmmd", "--clip-weights"), ("fid", "--inception-weights")):
        with pytest.raises(UsageError, match=message):
            plan_measures((name,), Weights())
    with pytest.raises(UsageError, match="did you mean 'density'"):
        plan_measures(("densty",), Weights())
    assert {"prdc", "frechet_infinity", "fid"} <= set(known_metrics())


def test_no_measure_without_a_value_or_a_reason(sets):
    report = run(sets, "good", metrics=(ALL,), train=sets / "train")
    for measure in report.rows[0].measures.values():
        assert isinstance(measure, Measure)
        assert (measure.value is None) == (measure.reason is not None)


def test_tables_fit_a_terminal(sets):
    names = ("good", "permuted", "bluish", "copies")
    several = run(sets, *names, train=sets / "train", metrics=(ALL,))
    for title, columns, rows, _ in tables(several):
        widths = [max(len(str(line[i])) for line in (columns, *rows)) for i in range(len(columns))]
        assert sum(widths) + 2 * len(widths) <= 100, title
        assert all(len(line) == len(columns) for line in rows)
    starred = [cell for _, _, rows, _ in tables(several) for line in rows for cell in line if str(cell).endswith(" *")]
    assert starred
    assert not {"leakage", "diversity"} & set(best_rows(several))
    assert "balance" not in best_rows(several)  # all alike
    single = tables(run(sets, "good", metrics=(ALL,)))
    titles = [line[0] for line in single[0][2]]
    assert "Hue drift, degrees ↓" in titles
    assert "Fréchet (colour+texture) ↓" in titles
