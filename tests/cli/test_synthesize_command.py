from __future__ import annotations

import io

import pytest

from surgaug.cli import run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--masks"),
        (["--masks", "m", "--shard", "3/2"], "--shard 3/2: expected I/N with I from 1 to N"),
        (["--masks", "m", "--batch", "many"], "--batch many: auto or a whole number"),
        (["--masks", "m", "--size", "64"], "--size 64: expected HxW"),
        (["--masks", "m", "--set", "eta"], "--set eta: expected KEY=VALUE"),
        (["--masks", "m", "--layout", "voc"], "'voc' is not one of"),
        (["--masks", "m", "--augment", "flop"], "did you mean flip"),
        (["--masks", "m", "--n", "0"], "--n 0: from 1 to 100,000,000"),
        (["--masks", "m", "--n", "99999999999999999999"], "--n 99999999999999999999: from 1 to 100,000,000"),
        (["--masks", "m", "--out", "a\nb"], "--out 'a\\nb': has line ends"),
        (["--masks", "-"], "no path came on standard input"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(words, said, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()  # a folder that is missing is told first
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert run(["synthesize", *words]) == 2
    out, err = capsys.readouterr()
    assert said in err and err.count("\n") == 1 and not out
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
