"""The program as the shell starts it: real processes, real exit codes, real pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from surgaug.cli import COMMANDS, run

SURGAUG = [sys.executable, "-m", "surgaug"]
# Other working folders than this one must find the same package.
ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p)}
HEAVY = ("torch", "cv2", "pandas", "skimage", "scipy", "numpy", "rich")


def surgaug(*argv, cwd, **options):
    return subprocess.run([*SURGAUG, *argv], capture_output=True, text=True, cwd=cwd, env=ENV, timeout=120, **options)


@pytest.mark.parametrize("argv", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_answers_without_heavy_libraries(tmp_path, argv):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "surgaug", *argv],
        capture_output=True, text=True, cwd=tmp_path, env=ENV, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert imported & set(HEAVY) == set()


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        ([], 2),
        (["sing"], 2),
        (["train"], 2),
        (["train", "--data", "nowhere"], 1),
    ],
)
def test_exit_codes_and_a_clean_stdout(tmp_path, argv, code):
    done = surgaug(*argv, cwd=tmp_path)
    refused_in_a_line(done.returncode, done.stdout, done.stderr, code, says=bool(argv))


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["augment-masks", "--masks", "nowhere"], 1),
        (["synthesize", "--masks", "nowhere"], 1),
        (["score", "--real", "nowhere", "--synth", "nowhere"], 1),
        (["score", "--real", ".", "--synth", ".", "--metrics", "psrn"], 2),
    ],
)
def test_every_command_refuses_likewise(tmp_path, monkeypatch, capfd, argv, code):
    """In this process, since each would import PyTorch anew."""
    monkeypatch.chdir(tmp_path)
    found = run(argv)
    refused_in_a_line(found, *capfd.readouterr(), code)


def refused_in_a_line(found, stdout, stderr, code, says=True):
    assert found == code, stderr
    assert stdout == ""
    assert "Traceback" not in stderr
    if says:
        last = stderr.splitlines()[-1]
        assert last.startswith("surgaug: error: ")
        assert "--debug shows where" not in last


@pytest.mark.parametrize(
    "argv",
    [
        ["train", "--data", "nowhere"],
        ["train", "--data", ".", "--val", "nowhere"],
        ["augment-masks", "--masks", "nowhere"],
        ["synthesize", "--masks", "nowhere"],
        ["export", "--data", "nowhere"],
        ["export", "--data", ".", "--synth", "nowhere"],
        ["inspect", "nowhere"],
        ["score", "--real", "nowhere", "--synth", "."],
        ["score", "--real", ".", "--synth", "nowhere"],
        ["train", "--data", ".", "--config", "nowhere"],
        ["judge", "--data", "nowhere"],
    ],
)
def test_a_missing_folder_is_told_before_anything_heavy_is_imported(tmp_path, argv):
    (tmp_path / "nowhere_else").mkdir()
    code = (
        "import sys; from surgaug.cli import run; code = run(sys.argv[1:]); "
        f"print(code, sorted(set({HEAVY}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, cwd=tmp_path, env=ENV, timeout=60
    )
    assert done.stdout == "1 []\n"
    assert done.stderr.endswith("nowhere: no such file or folder; did you mean nowhere_else?\n")


def test_a_missing_model_is_told_before_anything_heavy_is_imported(tmp_path):
    code = f"import sys; from surgaug.cli import run; run(sys.argv[1:]); print(sorted(set({HEAVY}) & set(sys.modules)))"
    line = [sys.executable, "-c", code, "synthesize", "--masks", ".", "--model", "nowhere"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=ENV, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "surgaug: error: nowhere: no such model file or run folder\n")


def test_a_closed_pipe_is_quiet(tmp_path):
    """`surgaug ... | head -0`."""
    job = subprocess.Popen(
        [*SURGAUG, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=ENV, text=True
    )
    job.stdout.close()
    assert job.wait(60) == 141
    assert job.stderr.read() == ""
    job.stderr.close()


def test_file_names_that_are_no_text_come_through(tmp_path):
    code = "from surgaug.cli import screen, run; run(['--version']); screen.result('out/\\udcff.png')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=tmp_path, env=ENV, timeout=60)
    assert done.stdout.endswith(b"out/\xff.png\n"), done.stderr


def in_shell(words, cwd):
    """`words`, which `$SURGAUG` begins, as a shell takes them."""
    env = {**ENV, "SURGAUG": " ".join(SURGAUG)}
    return subprocess.run(["sh", "-c", words], capture_output=True, text=True, cwd=cwd, env=env, timeout=120)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("$SURGAUG --version >&-", 0, ""),
        ("$SURGAUG --version 2>&-", 0, ""),
        ("$SURGAUG inspect . >&-", 0, "1 problem"),
        ("$SURGAUG inspect nowhere 2>&- <&-", 1, ""),
        ("$SURGAUG augment-masks --masks - <&-", 2, "surgaug: error: --masks -: no path came on standard input"),
    ],
)
def test_a_closed_stream_is_an_empty_one(tmp_path, words, code, said):
    done = in_shell(words, tmp_path)
    assert (done.returncode, "NoneType" in done.stderr) == (code, False), done.stderr
    assert (done.stderr.splitlines() or [""])[-1] == said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_standard_output_is_named(tmp_path):
    done = in_shell("$SURGAUG --version > /dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (1, "surgaug: error: standard output: No space left on device\n")


@pytest.mark.parametrize("signum", ["SIGINT", "SIGTERM"])
def test_a_command_that_is_asked_to_stop_says_how_to_go_on(tmp_path, signum):
    code = f"""if True:
        import signal, sys, surgaug.cli.browse
        surgaug.cli.browse.refuse_missing = lambda *given: signal.raise_signal(signal.{signum})
        surgaug.cli.main()
    """
    line = [sys.executable, "-c", code, "browse", "my pairs"]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=ENV, timeout=60)
    assert done.stderr == "surgaug: interrupted; to go on, type: surgaug browse 'my pairs'\n"
    assert (done.returncode, done.stdout) == (130, "")
