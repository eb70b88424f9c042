"""The comparisons of `benchmarks/`, run as they stand on a handful of phantom scenes."""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from surgaug.datasets.dataset import open_pairs
from surgaug.models.model_files import SHIPPED
from surgaug.runtime.device import to_tensor
from surgaug.scoring.config import Weights
from surgaug.scoring.features import colour_texture
from surgaug.synthesis import style_tuning
from surgaug.training.sharpness import detail

SMALL = [part for value in (
    "batch=2", "network.channels=8,16", "network.encoder_blocks=1,1", "network.decoder_blocks=1,1",
    "network.attention=false,false", "network.spade=true,true", "network.spade_hidden=8", "network.label_channels=4",
) for part in ("--set", value)]  # fmt: skip
BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """A module of that folder, as when it is run from there."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module
    for name in (
        "features",
        "frames",
        "speed",
        "style",
        "side_by_side",
        "quality",
        "sampling",
        "rare",
        "judge",
        "large",
        "wrong_labels",
        "mix",
        "peers",
        "race",
        "looks",
    ):
        sys.modules.pop(name, None)


def test_frames_of_a_data_set_keep_its_split(benchmark, tmp_path):
    frames = benchmark("frames")
    frames.write_frames("phantom", tmp_path / "phantom", 3, 2, (16, 28))
    frames.write_frames(str(tmp_path / "phantom"), tmp_path / "smaller", 2, 1, (8, 14), "cadis", 9)
    for part, n in (("train", 2), ("val", 1), ("test", 1)):
        for kind in ("images", "labels"):
            files = sorted((tmp_path / "smaller" / part / kind).iterdir())
            assert len(files) == n and np.asarray(Image.open(files[0])).shape[:2] == (8, 14)
    assert len(json.loads((tmp_path / "smaller" / "classes.json").read_text())["classes"]) == 36
    with pytest.raises(SystemExit, match="name another folder"):
        frames.write_frames("phantom", tmp_path / "phantom", 3, 2, (16, 32))


def test_videos_alike_are_nearer_to_one_unlike_the_longest(benchmark):
    looks, rng = benchmark("looks"), np.random.default_rng(0)
    videos = np.array(["long"] * 60 + ["a"] * 8 + ["b"] * 8 + ["new"] * 8)
    features = rng.normal(size=(84, 130)).astype(np.float32) + 5 * (videos == "long")[:, None]
    found = looks.compared(features, videos, 10)
    assert list(found) == ["long"]
    found = looks.compared(features, videos, 8)
    assert found["new"]["all videos alike"][-1] < found["new"]["all frames alike"][-1]
    assert looks.report(found)[-1].endswith("of 4 videos held out")


@pytest.mark.parametrize("kind", ["moved", "swapped", "other"])
def test_labels_made_wrong(benchmark, kind):
    spoil, maps = benchmark("wrong_labels").spoil, np.zeros((3, 40, 60), np.uint8)
    maps[0, 10:16, 20:34] = maps[1, 20:30, 5:15] = 2  # an instrument
    maps[2, :20] = 1
    tools = np.arange(256) == 2
    wrong = spoil(maps, 0, kind, tools, np.random.default_rng(0))
    assert wrong.dtype == np.uint8 and (wrong != maps[0]).any() and set(np.unique(wrong)) <= {0, 1, 2}
    if kind == "moved":
        assert 0 < (wrong == 2).sum() <= 6 * 14 and (wrong[maps[0] == 2] == 0).any()
    if kind == "swapped":
        changed = np.unique(maps[0][wrong != maps[0]])
        assert len(changed) == 1  # all pixels of one class
    if kind == "other":
        assert any(np.array_equal(wrong, other) for other in maps[1:])


def test_area_under_the_roc_curve(benchmark):
    area = benchmark("judge").area
    assert area(np.array([2.0, 3.0]), np.array([0.0, 1.0])) == 1
    assert area(np.array([1.0]), np.array([1.0, 2.0, 0.0, 1.0])) == 0.5


def test_speed_counts_attention_too(benchmark):
    speed, q = benchmark("speed"), torch.randn(1, 2, 8, 4)
    flops, moved = speed.cost(lambda: F.scaled_dot_product_attention(q, q, q))
    assert flops == 2 * (2 * 2 * 8 * 8 * 4) and moved >= 4 * q.numel() * 4


@pytest.mark.slow
def test_mixes_are_compared_by_what_a_segmenter_gains(benchmark, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path / "cache"))
    benchmark("frames").write_frames("phantom", tmp_path / "data", 6, 4, (32, 56))
    mix, out = benchmark("mix"), tmp_path / "out"
    line = [
        str(out), "--data", str(tmp_path / "data" / "train"), "--val", str(tmp_path / "data" / "val"),
        "--size", "32x56", "--model", str(SHIPPED), "--classes", "cadis", "--n", "3", "--steps", "2", "--seeds", "2",
        "--plausibility", "0.01", "--mixes", "masks,objects", "--synthesis-steps", "1",
    ]  # fmt: skip
    mix.main(line)
    assert capsys.readouterr().out.strip() == str(out / "mix.md")
    rows = json.loads((out / "mix.json").read_text())
    assert [row["mix"] for row in rows] == ["real alone", "masks", "objects"]
    assert rows[2]["plausibility"] >= 0.01 and rows[1]["plausibility"] is None
    assert all(row["gain"]["value"] == pytest.approx(row["miou"] - rows[0]["miou"]) for row in rows[1:])
    assert len((out / "mix.md").read_text().splitlines()) == 5


@pytest.mark.slow
def test_quality_compares_and_does_nothing_twice(benchmark, tmp_path, capsys):
    quality, out = benchmark("quality"), tmp_path / "out"
    line = [
        str(out), "--frames", "8", "--val", "4", "--size", "16x16", "--minutes", "0.02", "--images-per-map", "1",
        "--methods", "diffusion+balance=0,pix2pix", "--utility", "--segmenter-frames", "6", "--synthetic", "4",
        "--test", "4", "--segmenter-steps", "2", "--segmenter-seeds", "1", "--set", "batch=2",
    ]  # fmt: skip
    quality.main(line)
    assert capsys.readouterr().out.strip() == str(out / "quality.md")
    table = (out / "quality.md").read_text()
    assert "| data | frames | diffusion+balance=0 | pix2pix |" in table
    cells = json.loads((out / "quality.json").read_text())
    assert [cell["method"] for cell in cells] == ["diffusion+balance=0", "pix2pix"]
    for cell in cells:
        assert cell["measures"]["miou"] is not None and cell["minutes"] >= 0.02
        assert 0 <= cell["measures"]["synthetic_alone"] <= 1
    assert Image.open(out / "phantom-8-seed0.png").width > 600
    cell = out / "phantom-8-seed0" / "pix2pix" / "cell.json"
    before = cell.stat().st_mtime_ns
    quality.main(line)
    assert cell.stat().st_mtime_ns == before and (out / "quality.md").read_text() == table


@pytest.mark.slow
def test_rare_reads_back_every_rare_class(benchmark, tmp_path, capsys):
    rare, out = benchmark("rare"), tmp_path / "out"
    line = [
        str(out), "--frames", "40", "--size", "32x56", "--minutes", "0.02", "--each", "2",
        "--segmenter-frames", "20", "--segmenter-each", "1", "--segmenter-steps", "2", *SMALL,
        "--methods", "diffusion,diffusion+balance=0",
    ]  # fmt: skip
    rare.main(line)
    assert capsys.readouterr().out.strip() == str(out / "rare.md")
    found = json.loads((out / "rare.json").read_text())
    shown = np.array(found["frames"])
    tested = rare.frames_by_class(out / "test", out / "frames" / "classes.json")
    halves = np.argsort(shown, kind="stable")[(shown == 0).sum() :]
    assert (tested[halves[: len(halves) // 2]] > 0).all() and shown.max() == 40
    assert [one["method"] for one in found["synthetic"]] == ["diffusion", "diffusion+balance=0"]
    table = (out / "rare.md").read_text()
    assert "| training frames | the scenes themselves | diffusion | diffusion+balance=0 |" in table
    assert Image.open(out / "rare.png").width > 600
    synthetic = sorted((out / "diffusion-seed0" / "test" / "images").iterdir())
    before = [file.stat().st_mtime_ns for file in synthetic]
    rare.main(line)
    assert [file.stat().st_mtime_ns for file in synthetic] == before and (out / "rare.md").read_text() == table


def test_covering_goes_on_until_every_class_is_there(benchmark):
    frames = benchmark("frames")
    seeds = frames.covering({18, 31}, 3, 50, at_least=5)
    ids = [frames.draw_instruments(frames.scene_rng(seed))[1] for seed in seeds]
    assert seeds[:5] == [50, 51, 52, 53, 54] and seeds == sorted(set(seeds))
    assert all(sum(k in each for each in ids) >= 3 for k in (18, 31))
    assert all({18, 31} & set(each) for each in ids[5:])


@pytest.mark.slow
def test_sampling_samples_every_way_once_and_draws_them(benchmark, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    frames, sampling, out = benchmark("frames"), benchmark("sampling"), tmp_path / "out"
    frames.write_frames("phantom", tmp_path / "data", 1, 3, (16, 28))
    line = [
        str(out), str(SHIPPED), "--data", str(tmp_path / "data" / "val"),
        "--classes", str(tmp_path / "data" / "classes.json"),
        "--n", "3", "--steps", "1,2", "--guidance", "1,2", "--below", "inf,0.5",
    ]  # fmt: skip
    sampling.main(line)
    ways = json.loads((out / "sampling.json").read_text())
    assert [(w["line"], w["sampler"], w["steps"], w["guidance"], w["calls"]) for w in ways] == [
        ("ddim", "ddim", 1, 1, 1), ("ddim", "ddim", 2, 1, 2), ("dpmpp", "dpmpp", 1, 1, 1), ("dpmpp", "dpmpp", 2, 1, 2),
        ("guidance", "dpmpp", 20, 1, 20), ("guidance", "dpmpp", 20, 2, 40), ("guidance", "dpmpp", 20, 2, 26),
    ]  # fmt: skip
    assert all(way["seconds"] > 0 and way["frechet_colour_texture"] > 0 for way in ways)
    assert len((out / "sampling.md").read_text().splitlines()) == 2 + len(ways)
    assert Image.open(out / "sampling.png").width > 600
    synthetic = (out / "ddim-steps1-guidance1" / "seconds.json").stat().st_mtime_ns
    sampling.main(line)
    assert (out / "ddim-steps1-guidance1" / "seconds.json").stat().st_mtime_ns == synthetic


def test_features_of_faults(benchmark, tmp_path):
    """Every set is of one size, its places do not overlap, and a fault lies farther than the frames that it is of."""
    features = benchmark("features")
    benchmark("frames").write_frames("phantom", tmp_path / "phantom", 12, 0, (32, 56))
    frames = open_pairs(tmp_path / "phantom")
    sets = features.choose({"a": list(range(8)), "b": list(range(8, 12)), "c": [3]}, "a", 3)
    assert sets == {
        "reference": [0, 4, 6],
        "between": [1, 5, 7],
        "first half": [0, 2, 3],
        "second half": [4, 6, 7],
        "b": [8, 10, 11],
    }
    extractor = colour_texture.load(Weights(), torch.device("cpu"))
    rows, seconds = features.measure(frames, sets, (32, 56), {"colour_texture": extractor})
    fd = {name: found["colour_texture"][0] for name, found in rows.items()}
    assert fd["the same frames"] == 0
    assert fd["blurred, sigma 2"] > fd["blurred, sigma 1"] > 0
    assert fd["hue turned by 20°"] > fd["hue turned by 10°"]
    assert seconds["colour_texture"] > 0
    assert features.table(rows, ["colour_texture"]).count("\n") == 2 + len(rows)


def test_the_loader_beside_what_a_gpu_takes(benchmark, tmp_path, capsys, monkeypatch):
    benchmark("frames").write_frames("phantom", tmp_path, 20, 2, (64, 112))
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path / "cache"))
    loader = benchmark("loader")
    monkeypatch.setattr(
        sys, "argv", ["loader.py", str(tmp_path), "--sizes", "16x28,136x136", "--seconds", "0.1", "--workers", "1"]
    )
    loader.main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| 1")]
    assert [row[1] for row in rows] == ["whole", "whole", "windows"]
    assert float(rows[0][2]) < float(rows[1][2]) <= float(rows[2][2])  # MiB a frame
    assert not list((tmp_path / "cache").rglob("*.bin"))


def test_a_second_stage_behind_real_frames_made_small(benchmark, tmp_path):
    """It gives back the frame, with detail that enlargement lacks, and the label as it was."""
    large = benchmark("large")
    benchmark("frames").write_frames("phantom", tmp_path / "phantom", 3, 1, (256, 448))
    real = large.frames(tmp_path / "phantom" / "train", None, 3, (128, 224), "cadis", tmp_path / "real")
    config = large.SynthesizeConfig(masks=real)
    for enlarged in (True, False):
        large.behind_real(SHIPPED, config, real, tmp_path / str(enlarged), enlarged)
    names = sorted(path.name for path in (real / "images").iterdir())
    assert len(names) == 3

    def pixels(folder: Path, kind: str, name: str) -> np.ndarray:
        return np.array(Image.open(folder / kind / name))

    for name in names:
        frame = pixels(real, "images", name).astype(float)
        whole, plain = (pixels(tmp_path / str(enlarged), "images", name) for enlarged in (False, True))
        assert max(np.square(picture - frame).mean() for picture in (whole, plain)) < 160  # 26 dB
        assert detail(to_tensor(whole[None], "cpu")) > 1.1 * detail(to_tensor(plain[None], "cpu"))
        assert np.array_equal(pixels(tmp_path / "False", "labels", name), pixels(real, "labels", name))


def test_the_look_of_frames(benchmark, tmp_path, monkeypatch):
    """A frame and a folder of frames, asked for once and twice, held against the others; of dark frames, darker."""
    style = benchmark("style")
    benchmark("frames").write_frames("phantom", tmp_path / "phantom", 4, 1, (64, 112))
    for path in (tmp_path / "phantom" / "train" / "images").iterdir():
        Image.fromarray(np.asarray(Image.open(path)) // 2).save(path)
    line = ["style.py", str(tmp_path / "out"), "--real", str(tmp_path / "phantom" / "train"), "--model", str(SHIPPED)]
    monkeypatch.setattr(sys, "argv", [*line, "--classes", "cadis", "--frames", "1", "--n", "4", "--tries", "0,2"])
    monkeypatch.setattr(style_tuning, "PILOTS", 4)
    style.main()
    found = json.loads((tmp_path / "out" / "style.json").read_text())
    off = {name: row["brightness off, L*"] for name, row in found.items()}
    assert off["in the style of all frames, 0 tries"] < off["in the styles of training frames"]
    assert off["in the style of all frames, 2 tries"] < off["in the style of all frames, 0 tries"]
    assert len(found) == 7 and (tmp_path / "out" / "style.md").read_text().count("\n") == 9


def test_flops_of_training_without_computing_anything(benchmark):
    speed = benchmark("speed")
    small, large = (speed.training_flops("diffusion", "tiny", (64, w)) for w in (64, 128))
    assert 1.9 < large / small < 2.2 and 1e9 < small < 3e9


def test_the_gpu_script_in_its_reduced_form(benchmark, tmp_path, monkeypatch, capsys):
    gpu = benchmark("gpu")
    monkeypatch.setattr(sys, "argv", ["gpu.py", str(tmp_path), "--device", "cpu", "--reduced"])
    gpu.main()
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert [row["pass"] for row in found["passes"]] == ["train", "sample"]
    assert not found["left out"] and not found["failed"]
    assert all(row["images/s"] > 0 and row["GFLOP an image"] > 0.01 for row in found["passes"])
    assert found["loop"]["images/s"] > 0 and found["synthesize"]["images"] == 2
    assert (tmp_path / "gpu.md").read_text() in capsys.readouterr().out


def test_the_gpu_script_keeps_what_it_found_whatever_fails_and_lists_what_does_not_fit(benchmark, tmp_path):
    gpu = benchmark("gpu")
    about = {"device": "a GPU", "torch": "2", "precision": "bfloat16"}
    report = gpu.Report(tmp_path, 1.0, about)
    row = {"pass": "train", "network": "tiny", "size": [8, 8], "batch": 2, "mode": "default", "images/s": 3.0,
           "seconds to compile": 9.0}  # fmt: skip

    def failing(error):
        raise error

    report.part("loop", "loop", 30, dict)
    report.part("compiled", "tiny, compiled", 30, lambda: [row])
    report.part("compiled", "small, compiled", 30, failing, gpu.Unfinished("no kernel", [row]))
    report.part("passes", "train", 30, failing, torch.OutOfMemoryError("CUDA out of memory"))
    report.part("frames", "frames", 30, failing, SystemExit("others lie there"))
    report.part("synthesize", "synthesize", 90, dict)
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert found["compiled"] == [row, row] and found["left out"] == ["synthesize"] and found["loop"] == {}
    assert list(found["failed"]) == ["small, compiled", "train", "frames"]
    said = (tmp_path / "gpu.md").read_text()
    assert "failed: train: OutOfMemoryError: CUDA out of memory" in said and "left out: synthesize" in said


def test_the_gpu_script_ends_what_takes_too_long_and_keeps_what_it_said(benchmark, tmp_path):
    gpu = benchmark("gpu")
    code = """import subprocess, sys, time
