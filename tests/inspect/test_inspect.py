from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug import cli
from surgaug.errors import DataError
from surgaug.inspect.report import BARS, shortened, sparkline
from surgaug.inspect.run import inspect
from surgaug.inspect.run_log import curves
from surgaug.inspect.sheet import draw_run, draw_sheet, overlay
from surgaug.io.atomic import write_png, write_text
from surgaug.labels.builtin_spaces import load_space
from surgaug.phantom import render

CADIS = load_space("cadis")
SHIPPED = Path(__file__).parents[2] / "surgaug" / "assets" / "phantom.safetensors"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four frames in train and val; two of one video, one on each side."""
    for i, (split, name) in enumerate(
        (("train", "case1_00"), ("train", "case2_00"), ("val", "case1_01"), ("val", "case3_00"))
    ):
        image, label_map = render(i, (24, 40))
        for kind, array in (("images", image), ("labels", label_map)):
            folder = tmp_path / "data" / split / kind
            folder.mkdir(parents=True, exist_ok=True)
            write_png(folder / f"{name}.png", array)
    return tmp_path / "data"


def test_a_data_set(data: Path) -> None:
    report = inspect(data, "cadis")
    facts = dict(report.facts)
    assert report.kind == "data set" and facts["layout"] == "splits" and facts["frames"] == "4"
    assert facts["split"] == "train 2, val 2" and facts["size"] == "24x40" and facts["videos"] == "3"
    assert report.problems == ["videos with frames in several splits: case1 (train, val)"]
    shown = {row[1] for row in report.tables[0][2]}
    never = report.notes[-1].partition(": ")[2].split(", ")
    assert report.notes[-1].startswith(f"classes that never occur ({len(never)})") and not shown & set(never)
    assert len(shown) + len(never) == 36
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_label_map_that_is_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.eye(4, 6, dtype=np.int64))
    report = inspect(tmp_path / "a.npy", "auto")
    assert report.kind == "label map" and not report.problems
    assert dict(report.facts)["format"] == "NumPy array" and dict(report.facts)["size"] == "4x6"


def test_all_problems_are_named(data: Path) -> None:
    (data / "train" / "images" / "case2_00.png").write_bytes(b"no image")
    write_png(data / "val" / "labels" / "case3_00.png", np.full((24, 40), 77, np.uint8))
    write_png(data / "val" / "images" / "case1_01.png", np.zeros((8, 8, 3), np.uint8))
    (data / "train" / "labels" / "case1_00.png").unlink()
    problems = "\n".join(inspect(data, "cadis").problems)
    for wanted in (
        "images without label: .*case1_00.png",
        "cannot be used: .*case2_00.png: cannot be read",
        "no class: .*case3_00.png: value 77",
        "different size: .*case1_01.png: 8x8, its label map case1_01.png 24x40",
        "videos with frames in several splits",
    ):
        assert re.search(wanted, problems), wanted


def test_label_maps_alone_and_folders_of_nothing(data: Path, tmp_path: Path) -> None:
    assert inspect(data / "train" / "labels").kind == "label maps"
    (tmp_path / "empty").mkdir()
    assert "it is empty" in inspect(tmp_path / "empty").problems[0]
    with pytest.raises(DataError, match="no such file or folder"):
        inspect(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match="neither a folder nor a model"):
        inspect(tmp_path / "notes.txt")


def test_an_unfinished_synthetic_set_says_so(data: Path) -> None:
    made = {"settings": {"sampler": "ddim", "steps": 4}, "complete": False, "samples": 9, "surgaug": "0.1.0"}
    write_text(data / "dataset.json", json.dumps({**made, "label_space": CADIS.to_dict()}))
    report = inspect(data)
    assert dict(report.facts)["settings"] == "sampler ddim, steps 4"
    assert any("not complete: the command that makes 9 samples must be run again" in p for p in report.problems)


def test_the_sheet_shows_frames_under_their_classes(data: Path) -> None:
    page = draw_sheet(inspect(data, "cadis").frames)
    assert page.dtype == np.uint8 and page.shape[1] == 1600
    image = np.full((4, 6, 3), 100, np.uint8)
    label_map = np.zeros((4, 6), np.uint8)
    label_map[:, 3:] = 5
    drawn = overlay(image, label_map, CADIS)
    assert drawn[0, 3].tolist() == [255, 0, 165], "the outline in full colour"
    assert drawn[0, 5].tolist() == [170, 55, 129], "inside 45 % of it"
    ignoring = load_space("cadis-task2")
    label_map[:] = 255
    np.testing.assert_array_equal(overlay(image, label_map, ignoring), image)


def test_a_model_file() -> None:
    report = inspect(SHIPPED)
    facts = dict(report.facts)
    assert report.kind == "model" and not report.problems
    assert facts["family"] == "cascade" and "cosine" in facts["noise schedule (first stage)"]
    stages, classes = (rows for _, _, rows in report.tables)
    assert ["size", "64x112", "256x448"] in stages and len(classes) == 36
    assert "phantom" in facts["trained on"] and "parameters" in [row[0] for row in stages]
    assert report.to_dict()["model"]["stages"]["first"]["space"]["name"] == "cadis"


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(SHIPPED.read_bytes()[:1000])
    assert "not a readable model file" in inspect(tmp_path / "a.safetensors").problems[0]


def test_a_run_with_its_curves(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "last.safetensors").write_bytes(SHIPPED.read_bytes())
    write_text(run / "config.json", "{}")
    write_text(run / "run.json", json.dumps({"status": "stopped", "step": 20}))
    write_text(run / "metrics.csv", "step,loss,val_loss,lr\n10,0.5,,1e-3\n20,0.25,0.125,nan\n")
    report = inspect(run)
    assert report.kind == "run" and dict(report.facts)["status"] == "stopped"
    assert report.notes[-1].startswith("status stopped: the same `surgaug train` line goes on")
    assert curves(run / "metrics.csv")["loss"] == {"x": [10.0, 20.0], "y": [0.5, 0.25]}
    assert report.tables[-1][2][0] == ["loss", "0.5", "0.25", "0.25", BARS[-1] + BARS[0]]
    (run / "last.safetensors").unlink()
    assert any("no model file yet" in problem for problem in inspect(run).problems)


def test_a_run_drawn(tmp_path: Path) -> None:
    falling = {"x": [float(i) for i in range(1, 90)], "y": [1.0 / i for i in range(1, 90)]}
    write_png(tmp_path / "samples.png", np.full((40, 90, 3), 7, np.uint8))
    page = draw_run({"loss": falling, "lr": {"x": [5.0], "y": [1e-3]}}, "run", tmp_path / "samples.png")
    plain = draw_run({"loss": falling, "lr": {"x": [5.0], "y": [1e-3]}}, "run", None)
    assert page.shape[1] == plain.shape[1] == 1200 and page.shape[0] > plain.shape[0] + 500
    drawn = (plain == (20, 100, 180)).all(-1)
    assert drawn[:, :600].sum() > 400 and drawn[:, 600:].any(), "both curves, the single point among them"
    np.testing.assert_array_equal(np.unique(page[-200:-100, 100:200]), [7])


def test_both_stages_of_a_run_are_drawn(tmp_path: Path) -> None:
    for name, value in (("first", 9), ("second", 7)):
        stage = tmp_path / "run" / name
        (stage / "samples").mkdir(parents=True)
        write_text(stage / "config.json", "{}")
        write_text(stage / "run.json", json.dumps({"status": "finished", "step": 20}))
        write_text(stage / "metrics.csv", "step,loss\n10,0.5\n20,0.25\n")
        write_png(stage / "samples" / "step_0000020.png", np.full((40, 90, 3), value, np.uint8))
    report = inspect(tmp_path / "run")
    assert report.kind == "cascade" and dict(report.facts)["newest samples"].endswith("second/samples/step_0000020.png")
    assert cli.run(["inspect", str(tmp_path / "run"), "--sheet", str(tmp_path / "run.png")]) == 0
    page = np.asarray(Image.open(tmp_path / "run.png"))
    assert page.shape[1] == 1200
    first, second = ((page[:, 600] == value).all(-1).nonzero()[0].mean() for value in (9, 7))
    assert first < page.shape[0] / 2 < second


def test_folders_of_runs_and_parts_of_something(tmp_path: Path) -> None:
    for name, loss in (("old", 0.5), ("new", 0.25)):
        (tmp_path / name).mkdir()
        write_text(tmp_path / name / "config.json", "{}")
        write_text(tmp_path / name / "run.json", json.dumps({"status": "finished", "step": 20}))
        write_text(tmp_path / name / "metrics.csv", f"step,val_loss\n10,{loss}\n20,{2 * loss}\n")
    os.utime(tmp_path / "old" / "run.json", (0, 0))
    report = inspect(tmp_path)
    assert report.kind == "folder of runs"
    assert report.tables[0][2] == [["new", "finished", 20, "0.25"], ["old", "finished", 20, "0.5"]]
    (tmp_path / "old" / "state.pt").touch()
    with pytest.raises(DataError, match=r"belong together; inspect the folder .*old"):
        inspect(tmp_path / "old" / "state.pt")
    write_text(tmp_path / "dataset.json", "{}")
    with pytest.raises(DataError, match="inspect the folder"):
        inspect(tmp_path / "dataset.json")


def test_coco_annotations(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 3, "name": "Pupil"}],
        "annotations": [{"image_id": 1, "category_id": 3}],
    }
    write_text(tmp_path / "instances.json", json.dumps(content))
    report = inspect(tmp_path / "instances.json")
    assert report.kind == "COCO annotations" and report.tables[0][2] == [[3, "Pupil", 1]] and not report.problems
    content["annotations"].append({"image_id": 1, "category_id": 4})
    write_text(tmp_path / "instances.json", json.dumps(content, indent=1))
    assert "without a category: 4" in inspect(tmp_path / "instances.json").problems[0]


def test_of_many_problems_of_a_kind_ten_are_shown() -> None:
    problems = [f"labels without image: {k}.png" for k in range(14)] + ["a.json: not JSON"]
    shown = shortened(problems)
    assert shown[:10] == problems[:10] and shown[-1] == "a.json: not JSON" and len(shown) == 12
    assert shown[10] == "labels without image: and 4 more (--json names all)"


def test_label_maps_that_all_lack_an_image_are_one_problem(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / "case_1" / "ann").mkdir(parents=True, exist_ok=True)
        content = {"size": {"height": 4, "width": 6}, "objects": []}
        write_text(tmp_path / "case_1" / "ann" / f"{name}.png.json", json.dumps(content))
    write_text(tmp_path / "classes.json", '{"background": 0, "Pupil": 1}')
    report = inspect(tmp_path)
    assert report.problems == ["no image beside any of the 2 label maps; as masks they can be used"]
    assert draw_sheet(report.frames).shape[1] == 1600


def test_synthetic_images_and_snapped_masks_are_told(data: Path) -> None:
    rows = [{"synthetic": k > 0} for k in range(4)]
    write_text(data / "manifest.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write_text(data / "surgaug.json", json.dumps({"settings": {}, "label_space": CADIS.to_dict()}))
    assert dict(inspect(data).facts)["of these synthetic"] == "3"
    for label in data.rglob("labels/*.png"):
        Image.fromarray((np.asarray(Image.open(label)) > 3).astype(np.uint8) * 255).save(label.with_suffix(".jpg"))
        label.unlink()
    (data / "surgaug.json").unlink()
    assert any("masks are of a lossy format" in doubt for doubt in inspect(data).doubts)


def test_sparkline() -> None:
    assert sparkline([]) == "" and sparkline([2.0, 2.0]) == BARS[0] * 2
    assert sparkline([float(i) for i in range(8)]) == BARS
    assert len(sparkline([float(i) for i in range(1000)])) == 60


def test_images_and_label_maps(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_png(tmp_path / "photo.png", rng.integers(0, 255, (90, 90, 3)).astype(np.uint8))
    report = inspect(tmp_path / "photo.png")
    assert report.kind == "image" and dict(report.facts)["size"] == "90x90" and not report.problems
    write_png(tmp_path / "map.png", np.array([[0, 5], [5, 5]], np.uint8))
    report = inspect(tmp_path / "map.png", "cadis")
    assert report.kind == "label map" and [row[1] for row in report.tables[0][2]] == ["Pupil", "Skin"]
    assert "value 5" in inspect(tmp_path / "map.png", "kvasir-seg").problems[0]
    (tmp_path / "bad.png").write_bytes(b"x")
    assert "not an image" in inspect(tmp_path / "bad.png").problems[0]
    Image.fromarray(rng.integers(0, 255, (90, 90)).astype(np.uint8)).save(tmp_path / "grey.jpg")
    assert inspect(tmp_path / "grey.jpg").kind == "image"


def test_a_manifest_and_a_class_file(tmp_path: Path) -> None:
    row = {"index": 0, "label": "labels/a.png", "mask": "m", "seed": 3, "perturbations": [{"op": "flip"}]}
    row["checks"] = {"not_flat": False}
    write_text(tmp_path / "manifest.jsonl", json.dumps(row) + "\n{half")
    report = inspect(tmp_path / "manifest.jsonl")
    assert dict(report.facts)["rows"] == "1" and report.tables[0][2] == [["flip", 1]]
    missing = f"named in the manifest, and not there: {tmp_path / 'labels/a.png'}"
    assert report.problems == [f"{tmp_path / 'manifest.jsonl'}: line 2 is not a row", missing]
    assert report.notes == ["samples that did not pass the check not_flat (the image is not all of one colour): 1"]
    write_text(tmp_path / "classes.json", '{"a": 0, "b": 4}')
    assert inspect(tmp_path / "classes.json").tables[0][2][1][:3] == [4, "b", "other"]
    write_text(tmp_path / "bad.json", "[]")
    assert "names no class" in inspect(tmp_path / "bad.json").problems[0]


def test_the_command_imports_no_torch(data: Path) -> None:
    code = (
        "import sys\nfrom surgaug.cli import run\n"
        f"code = run(['inspect', {str(SHIPPED)!r}, '--json', '-', '--quiet'])\n"
        "assert 'torch' not in sys.modules\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kind"] == "model" and not done.stderr
