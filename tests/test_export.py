from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from heard import Heard
from PIL import Image

from surgaug.datasets.dataset import open_pairs
from surgaug.datasets.item import Item
from surgaug.datasets.provenance import read_origins
from surgaug.errors import DataError, UsageError
from surgaug.export import ExportConfig, export, split_items
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.builtin_spaces import load_space
from surgaug.phantom import render

CADIS = load_space("cadis")


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """CaDIS: two training videos, one of validation, one of test, two frames each."""
    for video in (1, 3, 5, 2):
        for frame in (0, 10):
            image, label_map = render(100 * video + frame, (24, 40))
            for kind, array in (("Images", image), ("Labels", label_map)):
                folder = tmp_path / "cadis" / f"Video{video:02d}" / kind
                folder.mkdir(parents=True, exist_ok=True)
                write_png(folder / f"Video{video}_frame{frame:06d}.png", array)
    return tmp_path / "cadis"


def synthetic_set(root: Path, rows: list[dict]) -> Path:
    """An output of synthesize with these rows; images and label maps are made up."""
    for i, row in enumerate(rows):
        row |= {"index": i, "image": f"images/{row['name']}.png", "label": f"labels/{row['name']}.png"}
        image, label_map = render(1000 + i, (24, 40))
        for path, array in ((row["image"], image), (row["label"], label_map)):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            write_png(root / path, array)
    write_text(root / "manifest.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write_text(root / "dataset.json", json.dumps({"label_space": CADIS.to_dict()}))
    return root


@pytest.fixture
def synth(real: Path, tmp_path: Path) -> Path:
    """Two synthesized from each video's first mask, noted as `synthesize` does, with the path."""
    rows = []
    for video in (1, 3, 5, 2):
        for k in range(2):
            mask = f"Video{video}_frame000000"
            source = real / f"Video{video:02d}" / "Labels" / f"{mask}.png"
            rows.append({"name": f"{mask}_{k:06d}", "mask": mask, "source": str(source)})
    return synthetic_set(tmp_path / "synth", rows)


def rows_of(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def test_synthetic_images_train_only_and_none_of_held_out_masks(real: Path, synth: Path, tmp_path: Path) -> None:
    heard = Heard()
    out = tmp_path / "out"
    result = export(ExportConfig(real, out, (synth,)), heard)
    assert result.counts == {("train", False): 4, ("train", True): 4, ("val", False): 2, ("test", False): 2}
    assert "synthetic images left out, since their masks are of the validation or test split: 4" in heard.said
    admission = json.loads((out / "admission.json").read_text())
    assert admission["images"] == {"put_in": 8, "admitted": 4, "refused": 4}
    assert admission["reasons"] == {"its mask is of the validation or test split": 4}
    assert sum(video["admitted"] for video in admission["videos"]) == 4
    assert {v["video"] for v in admission["videos"] if v["refused"]} == {"Video05", "Video02"}
    assert sum(c["pixels"] for c in admission["classes"]) == 4 * 24 * 40
    rows = rows_of(out)
    assert {(r["video"], r["split"]) for r in rows if r["synthetic"]} == {("Video01", "train"), ("Video03", "train")}
    assert all(Path(r["source"]).is_file() and Path(r["image_source"]).is_file() for r in rows)
    found = open_pairs(out)
    assert found.space == CADIS and len(found) == 12
    for row in rows:
        original = np.asarray(Image.open(row["image_source"]))
        np.testing.assert_array_equal(np.asarray(Image.open(out / row["image"])), original)


def test_masks_are_followed_through_augment_masks_even_without_names(real: Path, tmp_path: Path) -> None:
    """A synthetic image of a changed mask of a validation frame, whose file name tells nothing."""
    changed = tmp_path / "augmented"
    source = real / "Video05" / "Labels" / "Video5_frame000000.png"
    (changed / "labels").mkdir(parents=True)
    (changed / "labels" / "x_000000.png").write_bytes(source.read_bytes())
    row = {"index": 0, "label": "labels/x_000000.png", "mask": "x", "mask_file": str(source)}
    write_text(changed / "manifest.jsonl", json.dumps(row) + "\n{half")
    synth = synthetic_set(
        tmp_path / "synth",
        [{"name": "a", "mask": "x_000000", "source": str(changed / "labels" / "x_000000.png")}],
    )
    assert read_origins(synth)["a.png"].path == str(source)
    heard = Heard()
    assert ("train", True) not in export(ExportConfig(real, tmp_path / "out", (synth,)), heard).counts
    assert any("validation or test split: 1" in line for line in heard.said)


def test_images_with_instruments_of_held_out_masks_are_left_out(real: Path, tmp_path: Path) -> None:
    """As `augment-masks` notes them, and as 0.1 did, with the name alone."""
    rows = []
    for k, donor in enumerate(("Video1_frame000010", "Video3_frame000000", "Video5_frame000010", "Video2_frame000000")):
        folder = real / f"Video{donor[5:7].rstrip('_').zfill(2)}" / "Labels"
        note = {"op": "insert", "from": donor, "donors": [{"mask": donor, "file": str(folder / f"{donor}.png")}]}
        if k % 2:
            del note["donors"]
        source = real / "Video01" / "Labels" / "Video1_frame000000.png"
        rows.append({"name": f"s{k}", "mask": source.stem, "source": str(source), "perturbations": [note]})
    heard, out = Heard(), tmp_path / "Dataset001_x"
    synth = synthetic_set(tmp_path / "synth", rows)
    result = export(ExportConfig(real, out, (synth,)), heard)
    assert result.counts["train", True] == 2
    assert "synthetic images left out, since instruments in them were cut from such masks: 2" in heard.said


def test_masks_of_elsewhere_train_and_are_warned_of(real: Path, tmp_path: Path) -> None:
    rows = [{"name": "a", "mask": "m", "source": "elsewhere/m.png"}]
    rows.append({"name": "b", "mask": "v", "source": "elsewhere/v.png", "split": "val"})
    rows.append({"name": "c", "mask": "Video5_frame000010", "source": "copied/Video5_frame000010.png"})
    heard = Heard()
    result = export(ExportConfig(real, tmp_path / "out", (synthetic_set(tmp_path / "synth", rows),)), heard)
    assert result.counts["train", True] == 1 and any("validation or test split: 2" in line for line in heard.said)
    assert any("synthetic images from masks that are not in" in line for line in heard.said)


def test_a_training_mask_of_a_video_with_validation_frames_is_told_apart(real: Path, tmp_path: Path) -> None:
    shared, rows = tmp_path / "shared", []
    for split, frame in (("train", 0), ("val", 10)):
        stem = f"Video1_frame{frame:06d}"
        for kind, to in (("Images", "images"), ("Labels", "labels")):
            (shared / split / to).mkdir(parents=True)
            file = real / "Video01" / kind / f"{stem}.png"
            (shared / split / to / file.name).write_bytes(file.read_bytes())
        copies = 1 if split == "val" else 2
        source = str(shared / split / "labels" / f"{stem}.png")
        rows += [{"name": f"{stem}_{k:06d}", "mask": stem, "source": source} for k in range(copies)]
    heard, out = Heard(), tmp_path / "out"
    synth = synthetic_set(tmp_path / "synth", rows)
    export(ExportConfig(shared, out, (synth,), classes="cadis"), heard)
    left_out = [line for line in heard.said if "synthetic images left out" in line]
    assert [line.rpartition(" masks are of ")[2] for line in left_out] == [
        "videos with validation or test frames: 2",
        "the validation or test split: 1",
    ]
    assert json.loads((out / "admission.json").read_text())["reasons"] == {
        "its mask is of a video with validation or test frames": 2,
        "its mask is of the validation or test split": 1,
    }


def test_copies_of_held_out_masks_are_known_by_what_they_hold(real: Path, tmp_path: Path) -> None:
    """Frames of no video, whose masks were copied elsewhere under other names before they were synthesized."""
    plain = tmp_path / "plain"
    for split, video in (("train", 1), ("val", 5)):
        for kind, to in (("Images", "images"), ("Labels", "labels")):
            (plain / split / to).mkdir(parents=True)
            for k, file in enumerate(sorted((real / f"Video{video:02d}" / kind).iterdir())):
                (plain / split / to / f"{k}.png").write_bytes(file.read_bytes())
    rows = []
    for name, split in (("x", "train"), ("y", "val")):
        (tmp_path / f"{name}.png").write_bytes((plain / split / "labels" / "0.png").read_bytes())
        rows.append({"name": name, "mask": name, "source": str(tmp_path / f"{name}.png")})
    heard = Heard()
    config = ExportConfig(plain, tmp_path / "out", (synthetic_set(tmp_path / "synth", rows),), classes="cadis")
    assert export(config, heard).counts["train", True] == 1
    assert any("validation or test split: 1" in line for line in heard.said)
    assert any("from masks that are not in" in line and "1 (x)" in line for line in heard.said)


def test_masks_noted_from_another_working_folder_are_found(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames of no video, with names of their own in each split; `synthesize` ran in the folder above."""
    plain, rows = tmp_path / "plain", []
    for split, video in (("train", 1), ("val", 5)):
        for kind, to in (("Images", "images"), ("Labels", "labels")):
            (plain / split / to).mkdir(parents=True)
            for k, file in enumerate(sorted((real / f"Video{video:02d}" / kind).iterdir())):
                (plain / split / to / f"{k}.png").write_bytes(file.read_bytes())
        rows.append({"name": f"of_{split}", "mask": "0", "source": f"plain/{split}/labels/0.png"})
    synth = synthetic_set(tmp_path / "synth", rows)
    monkeypatch.chdir(plain)
    heard = Heard()
    assert export(ExportConfig(plain, tmp_path / "out", (synth,), classes="cadis"), heard).counts["train", True] == 1
    assert any("validation or test split: 1" in line for line in heard.said)
    assert not any("from masks that are not in" in line for line in heard.said)


def test_synthetic_images_stay_so_when_a_data_set_is_written_again(real: Path, synth: Path, tmp_path: Path) -> None:
    export(ExportConfig(real, tmp_path / "mixed", (synth,)))
    again = export(ExportConfig(tmp_path / "mixed", tmp_path / "Dataset501_Again", layout="nnunet"))
    assert again.counts == {("train", False): 4, ("train", True): 4, ("val", False): 2, ("test", False): 2}
    rows = [{"name": f"Video{video}_x", "mask": "m", "source": "", "sampler": "ddim"} for video in (1, 3)]
    made = synthetic_set(tmp_path / "made", rows)
    assert export(ExportConfig(made, tmp_path / "as_mmseg", layout="mmseg")).counts == {("train", True): 2}
    with pytest.raises(UsageError, match="holds 2 synthetic images, and those must not validate"):
        export(ExportConfig(made, tmp_path / "never", hold_out=0.5))
    for kind in ("images", "labels"):
        (made / "val").mkdir(exist_ok=True)
        (made / kind).rename(made / "val" / kind)
    text = (made / "manifest.jsonl").read_text()
    write_text(made / "manifest.jsonl", text.replace('"images/', '"val/images/').replace('"labels/', '"val/labels/'))
    with pytest.raises(DataError, match="a synthetic image in the val split"):
        export(ExportConfig(made, tmp_path / "never"))


def test_palettes_and_names_that_differ_in_case_only(real: Path, synth: Path, tmp_path: Path) -> None:
    export(ExportConfig(real, tmp_path / "out", (synth,), "mmseg", palette=True))
    with Image.open(next((tmp_path / "out" / "ann_dir" / "train").iterdir())) as label:
        assert label.mode == "P"
    with pytest.raises(UsageError, match="palette: True there, None now"):
        export(ExportConfig(real, tmp_path / "out", (synth,), "mmseg"))
    rows = [{"name": name, "mask": "Video1_frame000000", "source": ""} for name in ("a", "A")]
    with pytest.raises(DataError, match=r"would both be written as train/images/a\.png"):
        export(ExportConfig(real, tmp_path / "two", (synthetic_set(tmp_path / "cases", rows),)))


def test_how_an_image_was_made_stays_with_its_copy(real: Path, tmp_path: Path) -> None:
    told = {"seed": 3, "sampler": "ddim", "style": "auto", "agreement": 0.75, "perturbations": [{"op": "flip"}]}
    source = real / "Video01" / "Labels" / "Video1_frame000000.png"
    made = {"name": "a", "mask": source.stem, "source": str(source), "classes": {"0": 5}, **told}
    synthetic_set(tmp_path / "synth", [made])
    export(ExportConfig(real, tmp_path / "once", (tmp_path / "synth",)))
    export(ExportConfig(tmp_path / "once", tmp_path / "twice", layout="fiftyone"))
    for out in ("once", "twice"):
        row = next(row for row in rows_of(tmp_path / out) if row["synthetic"])
        assert {key: row[key] for key in told} == told and "classes" not in row
        assert row["origin"]["mask"] == source.stem and row["origin"]["changed"]
        assert not any(key in other for other in rows_of(tmp_path / out) if not other["synthetic"] for key in told)
    samples = json.loads((tmp_path / "twice" / "samples.json").read_text())["samples"]
    assert [s["agreement"] for s in samples if "synthetic" in s["tags"]] == [0.75]


def test_ratio(real: Path, synth: Path, tmp_path: Path) -> None:
    config = ExportConfig(real, tmp_path / "half", (synth,), ratio=0.5)
    assert export(config).counts["train", True] == 2
    names = [row["name"] for row in rows_of(tmp_path / "half") if row["synthetic"]]
    export(replace(config, out=tmp_path / "again"))
    assert names == [row["name"] for row in rows_of(tmp_path / "again") if row["synthetic"]]
    with pytest.raises(DataError, match="8 synthetic images are needed for 4 real frames, and 4 may train"):
        export(replace(config, ratio=2.0, out=tmp_path / "much"))
    for wrong in (
        {"ratio": -1.0},
        {"ratio": 1.0, "synth": ()},
        {"hold_out": 1.0},
        {"layout": "voc"},
        {"hold_out": 0.2},
    ):
        with pytest.raises(UsageError):
            export(replace(config, out=tmp_path / "wrong", **wrong))
    assert not (tmp_path / "wrong").exists()


def test_synthetic_images_of_another_size_are_told(real: Path, tmp_path: Path) -> None:
    made = synthetic_set(tmp_path / "synth", [{"name": "x", "mask": "y", "source": "z"}])
    for path in made.glob("*/x.png"):
        with Image.open(path) as picture:
            picture.resize((20, 12), Image.Resampling.NEAREST).save(path)
    heard = Heard()
    export(ExportConfig(real, tmp_path / "out", (made,)), heard)
    assert any(line.startswith(f"{made}: images of 12x20, beside real ones of 24x40") for line in heard.warnings)


def test_goes_on_and_refuses_another(real: Path, synth: Path, tmp_path: Path) -> None:
    config = ExportConfig(real, tmp_path / "Dataset501_Mix", (synth,), "nnunet")
    export(config)
    files = {p: p.stat().st_mtime_ns for p in config.out.rglob("*.png")}
    gone = sorted(files)[0]
    gone.unlink()
    export(config)
    after = {p: p.stat().st_mtime_ns for p in config.out.rglob("*.png")}
    assert after.keys() == files.keys() and [p for p in files if after[p] != files[p]] == [gone]
    with pytest.raises(UsageError, match=r"made with other settings \(.*ratio: None there, 0.5 now"):
        export(replace(config, ratio=0.5))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").touch()
    with pytest.raises(DataError, match="is not empty"):
        export(replace(config, out=tmp_path / "full", layout="mmseg"))


@pytest.mark.parametrize("kind", ["real", "synthetic"])
def test_images_made_anew_under_the_same_names_are_refused(real: Path, synth: Path, tmp_path: Path, kind: str) -> None:
    config = ExportConfig(real, tmp_path / "out", (synth,))
    export(config)
    before = {p: p.read_bytes() for p in config.out.rglob("*") if p.is_file()}
    image = next((real / "Video01" / "Images").iterdir()) if kind == "real" else synth / rows_of(synth)[0]["image"]
    write_png(image, render(7, (24, 40))[0])
    with pytest.raises(UsageError, match=r"made with other settings \(images: \w+ there, \w+ now\); .*another --out"):
        export(config)
    assert {p: p.read_bytes() for p in config.out.rglob("*") if p.is_file()} == before
    export(replace(config, out=tmp_path / "fresh"))


def test_a_description_that_tells_nothing_of_images_goes_on(real: Path, synth: Path, tmp_path: Path) -> None:
    config = ExportConfig(real, tmp_path / "out", (synth,))
    export(config)
    described = json.loads((config.out / "dataset.json").read_text())
    del described["settings"]["images"]
    write_text(config.out / "dataset.json", json.dumps(described))
    export(config)
    assert "images" not in json.loads((config.out / "dataset.json").read_text())["settings"], "of which nothing is said"


@pytest.mark.parametrize("kind", ["image", "label"])
def test_a_file_cut_short_is_written_again(real: Path, synth: Path, tmp_path: Path, kind: str) -> None:
    config = ExportConfig(real, tmp_path / "out", (synth,))
    export(config)
    for row in rows_of(config.out)[::7]:
        file = config.out / row[kind]
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        export(config)
        assert file.read_bytes() == whole


def test_nnunet_folds_of_the_merged_set(real: Path, synth: Path, tmp_path: Path) -> None:
    out = tmp_path / "Dataset501_Mix"
    export(ExportConfig(real, out, (synth,), "nnunet"))
    (fold,) = json.loads((out / "splits_final.json").read_text())
    assert len(fold["train"]) == 8 and sorted(fold["val"]) == ["Video5_frame000000", "Video5_frame000010"]
    assert len(list((out / "imagesTs").iterdir())) == 2


def test_names_that_occur_twice_get_their_folder_before_them(real: Path, tmp_path: Path) -> None:
    rows = [{"name": "Video1_frame000000", "mask": "Video1_frame000000", "source": ""}]
    synth = synthetic_set(tmp_path / "synth", rows)
    export(ExportConfig(real, tmp_path / "out", (synth,)))
    assert [r["name"] for r in rows_of(tmp_path / "out") if r["synthetic"]] == ["synth_Video1_frame000000"]


def test_whole_videos_are_held_out() -> None:
    items = [Item(f"v{v}_{i}", None, None, f"v{v}") for v in range(10) for i in range(v + 1)]
    splits = split_items(items, 0.2, 0)
    held = {item.video for item, split in zip(items, splits, strict=True) if split == "val"}
    assert {item.video for item, split in zip(items, splits, strict=True) if split == "train"}.isdisjoint(held)
    assert 0.2 * len(items) <= splits.count("val") <= 0.2 * len(items) + 10 and set(splits) == {"train", "val"}
    assert split_items(items, 0.0, 0) == ["train"] * len(items)
    assert split_items(items[:1], 0.5, 0) == ["train"], "one video cannot be split"


def test_classes_must_be_the_same(real: Path, tmp_path: Path) -> None:
    synth = synthetic_set(tmp_path / "synth", [{"name": "a", "mask": "m", "source": ""}])
    write_text(synth / "dataset.json", json.dumps({"label_space": load_space("cataract1k").to_dict()}))
    with pytest.raises(DataError, match="in the label space 'cataract1k'"):
        export(ExportConfig(real, tmp_path / "out", (synth,)))


def test_a_frame_that_exif_turns_is_written_turned(tmp_path: Path) -> None:
    """A copy with the tag would lie beside the label map that it does not fit, for all programs that know no EXIF."""
    shown = np.zeros((24, 40, 3), np.uint8)
    shown[4:12, 4:14] = 200
    (tmp_path / "in" / "images").mkdir(parents=True)
    (tmp_path / "in" / "labels").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(shown[::-1, ::-1].copy()).save(tmp_path / "in" / "images" / "a.png", exif=exif)
    write_png(tmp_path / "in" / "labels" / "a.png", (shown[..., 0] > 0).astype(np.uint8))
    export(ExportConfig(data=tmp_path / "in", out=tmp_path / "out"))
    with Image.open(next((tmp_path / "out").rglob("images/**/*.png"))) as image:
        assert np.array_equal(np.asarray(image), shown) and 0x0112 not in image.getexif()


def test_frames_of_16_bits_are_written_with_8(tmp_path: Path) -> None:
    """Trainers that read all bits would find some frames 257 times as bright as others."""
    shown = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    (tmp_path / "in" / "images").mkdir(parents=True)
    (tmp_path / "in" / "labels").mkdir()
    assert cv2.imwrite(str(tmp_path / "in" / "images" / "a.png"), shown[..., ::-1].astype(np.uint16) * 257)
    write_png(tmp_path / "in" / "labels" / "a.png", (shown[..., 0] > 99).astype(np.uint8))
    export(ExportConfig(data=tmp_path / "in", out=tmp_path / "out"))
    written = cv2.imread(str(next((tmp_path / "out").rglob("images/**/*.png"))), cv2.IMREAD_UNCHANGED)
    assert written.dtype == np.uint8 and np.array_equal(written[..., ::-1], shown)


def names_written(out: Path) -> set[str]:
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert [row["index"] for row in rows] == list(range(len(rows)))
    return {row["name"] for row in rows}


def test_lists_keep_and_leave_out(real: Path, synth: Path, tmp_path: Path) -> None:
    export(ExportConfig(real, tmp_path / "all", (synth,)))
    every = names_written(tmp_path / "all")
    made = sorted(row.stem for row in (synth / "images").iterdir() if row.stem in every)
    dropped = sorted(every - set(made))[0]
    marked = tmp_path / "marked.txt"
    marked.write_text(f"# by hand\n{made[0]}\n\nimages/{dropped}.png\n")
    export(ExportConfig(real, tmp_path / "without", (synth,), without=marked))
    assert names_written(tmp_path / "without") == every - {made[0], dropped}
    marked.write_text(made[0])
    export(ExportConfig(real, tmp_path / "only", (synth,), only=marked))
    assert names_written(tmp_path / "only") == every - set(made[1:]), "the real frames, of which none is named, stay"


def test_a_validation_frame_left_out_lets_nothing_of_its_video_train(real: Path, synth: Path, tmp_path: Path) -> None:
    export(ExportConfig(real, tmp_path / "all", (synth,)))
    held = [item.name for item in open_pairs(real).items if item.split != "train"]
    (tmp_path / "held.txt").write_text("\n".join(held))
    export(ExportConfig(real, tmp_path / "some", (synth,), without=tmp_path / "held.txt"))
    assert names_written(tmp_path / "some") == names_written(tmp_path / "all") - set(held)


def test_a_list_that_names_no_frame(real: Path, tmp_path: Path) -> None:
    name = open_pairs(real).items[0].name
    (tmp_path / "list.txt").write_text(f"{name}0")
    with pytest.raises(DataError, match=f"list.txt: '{name}0' names no frame; did you mean {name}"):
        export(ExportConfig(real, tmp_path / "out", only=tmp_path / "list.txt"))
    (tmp_path / "list.txt").write_text("\n".join(item.name for item in open_pairs(real).items))
    with pytest.raises(DataError, match="no frame is left"):
        export(ExportConfig(real, tmp_path / "out", without=tmp_path / "list.txt"))


def test_a_card_says_what_is_real_and_what_is_synthetic(real: Path, synth: Path, tmp_path: Path) -> None:
    done = export(ExportConfig(real, tmp_path / "mixed", (synth,), layout="hf"))
    text = (tmp_path / "mixed" / "README.md").read_text()
    front = text.split("---\n")[1]
    assert "- image-segmentation" in front and "- synthetic" in front and "- n<1K" in front
    for split, n in done.by_split().items():
        assert f"| {split} | {n['real']} | {n['synthetic']} |" in text
    assert str(synth) in text
    assert all(f"| {c.id} | {c.name} | {c.kind} |" in text for c in CADIS.classes)
    assert text.count("TO FILL IN") == 2
    (tmp_path / "mixed" / "README.md").write_text("ours")
    export(ExportConfig(real, tmp_path / "mixed", (synth,), layout="hf"))
    assert (tmp_path / "mixed" / "README.md").read_text() == "ours"
    export(ExportConfig(real, tmp_path / "real"))
    assert "synthetic ones" not in (tmp_path / "real" / "README.md").read_text()
