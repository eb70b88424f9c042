"""Completion as bash does it: a real bash sources the script and calls its function for half-typed lines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from surgaug.cli import COMMANDS
from surgaug.cli.choices import WRITTEN, plugins, spaces

HEAVY = {"torch", "cv2", "numpy", "scipy", "PIL", "rich"}
ASK = """
source <(surgaug --show-completion bash)
function=$(complete -p surgaug | sed 's/.*-F \\([^ ]*\\).*/\\1/')
while IFS= read -r line; do
  read -ra COMP_WORDS <<< "$line"
  [[ $line == *' ' ]] && COMP_WORDS+=('')
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
  COMPREPLY=()
  "$function" surgaug
  echo "${COMPREPLY[*]}"
done
"""
LINES = {
    "surgaug s": [name for name in COMMANDS if name.startswith("s")],
    "surgaug synthesize --samp": ["--sampler"],
    "surgaug synthesize --sampler ": plugins("diffusion/samplers"),
    "surgaug export --layout ": list(WRITTEN),
    "surgaug train --model ": plugins("models/families"),
    "surgaug export --data here --classes endovis": [name for name in spaces() if name.startswith("endovis")],
    "surgaug augment-masks --ops flip,sh": ["flip,shift"],
    "surgaug inspect half": [],
}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With `surgaug` on the PATH as this Python's module."""
    program = tmp_path / "bin" / "surgaug"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m surgaug "$@"\n')
    program.chmod(0o755)
    python_path = os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p)
    return {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": python_path}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_commands_options_and_values(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "--norc", "-c", ASK], input="".join(f"{line}\n" for line in LINES), capture_output=True, text=True,
        env=environment, cwd=tmp_path, timeout=300, check=True,
    )  # fmt: skip
    assert [answer.split() for answer in done.stdout.splitlines()] == list(LINES.values()), done.stderr


def test_completion_imports_nothing_heavy(environment: dict[str, str], tmp_path: Path) -> None:
    asked = {"_SURGAUG_COMPLETE": "complete_bash", "COMP_WORDS": "surgaug train --model p", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "surgaug"],
        capture_output=True, text=True, env=environment | asked, cwd=tmp_path, timeout=120,
    )  # fmt: skip
    assert done.stdout.split() == ["pix2pix", "pix2pixhd"]
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported and not imported & HEAVY
