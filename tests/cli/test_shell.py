"""The shell around the subcommands, tried with a stand-in for `train`."""

from __future__ import annotations

import errno
import sys
import types
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer

from surgaug import __version__
from surgaug.cli import COMMANDS, defaults, run, screen
from surgaug.errors import DataError, GateError, Interrupted, ModelError, UsageError
from surgaug.runtime.feedback import Silent


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Stand-in for `surgaug train` in an empty working folder; what it was called with, and what it shall raise."""
    seen = types.SimpleNamespace(options=None, failure=None, feedback=None)

    def train(
        data: Annotated[Path, typer.Option(help="Folder of frames.", metavar="DIR")],
        steps: Annotated[int | None, typer.Option(min=1)] = None,
        minutes: float | None = None,
        metrics: str = "psnr",
        sampler: Annotated[Literal["ddim", "ddpm"], typer.Option(rich_help_panel="Sampling")] = "ddim",
        resume: bool = False,
        set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE")] = None,
    ) -> None:
        """Learn."""
        seen.options = {"data": data, "steps": steps, "minutes": minutes, "metrics": metrics}
        seen.options |= {"sampler": sampler, "resume": resume, "set_": set_}
        seen.feedback = screen.feedback()
        if seen.failure is not None:
            raise seen.failure
        screen.result("runs/a")

    module = types.ModuleType("surgaug.cli.train")
    module.train = train
    monkeypatch.setitem(sys.modules, "surgaug.cli.train", module)
    monkeypatch.chdir(tmp_path)
    yield seen
    screen.configure(quiet=False, debug=False)


def test_done_is_0_and_results_alone_go_to_stdout(calls, capsys):
    assert run(["train", "--data", "frames", "--steps", "3"]) == 0
    assert capsys.readouterr() == ("runs/a\n", "")
    assert calls.options["data"] == Path("frames")
    assert calls.options["steps"] == 3


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (DataError("a.png: 17 is no class"), 1),
        (ModelError("m.safetensors: no model"), 1),
        (UsageError("--shard 3/2: 1 <= I <= N"), 2),
        (GateError("fid 90 > 50"), 3),
    ],
)
def test_errors_of_our_own_are_one_line_and_their_code(calls, capsys, failure, code):
    calls.failure = failure
    assert run(["train", "--data", "d"]) == code
    assert capsys.readouterr() == ("", f"surgaug: error: {failure}\n")


def test_an_interruption_with_its_own_message_is_no_error(calls, capsys):
    calls.failure = Interrupted("stopped after step 30; the same line goes on")
    assert run(["train", "--data", "d"]) == 130
    assert capsys.readouterr().err == "surgaug: stopped after step 30; the same line goes on\n"


def test_unforeseen_error_is_one_line_that_names_type_and_debug(calls, capsys):
    calls.failure = ValueError("shapes\n  differ")
    assert run(["train", "--data", "d"]) == 1
    assert capsys.readouterr().err == "surgaug: error: ValueError: shapes differ (--debug shows where)\n"


@pytest.mark.parametrize("argv", [["--debug", "train", "--data", "d"], ["train", "--data", "d", "--debug"]])
def test_debug_before_or_after_the_subcommand_shows_the_traceback(calls, capsys, argv):
    calls.failure = ValueError("shapes differ")
    assert run(argv) == 1
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert err.endswith("surgaug: error: ValueError: shapes differ\n")


def test_file_errors_name_the_file(calls, capsys):
    calls.failure = OSError(errno.ENOSPC, "No space left on device", "out/images/1.png")
    assert run(["train", "--data", "d"]) == 1
    assert capsys.readouterr().err == "surgaug: error: out/images/1.png: No space left on device\n"


def test_interrupt_is_130_and_says_what_to_type(calls, capsys):
    calls.failure = KeyboardInterrupt()
    assert run(["train", "--data", "my frames"]) == 130
    assert capsys.readouterr().err == "surgaug: interrupted; to go on, type: surgaug train --data 'my frames'\n"


@pytest.mark.parametrize("argv", [["-q", "train", "--data", "d"], ["train", "--quiet", "--data", "d"]])
def test_quiet_before_or_after_the_subcommand(calls, argv):
    assert run(argv) == 0
    assert isinstance(calls.feedback, Silent)


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["trian"], ["no such command: trian; did you mean train?", "surgaug --help"]),
        (["train", "--data", "d", "--stpes", "3"], ["--stpes", "did you mean --steps?", "surgaug train --help"]),
        (["train", "--data", "d", "--steps", "many"], ["--steps", "integer", "many"]),
        (["train", "--data", "d", "--steps", "0"], ["--steps", "1", "0"]),
        (["train", "--data", "d", "--sampler", "ddin"], ["'ddin'", "'ddpm'", "did you mean ddim?"]),
        (["train"], ["--data"]),
        (["train", "--data", "d", "extra"], ["extra"]),
        (["--nonsense"], ["--nonsense"]),
    ],
)
def test_wrong_usage_is_2_in_one_line_with_the_nearest_name(calls, capsys, argv, parts):
    assert run(argv) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("surgaug: error: ")
    assert err.count("\n") == 1
    assert all(part in err for part in parts)
    assert calls.options is None


def test_version_and_help(calls, capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"surgaug {__version__}\n"
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)
    assert run(["train", "-h"]) == 0
    text = capsys.readouterr().out
    assert text.index("Options:") < text.index("Sampling:") < text.index("Everywhere:")
    assert "--data DIR" in text
    assert "--steps INT" in text
    assert "--quiet" in text


def test_no_arguments_show_the_help_and_are_wrong_usage(calls, capsys):
    assert run([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "Commands:" in err


def test_surgaug_toml_supplies_flags_and_the_line_wins(calls):
    Path("surgaug.toml").write_text(
        '[train]\ndata = "frames"\nsteps = 7\nminutes = 2\nmetrics = ["psnr", "ssim"]\nresume = true\nset = ["a.b=1"]\n'
        "[score]\nwhatever-score-takes = 1\n"
    )
    assert run(["train", "--steps", "9"]) == 0
    assert calls.options == {
        "data": Path("frames"),
        "steps": 9,
        "minutes": 2.0,
        "metrics": "psnr,ssim",
        "sampler": "ddim",
        "resume": True,
        "set_": ["a.b=1"],
    }


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ("[trian]\nsteps = 1\n", ["unknown table [trian]", "'train'"]),
        ("[train]\nstpes = 1\n", ["unknown key 'stpes' in [train]", "'steps'"]),
        ("[train]\nsteps = true\n", ["[train] steps = true", "a value is expected"]),
        ("[train]\nresume = 1\n", ["[train] resume = 1", "true or false is expected"]),
        ("[train]\ndata = {a = 1}\n", ["[train] data", "is expected"]),
        ('[train]\nsteps = "many"\n', ["surgaug.toml: [train]", "--steps", "integer"]),
        ("train = 3\n", ["[train]"]),
        ("[train\n", ["surgaug.toml", "TOML"]),
    ],
)
def test_surgaug_toml_errors_name_key_and_cure(calls, capsys, toml, parts):
    Path("surgaug.toml").write_text(toml)
    assert run(["train", "--data", "d"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("surgaug: error: surgaug.toml: ")
    assert err.count("\n") == 1
    assert all(part in err for part in parts), err


def test_no_surgaug_toml_no_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert defaults.load("train", [], ["train"]) == {}
