from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from heard import Heard

from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.io.images import read_numbers
from surgaug.phantom import render
from surgaug.runtime.feedback import Silent
from surgaug.scoring.config import ScoreConfig
from surgaug.scoring.inputs import Trust, of_chosen_split, open_folder, pair
from surgaug.scoring.report.model import Report
from surgaug.scoring.run import run_score


def pairs(root: Path, names: list[str]) -> Path:
    for k, name in enumerate(names):
        image, label_map = render(k, (24, 40))
        for kind, array in (("images", image), ("labels", label_map)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            write_png(root / kind / f"{name}.png", array)
    return root


def manifest(root: Path, rows: list[dict], end: str = "") -> None:
    (root / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + end)


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return pairs(tmp_path / "real", ["a", "b"])


@pytest.fixture
def synth(tmp_path: Path, real: Path) -> Path:
    """Four images by way of augment-masks of 0.1: three of variants of frame a, one of a copy of b."""
    masks, out = tmp_path / "masks", pairs(tmp_path / "out", [f"s{k}" for k in range(4)])
    steps = [("a", "flip"), ("a", "shift"), ("a", "zoom"), ("b", None)]
    (masks / "labels").mkdir(parents=True)
    for k, (name, _) in enumerate(steps):
        (masks / "labels" / f"{name}_{k}.png").write_bytes((real / "labels" / f"{name}.png").read_bytes())
    perturbed = [
        {
            "index": k,
            "label": f"labels/{name}_{k}.png",
            "mask": name,
            "mask_file": str(real / "labels" / f"{name}.png"),
            "perturbations": [{"op": op}] if op else [],
        }
        for k, (name, op) in enumerate(steps)
    ]
    manifest(masks, perturbed)
    made = [
        {"index": k, "image": f"images/s{k}.png", "source": str(masks / row["label"]), "perturbations": []}
        for k, row in enumerate(perturbed)
    ]
    manifest(out, made, end='{"index":4,"ima')
    return out


def test_variants_of_one_frame_are_one_source_whatever_changed_them(real: Path, synth: Path) -> None:
    folder = open_folder(synth, "cadis", Silent())
    sources = folder.sources()
    assert len(set(sources[:3])) == 1 and sources[3] != sources[0] and len(set(sources)) == 2
    assert [folder.origins[name].changed for name in folder.names] == [True, True, True, False]


def test_only_images_of_unchanged_maps_are_paired(real: Path, synth: Path) -> None:
    found = pair(open_folder(synth, "cadis", Silent()), open_folder(real, "cadis", Silent()))
    np.testing.assert_array_equal(found.partner, [-1, -1, -1, 1])
    assert (found.changed, found.by) == (3, "source in the manifest")


def test_a_half_written_row_makes_no_difference(synth: Path) -> None:
    before = open_folder(synth, "cadis", Silent())
    text = (synth / "manifest.jsonl").read_text()
    (synth / "manifest.jsonl").write_text(text[: text.rindex("\n") + 1])
    after = open_folder(synth, "cadis", Silent())
    assert before.origins == after.origins and len(before.origins) == 4


def test_numbers_that_no_report_can_hold_are_passed_over(synth: Path) -> None:
    """Infinite guidance was taken once; Python writes it, and NaN, where JSON has no word for them."""
    said = {"agreement": 0.5, "agreement_by_class": {"4": 0.5, "iris": 0.5, "5": math.nan}, "guidance": math.inf}
    rows = [{"image": f"images/s{k}.png", "steps": 9, **said} for k in range(2)]
    manifest(synth, [*rows, {**rows[0], "image": "images/s2.png", "agreement": math.nan}])
    folder = open_folder(synth, "auto", Silent())
    assert folder.settings == {"steps": 9}
    assert folder.trusts == {name: Trust(0.5, {4: 0.5}) for name in ("s0", "s1")}


def test_regions_are_not_read_where_a_label_map_does_not_fit(real: Path, tmp_path: Path) -> None:
    synth = pairs(tmp_path / "synth", ["a", "b"])
    label = synth / "labels" / "b.png"
    write_png(label, read_numbers(label)[:, :20])
    with pytest.raises(DataError, match=r"b.png: 24x40, its label map b.png 24x20: .*--leave-out-bad"):
        regions_of_labels(real, synth)
    label.unlink()
    with pytest.raises(DataError, match=r"b.png: no label map of that name; .*--leave-out-bad"):
        regions_of_labels(real, synth)
    assert regions_of_labels(real, synth, leave_out_bad=True).rows[0].images == 1


def regions_of_labels(real: Path, synth: Path, **options: bool) -> Report:
    return run_score(ScoreConfig(real, (synth,), metrics=("class_frechet",), cache=False, **options))


def test_of_real_frames_with_splits_those_of_one(tmp_path: Path) -> None:
    pairs(tmp_path / "real" / "train", ["a", "b"])
    pairs(tmp_path / "real" / "val", ["c"])
    folder, heard = open_folder(tmp_path / "real", "cadis", Silent()), Heard()
    assert of_chosen_split(folder, None, heard) is folder
    assert "2 of 3 frames are of the training split" in heard.warnings.pop()
    held_out = of_chosen_split(folder, "val", heard)
    assert held_out.names == ("c",) and held_out.images == (tmp_path / "real" / "val" / "images" / "c.png",)
    assert held_out.frames is not None and [held_out.frames.items[i].name for i in held_out.positions] == ["c"]
    assert not heard.warnings and held_out.videos() == [None]
    with pytest.raises(DataError, match="no frame of the split 'test'; there is train, val"):
        of_chosen_split(folder, "test", heard)
    alone = open_folder(tmp_path / "real" / "train", "cadis", Silent())
    assert of_chosen_split(alone, None, heard) is alone and not heard.warnings
