"""`inspect --audit`: wrong labels come first, by frame and by region."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from surgaug.cli import run
from surgaug.errors import DataError, UsageError
from surgaug.inspect.audit import regions_of, suspicion_of_frames
from surgaug.inspect.run import inspect
from surgaug.labels.label_space import LabelClass, LabelSpace

SPACE = LabelSpace("three", tuple(LabelClass(i, name) for i, name in ((0, "ground"), (2, "pupil"), (5, "tool"))))


def test_a_frame_is_as_suspicious_as_its_most_surprising_class():
    maps = np.zeros((3, 4, 16), np.uint8)
    maps[1:, :, 8:] = 1
    surprise = np.full(maps.shape, 0.5, np.float32)
    surprise[2, :, 8:] = 2.0  # of class 1, which has 1.0 elsewhere
    surprise[1, :, 8:] = 1.0
    found = suspicion_of_frames(surprise, maps, np.array([0.5, 1.0, np.nan]))
    assert found == pytest.approx([0, 0, 1.0 * 32**0.25])


def test_a_few_pixels_of_a_class_tell_nothing():
    maps, surprise = np.zeros((1, 4, 16), np.uint8), np.full((1, 4, 16), 0.5, np.float32)
    maps[0, 0, :15], surprise[0, 0, :15] = 1, 9.0
    assert suspicion_of_frames(surprise, maps, np.array([0.5, 1.0])) == pytest.approx([0])


def test_regions_are_of_one_label_and_in_one_piece():
    index_map, predicted = np.zeros((20, 40), np.uint8), np.zeros((20, 40), np.uint8)
    index_map[5:10, 10:20], index_map[5:10, 20:24] = 1, 2
    doubts = np.zeros((20, 40), bool)
    doubts[5:10, 10:24] = doubts[15:20, :8] = True
    doubts[0, 30:35] = True  # too small
    predicted[5:10, 10:20] = 2
    surprise = np.where(index_map == 1, 4.0, 3.0).astype(np.float32)
    found = regions_of("f", surprise, index_map, predicted, doubts, np.array([1.0, 2.0, 2.5]), SPACE)
    assert [(r.label, r.read, r.pixels) for r in found] == [(0, 0, 40), (2, 5, 50), (5, 0, 20)]
    assert found[1].box == pytest.approx((0.25, 0.25, 0.5, 0.5))
    assert found[1].suspicion == pytest.approx(2 * 50**0.25)


@pytest.fixture
def frames(tmp_path):
    """24 frames of a red square on blue; in two of them the label lies elsewhere."""
    root, rng = tmp_path / "data", np.random.default_rng(0)
    for kind in ("images", "labels"):
        (root / kind).mkdir(parents=True)
    (root / "classes.json").write_text(json.dumps({"ground": 0, "square": 1}))
    for i in range(24):
        label_map = np.zeros((32, 48), np.uint8)
        y, x = rng.integers(2, 18), rng.integers(2, 12)
        label_map[y : y + 12, x : x + 12] = 1
        image = np.where((label_map == 1)[..., None], [190, 60, 60], [60, 80, 150]) + rng.normal(0, 10, (32, 48, 3))
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(root / "images" / f"f{i:02d}.png")
        wrong = i in (5, 17)
        Image.fromarray(np.roll(label_map, 22, 1) if wrong else label_map).save(root / "labels" / f"f{i:02d}.png")
    return root


def test_wrong_labels_come_first(frames, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SURGAUG_CACHE", str(tmp_path / "cache"))
    sheet, out = tmp_path / "sheet.png", tmp_path / "audit.json"
    line = ["inspect", str(frames), "--audit", "--segmenter-steps", "40", "--device", "cpu"]
    page = tmp_path / "page.html"
    assert run([*line, "--sheet", str(sheet), "--html", str(page), "--json", str(out)]) == 0
    found = json.loads(out.read_text())["audit"]
    assert {frame["name"] for frame in found["frames"][:2]} == {"f05", "f17"}
    assert len(found["frames"]) == 24
    assert {region["frame"] for region in found["regions"][:2]} <= {"f05", "f17"}
    said = capsys.readouterr().err
    assert "Most suspicious labels" in said and re.search(r"audit: pixels of \d+ of 24 frames surprise", said)
    assert "nothing wrong with its files; for its labels see above" in said, "the files alone are called sound"
    assert Image.open(sheet).width == 1600
    rows = json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.DOTALL)[1])["rows"]
    told = {row["name"]: row for row in rows}
    assert {name for name, row in told.items() if "square, read as ground" in row["doubts"]} >= {"f05", "f17"}
    assert told["f05"]["suspicion"] == pytest.approx(
        next(f["suspicion"] for f in found["frames"] if f["name"] == "f05"), abs=1e-3
    )
    outline = np.asarray(Image.open(page.parent / told["f05"]["outline"]).convert("RGBA"))
    assert 0 < (outline[..., 3] > 0).mean() < 0.5 and (outline[outline[..., 3] > 0] == (255, 40, 40, 255)).all()


def test_what_cannot_be_audited_is_refused(frames, tmp_path):
    with pytest.raises(UsageError, match="label maps"):
        inspect(frames / "labels", audit=True)
    with pytest.raises(UsageError, match="--segmenter-steps"):
        inspect(frames, segmenter_steps=5)
    for kind in ("images", "labels"):
        for path in list((frames / kind).iterdir())[4:]:
            path.unlink()
    with pytest.raises(DataError):
        inspect(frames, audit=True)
