"""NumPy's arrays, tables of Hugging Face and ControlNet, and data sets of nnU-Net that are named for what they are."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surgaug.datasets.dataset import items_of, open_masks, open_pairs
from surgaug.datasets.survey import survey
from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.io.images import MAX_PIXELS, read_raw
from surgaug.runtime.feedback import Silent

MAP = np.arange(24).reshape(4, 6) % 4


def frames(root: Path, *names: str, folder: str = "images") -> Path:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        write_png(root / folder / f"{name}.png", np.zeros((4, 6, 3), np.uint8))
    return root


@pytest.mark.parametrize("dtype", ["int64", "uint8", "uint16", "float32", "bool", ">i4"])
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_of_any_kind_hold_ids(tmp_path: Path, dtype: str, suffix: str) -> None:
    (tmp_path / "masks").mkdir()
    stored = (MAP % 2 if dtype == "bool" else MAP).astype(dtype)
    for name in "ab":
        (np.save if suffix == ".npy" else np.savez_compressed)(tmp_path / "masks" / f"{name}{suffix}", stored)
    found = open_pairs(frames(tmp_path, "a", "b"))
    survey(found, Silent(), need_images=True)
    np.testing.assert_array_equal(found.load_label(0), stored.astype(int))
    np.testing.assert_array_equal(open_masks(tmp_path / "masks").load(1), stored.astype(int))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((4, 6, 4), np.uint8), "an array 4x6x4"),
        (np.zeros(24, np.uint8), "an array 24"),
        (np.zeros((0, 6), np.uint8), "an array 0x6"),
        (np.full((4, 6), -1), "values from -1 to -1"),
        (np.full((4, 6), 0.5), "values from 0.5"),
        (np.full((4, 6), np.nan), "values from nan"),
        (np.full((4, 6), "a"), "holds <U1"),
        (np.full((4, 6), 1j), "holds complex128"),
    ],
)
def test_arrays_that_are_no_label_map(tmp_path: Path, array: np.ndarray, said: str) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=rf"a\.npy: .*{said}"):
        read_raw(tmp_path / "a.npy")


def test_arrays_that_would_run_code_or_claim_any_size(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[{}]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="holds object"):
        read_raw(tmp_path / "a.npy")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**6)})
    (tmp_path / "a.npy").write_bytes(header.getvalue())
    with pytest.raises(DataError, match=f"{MAX_PIXELS:,} pixels"):
        read_raw(tmp_path / "a.npy")
    np.savez(tmp_path / "b.npz", MAP, MAP)
    with pytest.raises(DataError, match="holds 2 arrays"):
        read_raw(tmp_path / "b.npz")
    for name in ("c.npy", "c.npz"):
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(DataError, match="empty file"):
            read_raw(tmp_path / name)


def test_a_row_of_a_table_may_say_its_split(tmp_path: Path) -> None:
    frames(tmp_path, "0", "1", folder="x")
    rows = ["file_name,mask_file_name,split", "x/0.png,x/0.png,train", "x/1.png,x/1.png,validation"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows) + "\n")
    assert [item.split for item in items_of(tmp_path)] == ["train", "val"]


@pytest.mark.parametrize(
    ("table", "image", "label"),
    [
        ("train/metadata.jsonl", "file_name", "mask_file_name"),
        ("train/metadata.jsonl", "image", "conditioning_image"),
        ("metadata.csv", "file_name", "label_file_name"),
        ("prompt.json", "target", "source"),
    ],
)
def test_tables_that_name_images_and_label_maps(tmp_path: Path, table: str, image: str, label: str) -> None:
    folder = (tmp_path / table).parent
    frames(folder, "0", "1", "unnamed", folder="x")
    for name in "01":
        (folder / "y").mkdir(exist_ok=True)
        write_png(folder / "y" / f"{name}.png", (MAP + int(name)).astype(np.uint8))
    rows = [{image: f"x/{name}.png", label: f"y/{name}.png", "prompt": "x"} for name in "01"]
    if table.endswith(".csv"):
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    else:
        lines = [json.dumps(row) for row in rows]
    (tmp_path / table).write_text("\n".join(lines) + "\n")
    found = open_pairs(tmp_path)
    facts = dict(survey(found, Silent(), need_images=True).tables()[0][2])
    assert found.layout == "hf" and [i.split for i in found.items] == ["train" if "train" in table else None] * 2
    assert facts["images that no annotation names"] == "1 (unnamed.png)"
    np.testing.assert_array_equal(found.load_label(1), MAP + 1)


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"modality": {"0": "RGB"}, "labels": {"0": "background"}}, "of nnU-Net v1; convert it"),
        (
            {"channel_names": {"0": "RGB"}, "labels": {}, "file_ending": ".nii.gz"},
            "frames as .png are read, not volumes",
        ),
        ({"channel_names": {"0": "R", "1": "NIR"}, "labels": {"bg": 0}, "file_ending": ".png"}, "a second channel"),
        ({"channel_names": {"0": "RGB"}, "labels": ["bg"], "file_ending": ".png"}, "names no labels"),
        ({"channel_names": {"0": "RGB"}, "labels": {"bg": 0, "all": [1, 2]}, "file_ending": ".png"}, "is a region"),
    ],
)
def test_other_nnunet_data_sets_are_named(tmp_path: Path, described: dict[str, Any], said: str) -> None:
    channels = ["c_0000", "c_0001"] if len(described.get("channel_names", "")) == 2 else ["c_0000"]
    frames(tmp_path, *channels, folder="imagesTr")
    (tmp_path / "labelsTr").mkdir()
    write_png(tmp_path / "labelsTr" / "c.png", np.zeros((4, 6), np.uint8))
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    with pytest.raises(DataError, match=said):
        open_pairs(tmp_path)
