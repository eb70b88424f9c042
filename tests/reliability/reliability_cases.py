"""What the tests of faults share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ENV = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def remount(disk: Path, options: str) -> None:
    """Change what `small_disk` mounted: its size, or "ro"."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def start(line: list[str], **options) -> subprocess.Popen:
    """The real command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "surgaug", *line], env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        **options,
    )  # fmt: skip
