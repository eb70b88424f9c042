"""`synthesize --judge`: what it ignores, draws again and leaves out; that it goes on, in shards too, as it began."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from heard import Heard
from PIL import Image

from surgaug.cli import run
from surgaug.datasets.dataset import open_pairs
from surgaug.errors import DataError, ModelError, UsageError
from surgaug.io.manifest import read_rows
from surgaug.segmenter.judge import Judge
from surgaug.synthesis import judge as judging_module
from surgaug.synthesis import plan
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.judge import _check_space, forecast, kept, with_ignore
from surgaug.synthesis.plan import Shard
from surgaug.synthesis.run import synthesize

N = 10


@pytest.fixture
def real(masks, space, tmp_path):
    """The label maps with images in the colours of their classes."""
    for kind in ("images", "labels"):
        (tmp_path / "real" / kind).mkdir(parents=True)
    classes = {c.name: c.id for c in space.classes}
    (tmp_path / "real" / "classes.json").write_text(json.dumps(classes))
    for path in masks.iterdir():
        label_map = np.asarray(Image.open(path))
        for i in (0, 1):
            Image.fromarray(label_map).save(tmp_path / "real" / "labels" / f"{path.stem}{i}.png")
            Image.fromarray(space.colorize(label_map)).save(tmp_path / "real" / "images" / f"{path.stem}{i}.png")
    return tmp_path / "real"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Of all tests here: the judge is trained once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def config(model_file, masks, real, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("SURGAUG_CACHE", str(cache))
    judge = {"judge": real, "segmenter_steps": 10, "trust": 0.8}  # strict, since it has learnt little
    return SynthesizeConfig(masks=masks, n=N, model=model_file, out=tmp_path / "out", device="cpu", steps=2, **judge)


def rows_of(out, name="manifest.jsonl"):
    return {row["index"]: row for row in read_rows(out / name)[0]} if (out / name).is_file() else {}


def read(path):
    return np.asarray(Image.open(path)).astype(int)


def test_pixels_that_are_not_trusted_are_ignored_and_counted(config, space):
    heard = Heard()
    assert synthesize(config, heard).complete
    rows = rows_of(config.out)
    assert sorted(rows) == list(range(N))
    some = 0
    for row in rows.values():
        kept, whole = read(config.out / row["label"]), read(config.out / row["label_full"])
        assert np.array_equal(kept[kept != 255], whole[kept != 255]) and whole.max() < 255
        assert row["agreement"] == pytest.approx((kept != 255).mean(), abs=1e-4)
        for i in np.unique(whole).tolist():
            own = whole == i
            assert row["agreement_by_class"][str(i)] == pytest.approx((kept[own] == i).mean(), abs=1e-4)
            assert row["classes"].get(str(i), 0) + row["doubted"].get(str(i), 0) == own.sum()
        some += row["agreement"] < 1
    assert some
    frames = open_pairs(config.out)
    assert frames.space.ignore == 255 and len(frames) == N
    assert open_pairs(config.out, classes=space).space.ignore == 255  # of classes named on the line, too
    admission = json.loads((config.out / "admission.json").read_text())
    assert admission["images"] == {"put_in": N, "admitted": N, "refused": 0}
    assert sum(video["admitted"] for video in admission["videos"]) == N
    pixels = sum(c["pixels"] + c["doubted"] for c in admission["classes"])
    assert pixels == sum(np.prod(row["size"]) for row in rows.values())
    assert any(title.startswith(f"Admitted: {N} of {N} images") for title in heard.tables)


def test_pixels_without_label_are_none_to_a_judge_whose_frames_have_none(config, masks, monkeypatch):
    """They had counted as trusted ones, of a class 255, which ended the forecast in an IndexError."""
    monkeypatch.setattr("surgaug.synthesis.run.PROBES", 2)
    classes = json.loads((masks.parent / "classes.json").read_text())
    (masks.parent / "classes.json").write_text(json.dumps({**classes, "ignore": 255}))
    for file in masks.iterdir():
        label_map = np.asarray(Image.open(file)).copy()
        label_map[:8] = 255
        Image.fromarray(label_map).save(file)
    assert synthesize(config).complete
    for row in rows_of(config.out).values():
        kept, whole = read(config.out / row["label"]), read(config.out / row["label_full"])
        assert (whole[:8] == 255).all() and set(row["classes"]) <= set("01234")
        assert row["agreement"] == pytest.approx((kept != 255).sum() / (whole != 255).sum(), abs=1e-4)


def test_what_is_hardly_trusted_is_drawn_again_then_left_out_and_named(config):
    synthesize(config)
    agreements = sorted(row["agreement"] for row in rows_of(config.out).values())
    least = float(np.mean(agreements[N // 2 - 1 : N // 2 + 1]))
    config, heard = replace(config, out=config.out.parent / "strict", least_agreement=least), Heard()
    assert synthesize(config, heard).complete
    rows, refused = rows_of(config.out), rows_of(config.out, "refused.jsonl")
    assert sorted([*rows, *refused]) == list(range(N)) and rows
    assert all(row["agreement"] >= least for row in rows.values())
    assert all(row["agreement"] < least and row["draw"] == 3 and "image" not in row for row in refused.values())
    assert len(list((config.out / "images").iterdir())) == len(rows) == len(list((config.out / "labels").iterdir()))
    admission = json.loads((config.out / "admission.json").read_text())
    assert admission["images"]["refused"] == len(refused)
    assert sum(admission["reasons"].values()) == len(refused)
    if refused:
        assert any(min(r["name"] for r in refused.values()) in said for said in heard.said)
    before = {p: p.read_bytes() for p in config.out.rglob("*") if p.is_file()}
    again = synthesize(config)
    assert again.complete and again.synthesized == 0
    assert {p: p.read_bytes() for p in before} == before


def test_whole_label_maps_that_are_lost_or_cut_are_made_again(config):
    synthesize(config)
    lost, cut = sorted((config.out / "labels_full").iterdir())[:2]
    before = {file: file.read_bytes() for file in (lost, cut)}
    lost.unlink()
    cut.write_bytes(before[cut][:-5])
    assert synthesize(config).synthesized == 2
    assert {file: file.read_bytes() for file in before} == before


def test_shards_and_a_run_that_goes_on_end_as_one_that_went_through(config):
    config = replace(config, least_agreement=0.6)
    synthesize(config)
    for name, parts in (("shards", (Shard(1, 2), Shard(2, 2))), ("grown", None)):
        other = replace(config, out=config.out.parent / name, batch=3)
        if parts:
            for shard in parts:
                synthesize(replace(other, shard=shard))
        else:
            synthesize(replace(other, n=4))
            synthesize(other)
        for file in ("manifest.jsonl", "refused.jsonl"):
            assert rows_of(other.out, file).keys() == rows_of(config.out, file).keys()
        for k, row in rows_of(config.out).items():
            assert abs(rows_of(other.out)[k]["agreement"] - row["agreement"]) < 0.02
            assert np.abs(read(other.out / row["image"]) - read(config.out / row["image"])).max() <= 1


def test_what_one_machine_refused_and_another_admitted_is_admitted(config):
    """Pictures differ by a grey level between machines; folders that they wrote may be copied together."""
    assert synthesize(config).complete
    row = rows_of(config.out)[0]
    refused = {k: v for k, v in row.items() if k not in ("image", "label", "label_full")} | {"name": "twice"}
    (config.out / "refused.jsonl").write_text(json.dumps(refused) + "\n")
    assert synthesize(config).complete
    assert rows_of(config.out)[0] == row and not rows_of(config.out, "refused.jsonl")
    assert json.loads((config.out / "admission.json").read_text())["images"]["admitted"] == N


def test_other_asks_of_the_judge_are_other_settings(config):
    synthesize(replace(config, n=2))
    with pytest.raises(UsageError, match="judge"):
        synthesize(replace(config, trust=2.0))


def test_a_judges_file_does_as_well_and_hard_masks_come_more_often(config, cache, tmp_path):
    synthesize(replace(config, n=2))
    (file,) = (cache / "judges").glob("*.safetensors")
    hard = replace(config, judge=file, segmenter_steps=None, order="hard", out=tmp_path / "hard", n=15)
    synthesize(hard)
    counts = sorted(
        sum(row["mask"] == mask for row in rows_of(hard.out).values())
        for mask in {path.stem for path in config.masks.iterdir()}
    )
    assert sum(counts) == 15 and counts[-1] >= 4 and counts[0] <= 2


@pytest.mark.parametrize(
    "wrong",
    [{"order": "hard"}, {"trust": 2.0}, {"least_agreement": 0.5}, {"segmenter_steps": 5}],
)
def test_what_needs_a_judge_is_refused_without(config, wrong):
    with pytest.raises(UsageError, match="--judge"):
        synthesize(replace(config, **{"judge": None, "segmenter_steps": None, "trust": 1.25, **wrong}))


def test_judges_that_cannot_be_are_refused(config, tmp_path, model_file):
    with pytest.raises(ModelError, match="no judge of surgaug's"):
        synthesize(replace(config, judge=model_file))
    with pytest.raises(DataError, match="no such folder"):
        synthesize(replace(config, judge=tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="--least-agreement 7"):
        synthesize(replace(config, least_agreement=7))


def test_a_judge_of_other_classes_is_refused_unless_one_side_has_bare_ids(space):
    others = replace(space, classes=tuple(replace(c, name=f"other {c.id}") for c in space.classes))
    judge = Judge((), others, (8, 8), np.ones(5), "key", torch.device("cpu"))
    with pytest.raises(ModelError, match="id 0 is 'other 0' to it and 'Pupil' to the model"):
        _check_space(judge, space, Path("judge.safetensors"))
    bare = replace(space, name="auto", classes=tuple(replace(c, name=f"class {c.id}") for c in space.classes))
    _check_space(judge, bare, Path("judge.safetensors"))


def test_layouts_without_an_ignore_value_say_so(config, tmp_path):
    heard = Heard()
    synthesize(replace(config, layout="coco", n=2), heard)
    assert any("--layout coco" in said and "in no object" in said for said in heard.said)
    assert len(list((config.out / "labels_full").iterdir())) == 2


@pytest.mark.parametrize("layout", ["cadis", "coco", "hf", "mmseg", "nnunet", "yolo"])
def test_what_is_ignored_is_so_in_every_layout_that_is_read_again(config, layout):
    config = replace(config, layout=layout, n=2, out=config.out.parent / "Dataset501_Judged")
    synthesize(config)
    frames = open_pairs(config.out)
    assert len(frames) == 2 and frames.space.ignore == 255
    rows = {(config.out / row["image"]).resolve(): row for row in rows_of(config.out).values()}
    for k, item in enumerate(frames.items):
        row = rows[item.image.resolve()]
        assert (frames.load_label(k) == 255).sum() == sum(row["doubted"].values()) > 0
        assert (config.out / row["label_full"]).is_file()


def test_the_command_line(config, model_file, masks, real, monkeypatch, capsys):
    monkeypatch.setattr(judging_module, "PROBES", 2)
    monkeypatch.setattr("surgaug.synthesis.run.PROBES", 2)
    line = ["synthesize", "--masks", str(masks), "--model", str(model_file), "--out", str(config.out), "--n", "4"]
    line += ["--steps", "2", "--judge", str(real), "--trust", "1.5", "--segmenter-steps", "10", "--device", "cpu"]
    assert run([*line, "--least-agreement", "0.1"]) == 0
    said = capsys.readouterr().err
    assert "Forecast from 2 images" in said and "Admitted" in said
    assert json.loads((config.out / "dataset.json").read_text())["settings"]["judge"]["trust"] == 1.5


def test_a_forecast_is_the_share_of_pixels_kept(space):
    class Said:
        def __init__(self, pixels):
            self.pixels = pixels

    readings = [Said({0: (10, 1), 3: (10, 9)})] * 4 + [Said({0: (10, 1)})]
    whole, classes = forecast(readings, space)
    assert whole.share == pytest.approx(1 - 41 / 90)
    assert classes.keys() == {0}  # too few images show class 3
    assert (classes[0].share, classes[0].images) == (pytest.approx(0.9), 5)
    assert classes[0].margin == pytest.approx(0, abs=1e-9)  # all images are alike in it


def test_the_margin_of_a_forecast_covers_what_comes():
    rng = np.random.default_rng(0)
    labelled = rng.integers(1, 200, (400, 50))
    doubted = rng.binomial(labelled, rng.beta(2, 6, labelled.shape))
    whole = 1 - doubted.sum() / labelled.sum()
    found = [kept(a, b) for a, b in zip(labelled, doubted, strict=True)]
    assert 0.9 < np.mean([abs(f.share - whole) <= f.margin for f in found]) < 0.98


def test_an_id_for_what_has_no_label(space):
    assert with_ignore(space).ignore == 255
    assert with_ignore(replace(space, ignore=7)).ignore == 7
    taken = replace(space, classes=(*space.classes, replace(space.classes[0], id=255)))
    assert with_ignore(taken).ignore == 256


def test_probes_are_spread_and_nothing_is_lost():
    order = plan.probes_first(list(range(100, 200)), 5)
    assert order[:5] == [100, 125, 150, 174, 199] and sorted(order) == list(range(100, 200))
    assert plan.probes_first([3, 4], 5) == [3, 4] and plan.probes_first([], 5) == []


def test_hard_masks_come_as_often_as_their_rank_asks():
    hardness = np.array([0.5, 0.1, 0.9, 0.2])  # ranks 3, 1, 4, 2
    masks = plan.assign_hard(1000, hardness, 0)
    assert np.bincount(masks).tolist() == pytest.approx([300, 100, 400, 200], abs=1)
    assert np.array_equal(plan.assign_hard(37, hardness, 0), masks[:37])
    assert not np.array_equal(plan.assign_hard(37, hardness, 1), masks[:37])
    assert len(plan.assign_hard(3, np.zeros(10), 0)) == 3


@pytest.mark.slow
def test_killed_and_gone_on_with_it_ends_as_one_that_went_through(config, tmp_path):
    config = replace(config, n=40, batch=2, steps=10)
    synthesize(replace(config, n=N, out=tmp_path / "few"))
    least = float(np.median([row["agreement"] for row in rows_of(tmp_path / "few").values()]))
    config, out = replace(config, least_agreement=least), tmp_path / "killed"
    synthesize(config)
    asked = {
        "masks": config.masks,
        "model": config.model,
        "out": out,
        "n": 40,
        "batch": 2,
        "steps": 10,
        "device": "cpu",
    }
    asked |= {"judge": config.judge, "trust": 0.8, "segmenter-steps": 10, "least-agreement": least}
    words = [str(word) for name, value in asked.items() for word in (f"--{name}", value)]
    line = [sys.executable, "-m", "surgaug", "synthesize", *words]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and len(list(out.glob("images/*.png"))) < 3:
        time.sleep(0.01)
    process.kill()
    process.wait()
    there = len(list(out.glob("images/*.png")))
    assert 3 <= there < len(rows_of(config.out)), "the kill came too late to test anything"
    assert synthesize(replace(config, out=out)).complete
    for file in ("manifest.jsonl", "refused.jsonl"):
        assert rows_of(out, file).keys() == rows_of(config.out, file).keys()
    for k, row in rows_of(config.out).items():
        assert np.abs(read(out / row["image"]) - read(config.out / row["image"])).max() <= 1
        assert np.array_equal(read(out / row["label_full"]), read(config.out / row["label_full"]))
        assert abs(rows_of(out)[k]["agreement"] - row["agreement"]) < 0.02
