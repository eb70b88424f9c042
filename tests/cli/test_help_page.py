"""The text of `--help`, and characters that a locale lacks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from surgaug.cli import COMMANDS, encodings, help, run
from surgaug.scoring import metrics

OPTIONS = [("--masks DIR", "Folder of label maps.  [required]"), ("--classes auto|cadis|cadis-task1|FILE", "Of it.")]
PAGE = help.Page(
    "surgaug paint --masks DIR [OPTIONS]", ["Paint label maps."], [("What", OPTIONS)], ["surgaug paint --masks m"]
)


def test_two_columns_with_long_flags_on_a_line_of_their_own():
    assert help.render(PAGE, 80).splitlines() == [
        "Usage: surgaug paint --masks DIR [OPTIONS]",
        "",
        "  Paint label maps.",
        "",
        "What:",
        "  --masks DIR  Folder of label maps.  [required]",
        "  --classes auto|cadis|cadis-task1|FILE",
        "               Of it.",
        "",
        "Examples:",
        "  surgaug paint --masks m",
    ]


def test_one_column_on_a_narrow_terminal_and_bold_headings_where_wanted():
    assert "  --masks DIR\n      Folder of label maps.\n      [required]" in help.render(PAGE, 32)
    assert "\x1b[1mWhat:\x1b[0m\n" in help.render(PAGE, 80, bold=True)
    assert "\x1b" not in help.render(PAGE, 80)


def test_a_list_too_long_for_a_line_breaks_at_its_commas():
    assert help.render(help.Page("x", ["[default: psnr,ssim,frechet,kid]"], []), 20).splitlines()[2:] == [
        "  [default: psnr,",
        "  ssim, frechet,",
        "  kid]",
    ]


def test_a_docstring_falls_into_paragraphs_and_examples():
    text = "One\n    line.\n\n    More.\n\n    Examples:\n    surgaug a\n    surgaug b --c 1\n    "
    assert help.split(text) == (["One line.", "More."], ["surgaug a", "surgaug b --c 1"])
    assert help.split("One.\n\nExample:  surgaug a")[1] == ["surgaug a"]


@pytest.mark.parametrize("command", ["", *COMMANDS])
@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_every_help_page_fits_and_shows_an_example(monkeypatch, capsys, command, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run([*([command] if command else []), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    start = lines.index("Examples:")
    assert lines[start + 1].startswith("  surgaug")
    text = [line for line in lines[:start] if len(line.split()) > 1 and not line.startswith("  -")]
    assert max(map(len, text)) <= columns


def test_the_measures_that_are_usual_are_named(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["score", "--help"]) == 0
    told = re.search(r"\[default:\s+\(([\w,\s]+);", capsys.readouterr().out)
    assert set("".join(told[1].split()).split(",")) == {name for name in metrics.names() if metrics.get(name).default}


@pytest.mark.parametrize("locale", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_help_and_results_come_through_in_any_locale(tmp_path, locale):
    lines = ["from surgaug.cli import run, screen", "run(['score', '--help'])"]
    lines += [r"screen.result('\xe9/\udcff')", r"screen.error('\xe9 \u2191')"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONCOERCECLOCALE": "0", **locale}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, cwd=tmp_path, env=env, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\né/".encode() + b"\xff\n")
    assert done.stderr == b"surgaug: error: e ^\n"


def test_what_looks_alike():
    assert "PSNR ↑ 3 ± 1 “Fréchet” 猫".encode("ascii", encodings.LOOKALIKES) == b'PSNR ^ 3 +- 1 "Frechet" ?'
    assert "▁▂▃▄▅▆▇█".encode("ascii", encodings.LOOKALIKES) == b"_.-=+*#@"
