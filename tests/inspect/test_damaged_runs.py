from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surgaug.inspect.run import inspect
from surgaug.inspect.sheet import draw_run

ARCHIVE = Path(__file__).parents[1] / "compatibility" / "files_of_0_1.tar.gz"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "run"


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["run.json", "config.json", "metrics.csv", "last.safetensors"]),
    st.integers(0, 3000),
    st.integers(0, 8),
    st.text('{}[]",:0129-.ntfue\n\x00\xff', max_size=4),
)
def test_files_with_any_bytes_in_them_are_problems_at_worst(run: Path, name: str, at: int, cut: int, new: str) -> None:
    whole = (run / name).read_bytes()
    at %= len(whole)
    (run / name).write_bytes(whole[:at] + new.encode("latin-1") + whole[at + cut :])
    report = inspect(run)
    json.dumps(report.to_dict())
    if curves := report.details.get("curves"):
        draw_run(curves, "run", None)
    (run / name).write_bytes(whole)
