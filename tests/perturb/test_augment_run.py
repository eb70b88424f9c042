from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from heard import Heard
from perturb_cases import CADIS, WIDE, eye
from PIL import Image

from surgaug import cli
from surgaug.errors import DataError, UsageError
from surgaug.io.atomic import write_png
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.perturb.config import AugmentConfig
from surgaug.perturb.engine import assign_masks
from surgaug.perturb.output import found_kinds, said
from surgaug.perturb.recipe import parse_recipe
from surgaug.perturb.run import augment_masks

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def masks(tmp_path):
    """Three label maps with CaDIS's ids: two with instruments, one of bare eye."""
    folder = tmp_path / "masks"
    folder.mkdir()
    label_map = eye((68, 120))
    write_png(folder / "a.png", label_map)
    write_png(folder / "b.png", np.ascontiguousarray(label_map[:, ::-1]))
    write_png(folder / "c.png", np.where(label_map > 6, 6, label_map).astype(np.uint8))
    return folder


def config(masks, out, **options):
    return AugmentConfig(**{"masks": masks, "out": out, "n": 30, "classes": "cadis", "workers": 1, **options})


def contents(out):
    """Everything in a folder but times and places."""
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file() and p.name[0] != "."}


def rows(out):
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def test_of_a_data_set_with_splits_the_training_masks_alone(masks, tmp_path):
    data = tmp_path / "data"
    for split, names in (("train", "ab"), ("test", "c")):
        for kind in ("images", "labels"):
            (data / split / kind).mkdir(parents=True)
        for name in names:
            write_png(data / split / "images" / f"{name}.png", np.zeros((68, 120, 3), np.uint8))
            (masks / f"{name}.png").rename(data / split / "labels" / f"{name}.png")
    all_of_them, of_training = Heard(), Heard()
    augment_masks(config(data, tmp_path / "all", n=6), all_of_them)
    assert {row["mask"] for row in rows(tmp_path / "all")} == set("abc")
    assert [line for line in all_of_them.warnings if "1 of 3 label maps are of the validation or test split" in line]
    augment_masks(config(data, tmp_path / "out", n=6, split="train"), of_training)
    assert {row["mask"] for row in rows(tmp_path / "out")} == set("ab") and not of_training.warnings
    augment_masks(config(data / "test", tmp_path / "test", n=2), of_training)
    assert not of_training.warnings, "a split that is meant by itself"
    with pytest.raises(DataError, match="no label map of the split 'val'; there is test, train"):
        augment_masks(config(data, tmp_path / "val", split="val"))


def test_maps_manifest_description_and_preview(masks, tmp_path):
    written = []
    result = augment_masks(config(masks, tmp_path / "out"), emit=written.append)
    manifest = rows(tmp_path / "out")
    assert result.maps == len(manifest) == len(written) and not result.skipped
    assert [row["index"] for row in manifest] == sorted(row["index"] for row in manifest)
    for row in manifest:
        label_map = np.asarray(Image.open(tmp_path / "out" / row["label"]))
        assert label_map.dtype == np.uint8 and label_map.shape == (68, 120) == tuple(row["size"])
        ids, counts = np.unique(label_map, return_counts=True)
        assert row["classes"] == {str(i): int(n) for i, n in zip(ids, counts, strict=True)}
        assert row["perturbations"] and Path(row["mask_file"]).parent == masks and row["seed"] == 0
    description = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert description["complete"] and description["label_space"] == CADIS.to_dict() | {
        "classes": json.loads(json.dumps(CADIS.to_dict()["classes"]))
    }
    assert description["counts"]["maps"] == 30
    assert np.asarray(Image.open(tmp_path / "out" / "preview.png")).shape[2] == 3


def test_bare_ids_taken_for_instruments_are_told_and_written_down(masks, tmp_path):
    heard, named = Heard(), Heard()
    augment_masks(config(masks, tmp_path / "out", classes="auto"), heard)
    written = json.loads((tmp_path / "out" / "dataset.json").read_text())["label_space"]["classes"]
    found = [c["id"] for c in written if c["kind"] == "instrument"]
    (said,) = (line for line in heard.infos if "instruments" in line)
    assert found and said.startswith(f"{', '.join(map(str, found))} taken for instruments, by how they lie in the maps")
    assert said.endswith("name the classes and their kinds: --classes FILE")
    augment_masks(config(masks, tmp_path / "named"), named)
    assert not [line for line in named.infos if "instruments" in line]


