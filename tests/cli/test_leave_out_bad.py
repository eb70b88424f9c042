"""One bad file among good ones: refused with the way round, which goes on without it and says so in what it leaves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from surgaug import cli
from surgaug.io.atomic import write_png


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four good frames; an image without label map, a damaged label map, a damaged image, a pair of two sizes."""
    root = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for name in ("g0", "g1", "g2", "g3", "cut_image", "cut_label", "other_size", "no_label"):
        write_png(root / "images" / f"{name}.png", rng.integers(0, 255, (16, 16, 3), np.uint8))
        if name != "no_label":
            width = 15 if name == "other_size" else 16
            write_png(root / "labels" / f"{name}.png", rng.integers(0, 3, (16, width)).astype(np.uint8))
    for path in (root / "images" / "cut_image.png", root / "labels" / "cut_label.png"):
        path.write_bytes(path.read_bytes()[:40])
    return root


@pytest.fixture(scope="module")
def trained(frames: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("model") / "run"
    line = ["train", "--data", str(frames), "--size", "16x16", "--steps", "1", "--init", "none", "--device", "cpu"]
    assert cli.run([*line, "--out", str(out), "-q"]) == 1 and not out.exists()
    assert cli.run([*line, "--out", str(out), "-q", "--leave-out-bad"]) == 0
    return out


def said(out: str) -> set[str]:
    return {name for name in ("cut_image", "cut_label", "other_size", "no_label") if name in out}


def test_train_lists_them_in_the_run(trained: Path) -> None:
    found = json.loads((trained / "data.json").read_text())
    assert sorted(found["frames"]) == ["g0", "g1", "g2", "g3"]
    assert said("\n".join(found["left_out"])) == {"cut_image", "cut_label", "other_size", "no_label"}


def test_the_refusal_names_the_way_round(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    line = ["export", "--data", str(frames), "--out", str(tmp_path / "out")]
    assert cli.run([*line, "-q"]) == 1
    told = capsys.readouterr().err
    assert "--leave-out-bad goes on with the other 4 of 8 frames" in told
    assert said(told) == {"cut_image", "cut_label", "other_size", "no_label"}
    assert cli.run([*line, "--leave-out-bad"]) == 0
    assert "left out: 4 of 8 frames" in capsys.readouterr().err
    assert sorted(p.stem for p in (tmp_path / "out").rglob("labels/*.png")) == ["g0", "g1", "g2", "g3"]
    listed = json.loads((tmp_path / "out" / "dataset.json").read_text())["left_out"]
    assert len(listed) == 4 and said("\n".join(listed)) == {"cut_image", "cut_label", "other_size", "no_label"}


@pytest.mark.parametrize("command", ["augment-masks", "synthesize"])
def test_commands_of_masks(
    frames: Path, trained: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    line = [command, "--masks", str(frames / "labels"), "--n", "3", "--out", str(out), "-q"]
    line += (
        ["--model", str(trained), "--steps", "1", "--device", "cpu"] if command == "synthesize" else ["--workers", "1"]
    )
    assert cli.run(line) == 1 and "cut_label" in capsys.readouterr().err
    assert cli.run([*line, "--leave-out-bad"]) == 0
    listed = json.loads((out / "dataset.json").read_text())["left_out"]
    assert len(listed) == 1 and "cut_label" in listed[0] and len(list((out / "labels").iterdir())) == 3


def test_score_and_inspect(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    synth = tmp_path / "synth"
    shutil.copytree(frames / "images", synth)
    line = [
        "score",
        "--real",
        str(frames),
        "--synth",
        str(synth),
        "--metrics",
        "psnr",
        "--no-cache",
        "--json",
        "-",
        "-q",
    ]
    assert cli.run(line) == 1
    capsys.readouterr()
    assert cli.run([*line, "--leave-out-bad"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert said("\n".join(found["left_out"])) == {"cut_image", "cut_label", "other_size", "no_label"}
    assert found["rows"][0]["images"] == 7 and found["real_images"] == 4
    assert cli.run(["inspect", str(frames), "--json", "-", "-q"]) == 0
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 4
    assert cli.run(["inspect", str(frames), "--json", "-", "-q", "--leave-out-bad"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not found["problems"] and len(found["notes"]) >= 4 and found["facts"]["frames"] == "4"


def test_nothing_left_is_an_error(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    bad = tmp_path / "bad"
    for folder in ("images", "labels"):
        (bad / folder).mkdir(parents=True)
    for part in ("images/no_label.png", "labels/other_size.png"):
        shutil.copy(frames / part, bad / part)
    assert cli.run(["export", "--data", str(bad), "--out", str(tmp_path / "out"), "--leave-out-bad", "-q"]) == 1
    told = capsys.readouterr().err
    assert "1 images without label" in told and "1 labels without image" in told and "--leave-out-bad" not in told


def test_two_folders_by_name(frames: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name, folder in (("trainA", "labels"), ("trainB", "images")):
        (tmp_path / name).mkdir()
        for i in range(2):
            shutil.copy(frames / folder / f"g{i}.png", tmp_path / name / f"g{i}.png")
    named = ["--images", "trainB", "--labels", "trainA"]
    assert cli.run(["export", "--data", str(tmp_path), "--out", str(tmp_path / "out"), *named, "-q"]) == 0
    assert cli.run(["inspect", str(tmp_path), *named, "--json", "-", "-q"]) == 0
    assert not json.loads(capsys.readouterr().out.partition("\n")[2])["problems"]
