from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from surgaug.errors import DataError
from surgaug.io.lock import folder_lock
from surgaug.runtime.feedback import Silent

HOLD = """
import sys, time
from pathlib import Path
from surgaug.runtime.feedback import Silent
from surgaug.io.lock import folder_lock
with folder_lock(Path(sys.argv[1]), Silent(), sys.argv[2] or None):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(folder, part=""):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder), part], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_run_is_refused_until_the_first_dies(tmp_path):
    process = hold(tmp_path)
    try:
        refusal = f"another run is writing here .*{process.pid}.*another --out"
        with pytest.raises(DataError, match=refusal), folder_lock(tmp_path, Silent()):
            pass
        with pytest.raises(DataError, match="another run"), folder_lock(tmp_path, Silent(), "1-of-2"):
            pass
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with folder_lock(tmp_path, Silent()):
        pass


def test_parts_run_side_by_side_but_not_twice_and_not_beside_a_whole_run(tmp_path):
    with folder_lock(tmp_path, Silent(), "1-of-2"):
        with folder_lock(tmp_path, Silent(), "2-of-2"):
            pass
        with pytest.raises(DataError, match="another run"), folder_lock(tmp_path, Silent(), "1-of-2"):
            pass
        with pytest.raises(DataError, match="another shard"), folder_lock(tmp_path, Silent()):
            pass
    with folder_lock(tmp_path, Silent()):
        pass