def test_bare_ids_none_of_which_lies_as_an_instrument_does_move_by_their_shapes():
    space = LabelSpace("auto", (LabelClass(0, "class 0"), LabelClass(1, "class 1")))
    assert "no id is taken for an instrument" in found_kinds(space)


def test_what_was_done_is_said_in_whole_degrees():
    assert said([{"op": "rotate", "degrees": -0.3}, {"op": "flip"}, {"op": "tilt", "degrees": 8.6}]) == (
        "rotate 0°, flip, tilt 9°"
    )


def test_the_same_maps_whatever_the_number_of_workers(masks, tmp_path):
    augment_masks(config(masks, tmp_path / "one", n=70))
    augment_masks(config(masks, tmp_path / "three", n=70, workers=3))
    assert contents(tmp_path / "one") == contents(tmp_path / "three")


def test_more_maps_begin_with_the_same_ones_and_another_seed_gives_others(masks, tmp_path):
    augment_masks(config(masks, tmp_path / "few", n=10))
    augment_masks(config(masks, tmp_path / "many", n=20))
    few, many = contents(tmp_path / "few"), contents(tmp_path / "many")
    labels = [name for name in few if name.startswith("labels/")]
    assert len(labels) == 10 and all(few[name] == many[name] for name in labels)
    augment_masks(config(masks, tmp_path / "other", n=10, seed=1))
    other = contents(tmp_path / "other")
    assert sum(other.get(name) == few[name] for name in labels) < 5


def test_goes_on_where_it_was_stopped(masks, tmp_path):
    out = tmp_path / "out"
    augment_masks(config(masks, out))
    whole = contents(out)
    names = [row["label"] for row in rows(out)]
    (out / names[3]).unlink()
    lines = (out / "manifest.jsonl").read_text().splitlines(keepends=True)
    (out / "manifest.jsonl").write_text("".join(lines[:20]) + lines[20][:25])
    (out / "labels" / ".x.png.tmp-00000000-1-00000000-000000").write_bytes(b"half")
    os.utime(out / "labels" / ".x.png.tmp-00000000-1-00000000-000000", (0, 0))
    written = []
    augment_masks(config(masks, out), emit=written.append)
    assert contents(out) == whole and sorted(written) == sorted(out / name for name in names)
    assert not list((out / "labels").glob(".*"))
    augment_masks(config(masks, out, n=35))
    assert len(rows(out)) == 35


def test_other_settings_and_foreign_folders_are_refused(masks, tmp_path):
    out = tmp_path / "out"
    augment_masks(config(masks, out))
    with pytest.raises(UsageError, match="seed: 0 there, 5 now"):
        augment_masks(config(masks, out, seed=5))
    with pytest.raises(UsageError, match="--n 30"):
        augment_masks(config(masks, out, n=4))
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match=r"thesis\.txt"):
        augment_masks(config(masks, foreign))
    assert [p.name for p in foreign.iterdir() if p.name[0] != "."] == ["thesis.txt"]


def test_what_cannot_be_changed_is_skipped_and_named(masks, tmp_path):
    result = augment_masks(config(masks, tmp_path / "out", recipe=parse_recipe("shift")))
    assert result.maps == 20 and len(result.skipped) == 10
    assert all("/c_" in name and "no instrument" in why for name, why in result.skipped.items())
    described = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert described["counts"]["skipped"] == result.skipped


