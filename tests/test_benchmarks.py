"""The comparisons of `benchmarks/`, run as they stand on a handful of phantom scenes."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    """A module of that folder, as when it is run from there."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module
    for name in ("frames", "side_by_side", "quality"):
        sys.modules.pop(name, None)


def test_frames_of_a_data_set_keep_its_split(benchmark, tmp_path):
    frames = benchmark("frames")
    frames.write_frames("phantom", tmp_path / "phantom", 3, 2, (16, 28))
    frames.write_frames(str(tmp_path / "phantom"), tmp_path / "smaller", 2, 1, (8, 14), "cadis")
    for part, n in (("train", 2), ("val", 1)):
        for kind in ("images", "labels"):
            files = sorted((tmp_path / "smaller" / part / kind).iterdir())
            assert len(files) == n and np.asarray(Image.open(files[0])).shape[:2] == (8, 14)
    assert len(json.loads((tmp_path / "smaller" / "classes.json").read_text())["classes"]) == 36
    with pytest.raises(SystemExit, match="name another folder"):
        frames.write_frames("phantom", tmp_path / "phantom", 3, 2, (16, 32))


@pytest.mark.slow
def test_quality_compares_and_does_nothing_twice(benchmark, tmp_path, capsys):
    quality, out = benchmark("quality"), tmp_path / "out"
    line = [
        str(out), "--frames", "8", "--val", "4", "--size", "16x16", "--minutes", "0.02", "--paint", "1",
        "--methods", "diffusion,pix2pix", "--segmenter-steps", "2", "--segmenter-seeds", "1", "--set", "batch=2",
    ]  # fmt: skip
    quality.main(line)
    assert capsys.readouterr().out.strip() == str(out / "quality.md")
    table = (out / "quality.md").read_text()
    assert "| data | frames | diffusion | pix2pix |" in table
    cells = json.loads((out / "quality.json").read_text())
    assert [cell["method"] for cell in cells] == ["diffusion", "pix2pix"]
    for cell in cells:
        assert cell["measures"]["miou"] is not None and cell["minutes"] >= 0.02
    assert Image.open(out / "phantom-8-seed0.png").width > 600
    cell = out / "phantom-8-seed0" / "pix2pix" / "cell.json"
    before = cell.stat().st_mtime_ns
    quality.main(line)
    assert cell.stat().st_mtime_ns == before and (out / "quality.md").read_text() == table
