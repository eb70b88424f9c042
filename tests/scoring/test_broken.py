"""`benchmarks/broken.py`: the broken copies of a set are broken as they are called, and a fault unseen is said."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from segmenter_data import write_set

from surgaug.datasets.dataset import open_pairs
from surgaug.runtime.feedback import Silent
from surgaug.scoring.inputs import open_folder, pair

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def broken(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    yield importlib.import_module("broken")
    sys.modules.pop("broken")


def test_each_copy_has_its_fault_and_no_other(broken, tmp_path):
    made, train = (
        open_pairs(write_set(tmp_path / name, n, seed)) for name, n, seed in (("made", 6, 1), ("train", 8, 2))
    )
    rows = [
        {"image": f"images/{item.image.name}", "label": "x", "source": str(train.items[i + 1].label)}
        for i, item in enumerate(made.items)
    ]
    (tmp_path / "made" / "manifest.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    sets = broken.write_sets(tmp_path / "out", made, train, 6)

    def read(name, kind):
        files = sorted((sets[name] / kind).iterdir())
        return np.stack([cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in files])

    images, labels = read("synthetic", "images"), read("synthetic", "labels")
    for name in ("blurred", "hue"):
        assert (read(name, "labels") == labels).all()
        assert (read(name, "images") != images).any()
    assert (
        np.diff(read("blurred", "images").astype(int), axis=2).std() < 0.5 * np.diff(images.astype(int), axis=2).std()
    )
    assert (read("permuted", "images") == images).all()
    assert (read("permuted", "labels") == np.roll(labels, -2, 0)).all()
    # One frame in eight, the first, is held out of the training frames.
    assert (read("real", "images")[..., ::-1] == [train.load_image(0)]).all()
    rest = open_folder(tmp_path / "out" / "train", "auto", Silent())
    assert rest.names == tuple(item.name for item in train.items[1:])
    copies = read("copies", "images")[..., ::-1]
    assert all(any((copy == train.load_image(i)).all() for i in range(1, 8)) for copy in copies)
    for name in ("blurred", "permuted"):
        assert pair(open_folder(sets[name], "auto", Silent()), rest).partner.tolist() == list(range(6))


def test_a_fault_that_is_not_seen_is_said(broken):
    def row(miou, tone):
        measures = {"miou": {"value": miou, "low": miou - 0.05, "high": miou + 0.05}}
        return {"measures": measures, "verdicts": [{"question": "Do they show what their labels say?", "tone": tone}]}

    def seen(*permuted, made="good"):
        return broken.seen("permuted", {"synthetic": row(0.6, made), "permuted": row(*permuted)})

    assert seen(0.4, "bad")
    assert not seen(0.55, "bad")
    assert not seen(0.4, "mixed")
    assert not seen(0.4, "bad", made="bad")
