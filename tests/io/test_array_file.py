"""Arrays in one mapped file: the same come back, in another process too, and a damaged file is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from surgaug.io.array_file import Records, write_records


def records() -> list[tuple[np.ndarray, ...]]:
    rng = np.random.default_rng(0)
    shapes = [(5, 7, 3), (4, 4, 3), (1, 9, 3)]
    return [
        (
            rng.integers(0, 256, shape, np.uint8),
            rng.random(7).astype(np.float32),
            np.arange(3 * n, dtype=np.int32).reshape(n, 3),
        )
        for n, shape in enumerate(shapes)
    ]


SUM = """
import sys
from pathlib import Path
from surgaug.io.array_file import Records
print(int(Records(Path(sys.argv[1]))[1][0].sum()))
"""


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_records(path, iter(records()))
    found = Records(path)
    assert len(found) == 3
    for i, record in enumerate(records()):
        for array, read in zip(record, found[i], strict=True):
            assert read.dtype == array.dtype and np.array_equal(read, array)
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_what_is_changed_stays_in_the_process(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_records(path, records())
    before = path.read_bytes()
    Records(path)[0][0][:] = 0
    assert path.read_bytes() == before and Records(path)[0][0].any()


def test_another_process_maps_the_same(tmp_path: Path) -> None:
    write_records(tmp_path / "a.bin", records())
    line = [sys.executable, "-c", SUM, tmp_path / "a.bin"]
    said = subprocess.run(line, capture_output=True, text=True, check=True)
    assert int(said.stdout) == int(records()[1][0].sum())


@pytest.mark.parametrize("cut", [0, 1, 8, 40, -1])
def test_a_file_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.bin"
    write_records(path, records())
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"a\.bin"):
        Records(path)


def test_nothing_is_left_where_a_record_cannot_be_made(tmp_path: Path) -> None:
    def failing():
        yield records()[0]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_records(tmp_path / "a.bin", failing())
    assert not list(tmp_path.iterdir())
