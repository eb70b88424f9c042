"""Lines without a folder: what lies here is taken and told, or nothing is done."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import typer

from surgaug.cli import defaults, root, run
from surgaug.io.atomic import write_png
from surgaug.phantom import render
from surgaug.runtime.options import parse_toml

COMMANDS = ["train", "augment-masks", "judge", "synthesize", "score"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def data(folder: Path) -> None:
    for kind, array in zip(("images", "labels"), render(0, (24, 40)), strict=True):
        (folder / kind).mkdir(parents=True)
        write_png(folder / kind / "a.png", array)


def typed(monkeypatch: pytest.MonkeyPatch, *argv: str) -> int:
    """The exit code of a line, as the shell gives it to the program."""
    monkeypatch.setattr(sys, "argv", ["surgaug", *argv])
    return run(argv)


def test_what_lies_here_is_taken_and_the_whole_line_told(here, monkeypatch, capfd):
    data(here / "data")
    line = ["augment-masks", "--classes", "cadis", "--ops", "flip:1", "--workers", "1"]
    assert typed(monkeypatch, *line) == 0
    told = capfd.readouterr().err.splitlines()
    assert told[:2] == ["--masks data: a data set by a usual name", f"in full: surgaug {' '.join(line)} --masks data"]
    assert len(list((here / "augmented" / "labels").iterdir())) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_of_two_both_are_named_and_nothing_is_done(here, monkeypatch, capfd, command):
    data(here / "data")
    data(here / "frames")
    before = sorted(here.rglob("*"))
    assert typed(monkeypatch, command) == 2
    error = capfd.readouterr().err
    assert "data and frames" in error
    assert "DIR, or in surgaug.toml" in error
    assert sorted(here.rglob("*")) == before


def test_surgaug_toml_comes_first(here, monkeypatch, capfd):
    data(here / "data")
    data(here / "frames")
    (here / "surgaug.toml").write_text('[augment-masks]\nmasks = "nowhere"\n')
    assert typed(monkeypatch, "augment-masks") == 1
    assert capfd.readouterr().err == "surgaug: error: --masks nowhere: no such file or folder\n"


@pytest.mark.parametrize(
    ("command", "flag"), [("train", "--data"), ("augment-masks", "--masks"), ("synthesize", "--masks")]
)
def test_a_folder_without_its_flag(here, monkeypatch, capfd, command, flag):
    assert typed(monkeypatch, command, "my frames") == 2
    assert f"(my frames); a folder is named by {flag} DIR" in capfd.readouterr().err


def all_flags(text: str) -> str:
    """A file of `surgaug init` with every suggestion switched on."""
    return re.sub(r"(?m)^# (?=[a-z]+ = )", "", text)


def test_init_writes_what_lies_here(here, monkeypatch, capfd):
    for split in ("train", "val"):
        data(here / "frames" / split)
    assert typed(monkeypatch, "init") == 0
    out, err = capfd.readouterr()
    assert out == "surgaug.toml\n"
    assert "surgaug inspect frames, then surgaug train" in err
    text = (here / "surgaug.toml").read_text()
    written = parse_toml(text.encode())
    assert written == {
        "train": {"data": "frames"}, "augment-masks": {"masks": "frames", "split": "train"}, "synthesize": {},
        "score": {},
    }  # fmt: skip
    assert parse_toml(all_flags(text).encode())["synthesize"]["split"] == "train"
    assert parse_toml(all_flags(text).encode())["train"]["size"] == "32x32"
    assert '# val = "frames/val"' in text
    assert '# real = "frames/val"' in text
    assert typed(monkeypatch, "init") == 1
    assert (here / "surgaug.toml").read_text() == text


def test_init_takes_no_split_of_data_that_has_none(here, monkeypatch):
    data(here / "frames")
    assert typed(monkeypatch, "init") == 0
    assert "split =" not in (here / "surgaug.toml").read_text()


def test_init_leaves_the_choice_among_several(here, monkeypatch, capfd):
    data(here / "data")
    data(here / "frames")
    assert typed(monkeypatch, "init") == 0
    assert "data and frames both could be the data" in capfd.readouterr().err
    text = (here / "surgaug.toml").read_text()
    assert '# data = "data"\n# data = "frames"' in text
    assert parse_toml(text.encode())["train"] == {}


@pytest.mark.parametrize(
    ("frames", "size"),
    [((540, 960), "256x448"), ((64, 112), "64x112"), ((768, 1024), "256x336"), ((352, 352), "256x256")],
)
def test_the_size_that_init_suggests_has_the_frames_proportions(frames, size):
    assert f'# size = "{size}"' in defaults.template([Path("data")], None, frames)


def test_every_suggestion_of_init_is_a_flag(monkeypatch):
    group = typer.main.get_command(root)
    tables = parse_toml(all_flags(defaults.template([Path('a "b"')], None, (540, 960), True)).encode())
    assert tables["train"]["size"] == "256x448"
    for name, table in tables.items():
        with group.make_context("surgaug", ["--help"], resilient_parsing=True) as context:
            assert len(defaults.flags(name, table, group.get_command(context, name).params)) == len(table) > 0