print("begun")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
time.sleep(600)"""
    begun = time.monotonic()
    said, why = gpu.limited([sys.executable, "-c", code], 3.0)
    assert said == "begun\n" and why == "not done within 3 s" and time.monotonic() - begun < 60
    assert gpu.limited([sys.executable, "-c", "print(1)"], 60.0) == ("1\n", None)
    assert gpu.limited([sys.executable, "-c", "raise SystemExit('no GPU')"], 60.0)[1] == "exit code 1: no GPU"


def test_the_gpu_script_tells_tests_that_did_not_end(benchmark, monkeypatch):
    gpu = benchmark("gpu")
    said = """tests/gpu/test_on_cuda.py::test_a[off-fp32] PASSED [ 25%]
tests/gpu/test_on_cuda.py::test_a[off-bf16] FAILED [ 50%]
tests/gpu/test_on_cuda.py::test_b SKIPPED (only CUDA tells of waits) [ 75%]
tests/gpu/test_on_cuda.py::test_a[on-fp32] """
    monkeypatch.setattr(gpu, "limited", lambda *_, **__: (said, "not done within 9 s"))
    expected = {"ended": "not done within 9 s", "passed": 1, "skipped": 1, "failed": ["test_a[off-bf16]"], "error": []}
    assert gpu.run_tests("cuda", 9.0) == expected


def test_scale_in_its_reduced_form(benchmark, tmp_path, monkeypatch, capsys):
    """Three shards, one of them killed, and a manifest of two thousand rows; the script refuses what is not whole."""
    scale = benchmark("scale")
    line = ["scale.py", str(tmp_path), "--n", "24", "--shards", "3", "--at-once", "2", "--rows", "2000"]
    monkeypatch.setattr(sys, "argv", line)
    scale.main()
    said = capsys.readouterr().out
    assert "| 24 | 3 |" in said and "| 2,000 |" in said and (tmp_path / "scale.md").read_text() in said
    assert len((tmp_path / "set-24" / "manifest.jsonl").read_text().splitlines()) == 24


def test_race_says_when_ours_is_as_near_as_its_peer(benchmark, tmp_path):
    pytest.importorskip("diffusers")
    race = benchmark("race")
    maps = np.array([[[0, 1], [2, 255]]], np.uint8)
    coded = race.one_hot(torch.from_numpy(maps), 3)
    assert coded.shape == (1, 3, 2, 2) and coded.sum().item() == 3
    assert torch.equal(coded.argmax(1)[0, 0], torch.tensor([0, 1])) and not coded[0, :, 1, 1].any()

    entries = [
        race.Entry(name, minutes, 1, tmp_path)
        for name, minutes in (("ours", 1), ("ours", 2), ("ours, from nothing", 1), ("diffusers", 5), ("diffusers", 9))
    ]
    rows = [{"measures": {"frechet_colour_texture": {"value": value}}} for value in (9.0, 3.0, 20.0, 10.0, 5.0)]
    report = {"definitions": {"frechet_colour_texture": {"title": "Frechet"}}, "rows": rows}
    said = race.table(report, entries)
    assert "| diffusers | 5 | 1 | 10 |" in said
    assert "diffusers after 5 minutes: ours after 1" in said and "diffusers after 9 minutes: ours after 2" in said
    assert "diffusers after 9 minutes: ours, from nothing later" in said
