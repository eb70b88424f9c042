"""`--json`: what each command did, for programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from surgaug.cli import outcome, run
from surgaug.io.atomic import write_png
from surgaug.phantom import render


@pytest.fixture
def frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two phantom frames with label maps, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        for kind, array in zip(("images", "labels"), render(number, (24, 40)), strict=True):
            (tmp_path / "frames" / kind).mkdir(parents=True, exist_ok=True)
            write_png(tmp_path / "frames" / kind / f"{number}.png", array)
    return Path("frames")


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (
            ["augment-masks", "--masks", "frames", "--ops", "flip:1", "--workers", "1"],
            {"command": "augment-masks", "out": "augmented", "maps": 2, "skipped": {}},
        ),
        (
            ["export", "--data", "frames"],
            {"command": "export", "out": "training-set", "layout": "folders"}
            | {"splits": {"train": {"real": 2, "synthetic": 0}}},
        ),
    ],
)
def test_stdout_holds_the_result_alone(frames, capfd, argv, told):
    assert run([*argv, "--classes", "cadis", "--json", "-"]) == 0
    assert json.loads(capfd.readouterr().out) == {"format": outcome.FORMAT, **told}


@pytest.mark.parametrize(
    "argv",
    [
        ["inspect", "frames", "--classes", "cadis", "--sheet", "new/sheet.png", "--html", "page.html"],
        ["score", "--real", "frames", "--synth", "frames", "--metrics", "brightness", "--html", "page.html"],
    ],
)
def test_nor_do_pictures_and_pages_stand_there_beside_it(frames, capfd, argv):
    assert run([*argv, "--json", "-"]) == 0
    json.loads(capfd.readouterr().out)
    assert Path("page.html").is_file()


def test_into_a_file_beside_the_paths(frames, capfd):
    assert run(["export", "--data", "frames", "--classes", "cadis", "--json", "done.json", "-q"]) == 0
    assert capfd.readouterr().out == "training-set\ndone.json\n"
    assert json.loads(Path("done.json").read_text())["splits"]["train"]["real"] == 2


def test_always_valid_json(capsys):
    outcome.write("-", outcome.result("train", model=Path("a/b"), val_loss=float("nan"), all=(1, float("inf"))))
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "format": outcome.FORMAT, "command": "train", "model": "a/b", "val_loss": None, "all": [1, None],
    }  # fmt: skip


def test_a_file_in_a_missing_folder_gets_its_folder(frames, capfd):
    assert run(["export", "--data", "frames", "--classes", "cadis", "--json", "new/deep/done.json", "-q"]) == 0
    assert json.loads(Path("new/deep/done.json").read_text())["command"] == "export"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["export", "--data", "frames", "--json", "frames"], "frames: Is a directory"),
        (["score", "--real", "frames", "--synth", "frames", "--html", "file/a.html"], "file/a.html: Not a directory"),
        (["inspect", "frames", "--sheet", "file/a.png"], "file/a.png: Not a directory"),
        (["inspect", "frames", "--html", "file/a.html"], "file/a.html: Not a directory"),
        (["judge", "--data", "frames", "--out", "file/a.safetensors"], "file/a.safetensors: Not a directory"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_any_work(frames, capfd, argv, said):
    Path("file").write_text("")
    assert run(argv) == 1
    assert capfd.readouterr().err == f"surgaug: error: {said}\n"
    assert {path.name for path in Path().iterdir()} == {"frames", "file"}
