"""FiftyOne: what the samples say of each frame, and the data set loaded by its own code where that is installed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from written_cases import CADIS, GAPS, write

from surgaug.datasets.dataset import items_of, open_pairs
from surgaug.datasets.layouts import fiftyone as layout
from surgaug.errors import DataError
from surgaug.io.atomic import write_text


def made_with_rows(root: Path):
    """A written set with a manifest, as synthesize leaves it before it writes the index files."""
    made = write(root, "fiftyone")
    rows = [
        {
            "index": frame.index, "image": made.target.paths(frame)[0], "label": made.target.paths(frame)[1],
            "agreement": 0.25 * frame.index, "seed": 7, "size": [32, 56], "classes": {"0": 12},
            "checks": {"finite": True}, "perturbations": [{"op": "flip"}, {"op": "shift", "by": [1.5, 2]}],
            "refused": {"shift: 0.5 outside": 2},
        }
        for frame in made.frames
    ]  # fmt: skip
    write_text(root / "manifest.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    made.target.finish(made.frames)
    return made, rows


def test_samples_say_all_that_the_manifest_says(tmp_path: Path) -> None:
    made, rows = made_with_rows(tmp_path)
    samples = json.loads((tmp_path / "samples.json").read_text())["samples"]
    for sample, frame, row in zip(samples, made.frames, rows, strict=True):
        assert (tmp_path / sample["filepath"]).is_file() and (tmp_path / sample["ground_truth"]["mask_path"]).is_file()
        assert sample["tags"] == [frame.split, "synthetic" if frame.synthetic else "real"]
        assert sample["operations"] == ["flip", "shift"] and sample["video"] == frame.video
        assert {key: sample[key] for key in row if key != "refused"} == {k: v for k, v in row.items() if k != "refused"}
        assert sample["refused"] == {"shift: 0_5 outside": 2}, "its database has no dots in names"
    targets = json.loads((tmp_path / "metadata.json").read_text())["info"]["mask_targets"]["ground_truth"]
    assert targets == {**{str(k): c.name for k, c in enumerate(CADIS.classes, 1)}, "37": "ignore"}
    stored = np.asarray(Image.open(tmp_path / samples[0]["ground_truth"]["mask_path"]))
    np.testing.assert_array_equal(stored == 37, made.maps[0] == 255)


def test_the_tag_of_validation_frames_as_fiftyone_has_it(tmp_path: Path) -> None:
    made, _ = made_with_rows(tmp_path)
    file = tmp_path / "samples.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"val"', '"validation"'), encoding="utf-8")
    assert {item.split for item in items_of(tmp_path)} == {frame.split for frame in made.frames} >= {"val"}


def test_a_background_has_no_target(tmp_path: Path) -> None:
    write(tmp_path, "fiftyone", GAPS)
    info = json.loads((tmp_path / "metadata.json").read_text())["info"]
    assert info["default_mask_targets"] == {"1": "Organ, left", "2": 'tool "A"', "3": "ignore"}


def test_damaged_samples_are_named(tmp_path: Path) -> None:
    write(tmp_path, "fiftyone")
    with pytest.raises(DataError, match="no sample has the tag 'none'"):
        layout.read(tmp_path, split="none")
    for wrong in ("[1]", "{", '{"samples": [{}]}'):
        write_text(tmp_path / "samples.json", wrong)
        with pytest.raises(DataError, match="not FiftyOne's samples with masks"):
            open_pairs(tmp_path)


@pytest.mark.slow
def test_fiftyones_own_importer_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples and masks as FiftyOne makes them of the files. Its database, where they would go, is left out."""
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", "mongodb://localhost:1")  # so that none is started
    monkeypatch.setenv("FIFTYONE_DO_NOT_TRACK", "1")
    importers = pytest.importorskip("fiftyone.utils.data.importers", reason="FiftyOne is not installed")
    made, rows = made_with_rows(tmp_path)
    assert importers.FiftyOneDatasetImporter(str(tmp_path))._is_legacy_format_data(), "of files, and of no database"
    found = importers.LegacyFiftyOneDatasetImporter(str(tmp_path))
    found.setup()
    targets = found.get_dataset_info()["mask_targets"]["ground_truth"]
    assert targets["1"] == "Pupil" and targets["37"] == "ignore" and len(found) == len(made.frames)
    for sample, frame, row, image, label_map in zip(found, made.frames, rows, made.images, made.maps, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(sample.filepath)), image)
        np.testing.assert_array_equal(sample.ground_truth.get_mask(), made.target.encode(label_map))
        assert sample.name == frame.name and sample.tags[0] == frame.split
        assert sample.agreement == row["agreement"] and sample.operations == ["flip", "shift"]