@pytest.mark.parametrize("size", [(1, 1), (4, 4), (32, 32)])
def test_masks_of_a_single_class_are_refused_before_anything_is_written(tmp_path, size):
    (tmp_path / "masks").mkdir()
    for i in range(2):
        write_png(tmp_path / "masks" / f"{i}.png", np.full(size, i, np.uint8))
    with pytest.raises(DataError, match=r"masks: no label map shows more than one class \(Pupil, Surgical Tape\)"):
        augment_masks(config(tmp_path / "masks", tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_run_that_could_make_no_map_is_no_success(masks, tmp_path):
    for name in ("a.png", "b.png"):
        (masks / name).unlink()
    with pytest.raises(DataError, match=r"none of 30 new maps could be made \(shift: no instrument"):
        augment_masks(config(masks, tmp_path / "out", recipe=parse_recipe("shift")))


def test_originals_are_kept_on_request(masks, tmp_path):
    augment_masks(config(masks, tmp_path / "out", keep_originals=True, n=2))
    manifest = rows(tmp_path / "out")
    originals = [row for row in manifest if row["index"] < 0]
    assert len(originals) == 3 and len(manifest) == 5
    for row in originals:
        assert row["perturbations"] == []
        source, copy = (np.asarray(Image.open(p)) for p in (row["mask_file"], tmp_path / "out" / row["label"]))
        assert np.array_equal(source, copy)


def test_16_bit_maps_with_ignored_pixels(tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    label_map = np.full((60, 80), 300, np.uint16)
    label_map[20:40, 20:50] = 40000
    cv2.line(label_map, (79, 59), (40, 30), 65000, 5)
    label_map[:, :5] = WIDE.ignore
    write_png(folder / "w.png", label_map)
    classes = tmp_path / "classes.json"
    ids = [{k: v for k, v in c.items() if v is not None} for c in WIDE.to_dict()["classes"]]
    classes.write_text(json.dumps({"name": "wide", "ignore": WIDE.ignore, "classes": ids}))
    augment_masks(config(folder, tmp_path / "out", classes=str(classes), n=8))
    for row in rows(tmp_path / "out"):
        out = np.asarray(Image.open(tmp_path / "out" / row["label"])).astype(np.uint16)
        assert np.array_equal(out == WIDE.ignore, label_map == WIDE.ignore)
        assert set(np.unique(out)) <= {*WIDE.ids, WIDE.ignore}


def test_a_corrupt_file_is_named(masks, tmp_path):
    (masks / "b.png").write_bytes((masks / "b.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"b\.png"):
        augment_masks(config(masks, tmp_path / "out"))


@pytest.mark.parametrize("options", [{"n": 0}, {"n": 10**20}, {"workers": 0}, {"seed": -1}])
def test_impossible_options_are_refused(masks, tmp_path, options):
    with pytest.raises(UsageError, match="--"):
        augment_masks(config(masks, tmp_path / "out", **options))


def test_masks_are_used_equally():
    counts = np.bincount(assign_masks(103, 10, 3))
    assert counts.min() == 10 and counts.max() == 11


def test_command_line_reads_paths_from_a_pipe_and_prints_paths(masks, tmp_path, capsys, monkeypatch):
    import io

    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{masks / 'a.png'}\n{masks / 'b.png'}\n"))
    line = ["augment-masks", "--masks", "-", "--n", "4", "--classes", "cadis", "--ops", "shift,flip:0.5", "--quiet"]
    assert cli.run([*line, "--out", str(tmp_path / "out"), "--workers", "1"]) == 0
    printed = capsys.readouterr()
    assert sorted(printed.out.split()) == sorted(str(p) for p in (tmp_path / "out" / "labels").iterdir())
    assert printed.err == ""
    assert cli.run(["augment-masks", "--masks", str(masks), "--ops", "nonsense"]) == 2


@pytest.mark.slow
def test_killed_in_the_middle_and_run_again_it_equals_an_uninterrupted_run(masks, tmp_path):
    line = [sys.executable, "-m", "surgaug", "augment-masks", "--masks", str(masks), "--n", "600", "--classes", "cadis"]
    line += ["--workers", "2", "--quiet", "--out"]
    done = subprocess.run([*line, str(tmp_path / "whole")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "cut"
    for stop in (signal.SIGKILL, signal.SIGTERM):
        running = subprocess.Popen([*line, str(out)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        before = len(list(out.glob("labels/*.png")))
        while running.poll() is None and len(list(out.glob("labels/*.png"))) < before + 100:
            time.sleep(0.01)
        running.send_signal(stop)
        _, said = running.communicate()
        if stop == signal.SIGTERM:
            assert running.returncode == 130 and b"to go on, type: surgaug augment-masks" in said
        assert len(list(out.glob("labels/*.png"))) < 600
    done = subprocess.run([*line, str(out)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert contents(out) == contents(tmp_path / "whole")
