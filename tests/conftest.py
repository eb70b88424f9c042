"""One thread a process: pytest-xdist fills the cores with tests, and results do not depend on how many there are."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

BROWSERS = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"  # before anything imports torch or NumPy, and for the commands that tests start

# A shell's background jobs ignore Ctrl-C, and so would the commands that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cache_of_tests() -> Iterator[None]:
    """Tests, and the commands that they start, keep nothing in the user's cache folder."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SURGAUG_CACHE", str(Path(folder) / "cache"))
        yield


# How long an example takes says how busy the machine is, not whether the program is right.
settings.register_profile("surgaug", deadline=None)
settings.load_profile("surgaug")


@pytest.fixture(scope="session")
def browser_program() -> str:
    """Chromium, to look at pages with; skips where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser on this machine: none of {', '.join(BROWSERS)}")
    return found
