from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug.io import atomic


def test_content_appears_under_its_name_and_nothing_else_stays(tmp_path: Path) -> None:
    atomic.write_text(tmp_path / "a.txt", "zwölf\n")
    atomic.write_bytes(tmp_path / "a.txt", b"again")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_bytes() == b"again"


def test_an_error_while_writing_leaves_the_old_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic.atomic_write(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_names_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".txt")
    atomic.write_text(path, "x")
    assert path.read_text() == "x"


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        (np.arange(12, dtype=np.uint16) * 5000).reshape(3, 4),
        np.arange(36, dtype=np.uint8).reshape(3, 4, 3),
        np.arange(36, dtype=np.uint8).reshape(3, 4, 3)[:, ::-1],
    ],
    ids=["uint8", "uint16", "rgb", "flipped view"],
)
def test_png_round_trip_with_text(tmp_path: Path, array: np.ndarray) -> None:
    atomic.write_png(tmp_path / "a.png", array, {"what": "prüfung"})
    with Image.open(tmp_path / "a.png") as image:
        assert image.text == {"what": "prüfung"}
        np.testing.assert_array_equal(np.asarray(image), array)


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.int64), np.zeros((2, 2, 4), np.uint8), np.zeros(4, np.uint8)])
def test_arrays_that_are_no_png_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no PNG for"):
        atomic.write_png(tmp_path / "a.png", array)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_process_go_and_those_of_living_ones_stay(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from surgaug.io.atomic import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as t:\n t.write_text('half'); print('ready', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "a.txt")], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        assert atomic.clean_leftovers(tmp_path) == 0
        assert len(list(tmp_path.glob(".a.txt.tmp-*"))) == 1
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert atomic.clean_leftovers(tmp_path) == 1
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_this_process_stay_and_of_an_earlier_one_of_its_number_go(tmp_path: Path) -> None:
    with atomic.atomic_write(tmp_path / "a") as mine:
        mine.write_text("")
        earlier = tmp_path / mine.name.replace(atomic._RUN, "00000000")
        earlier.write_text("")
        assert atomic.clean_leftovers(tmp_path) == 1
        assert mine.exists() and not earlier.exists()


def test_leftovers_of_other_machines_go_after_an_hour(tmp_path: Path) -> None:
    fresh, old = tmp_path / ".a.tmp-00000000-1-0-0", tmp_path / ".b.tmp-00000000-1-0-0"
    fresh.write_text("")
    old.write_text("")
    os.utime(old, (time.time() - 7200,) * 2)
    (tmp_path / "kept.txt").write_text("")
    assert atomic.clean_leftovers(tmp_path) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == [fresh.name, "kept.txt"]
