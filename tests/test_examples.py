"""The example scripts, run as they stand on a handful of phantom scenes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from surgaug.io.atomic import write_png
from surgaug.phantom import render

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="shell scripts")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with train/ and val/ pairs."""
    root = tmp_path_factory.mktemp("examples")
    for part, seeds in (("train", range(8)), ("val", range(8, 12))):
        for kind in ("images", "labels"):
            (root / part / kind).mkdir(parents=True)
        for seed in seeds:
            image, label_map = render(seed, (32, 56))
            write_png(root / part / "images" / f"{seed}.png", image)
            write_png(root / part / "labels" / f"{seed}.png", label_map)
    (root / "bin").mkdir()
    for name, call in (("surgaug", " -m surgaug"), ("python", "")):
        program = root / "bin" / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)}{call} "$@"\n')
        program.chmod(0o755)
    return root


def script(folder: Path, name: str, *argv: str, **settings: str) -> subprocess.CompletedProcess:
    env = {
        **os.environ,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p),
        **settings,
    }
    return subprocess.run([EXAMPLES / name, *argv], cwd=folder, env=env, capture_output=True, text=True, timeout=500)


def test_pipeline_then_shards(folder):
    done = script(folder, "pipeline.sh", "train", "val", "all", SIZE="32x56", MINUTES="0.05", N="6", CLASSES="cadis")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    score = json.loads((folder / "all" / "score.json").read_text())
    assert score["rows"][0]["images"] == 6

    done = script(folder, "shards.sh", "val", "all/run", "sharded", "2", N="5", CLASSES="cadis")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "sharded/manifest.jsonl"
    rows = [json.loads(line) for line in (folder / "sharded" / "manifest.jsonl").read_text().splitlines()]
    assert sorted(row["index"] for row in rows) == list(range(5))
    assert all((folder / "sharded" / row["image"]).is_file() for row in rows)

    alone = {"SLURM_ARRAY_TASK_COUNT": "1", "SHARDS": "2"}  # submitted without the others
    for task, array in (("1", {"SLURM_ARRAY_TASK_COUNT": "2"}), ("2", alone)):
        array["SLURM_ARRAY_TASK_ID"] = task
        done = script(folder, "slurm.sh", "val", "all/run", "array", N="5", CLASSES="cadis", **array)
        assert done.returncode == 0, done.stderr
    assert (folder / "array" / "manifest.jsonl").read_text() == (folder / "sharded" / "manifest.jsonl").read_text()


@pytest.mark.parametrize(
    ("name", "argv", "says"),
    [
        ("segmentation.py", ["nowhere"], "segmentation.py: error: nowhere/id2label.json: no such file; surgaug export"),
        ("python_api.py", ["nowhere", "val", "out"], "error: nowhere: "),
        ("segmentation.sh", ["nowhere", "out"], "frames.py: error: nowhere: "),
        ("rare_classes.sh", ["nowhere", "out"], "frames.py: error: nowhere: "),
        ("reproduce_thesis.sh", ["nowhere", "out"], "frames.py: error: nowhere: "),
        ("pipeline.sh", ["nowhere", "val", "out"], "surgaug: error: --data nowhere: no such file"),
        ("shards.sh", ["nowhere", "model", "out"], "surgaug: error: --masks nowhere: no such file"),
    ],
)
def test_a_missing_folder_is_one_line(folder, name, argv, says):
    program = [str(folder / "bin" / "python"), str(EXAMPLES / name)] if name.endswith(".py") else [str(EXAMPLES / name)]
    env = {**os.environ, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    env["PYTHONPATH"] = os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p)
    done = subprocess.run([*program, *argv], cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert says in done.stderr and "Traceback" not in done.stderr
    assert not (folder / "out").exists()


SMALL = {"SIZE": "32x56", "TRAIN": "8", "VAL": "4", "N": "8", "MINUTES": "0.05"}


def test_segmentation_networks_on_real_and_on_real_and_synthetic_images(folder):
    done = script(folder, "segmentation.sh", SEGMENTATION="--steps 40 --batch 4 --seeds 2", **SMALL)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in (folder / "segmentation" / "miou.md").read_text().splitlines()]
    assert [row[:3] for row in rows[2:4]] == [["real", "8", "0"], ["mixed", "8", "8"]]
    nothing_learnt = float(rows[4][3])
    assert all(nothing_learnt < float(row[3]) < 1 for row in rows[2:4])
    assert "Cornea" in {row[0] for row in rows}

    argv = [sys.executable, str(EXAMPLES / "segmentation.py"), "segmentation/real", "--steps", "1", "--batch", "2"]
    argv += ["--size", "32x56", "--network", "lraspp_mobilenet_v3_large"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| real | 8 | 0 | " in done.stdout


def test_rare_classes_class_by_class(folder):
    done = script(
        folder, "rare_classes.sh", MODEL="segmentation/run", SCORE="--segmenter-steps 2", BALANCE="0.5", **SMALL
    )
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert rows[0][:4] == ["class", "real frames %", "plain %", "balanced %"]
    shares = [float(row[1]) for row in rows[1:]]
    assert len(shares) > 5 and shares == sorted(shares)


def test_reproduce_thesis_makes_both_tables_and_their_pictures(folder):
    small = {"SIZE": "16x28", "VAL": "2", "UPDATES": "2", "BATCH": "2", "THESIS": "thesis-tiny", "BASELINES": "tiny"}
    small |= {"TRAIN": "5", "SUBSET": "3", "TEST": "2", "MODELS": "pix2pixhd clade diffusion"}
    done = script(
        folder, "reproduce_thesis.sh", ".", "thesis", CLASSES="cadis", STEPS="3 1", METHODS_STEPS="2", **small
    )
    assert done.returncode == 0, done.stderr
    counts = {
        part: len(list((folder / "thesis/data" / part / "labels").iterdir())) for part in ("train", "subset", "test")
    }
    assert counts == {"train": 5, "subset": 3, "test": 2}
    for table, names in (("methods", ["pix2pixhd", "clade", "diffusion"]), ("steps", ["3", "1"])):
        rows = json.loads((folder / "thesis" / f"{table}.json").read_text())["rows"]
        assert [row["name"] for row in rows] == names
        assert all(row["measures"]["psnr"]["value"] for row in rows)
        assert (folder / "thesis" / f"{table}.png").is_file()


def test_python_api(folder):
    line = [sys.executable, str(EXAMPLES / "python_api.py"), "train", "val", "python", "0.05"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p)}
    done = subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "36 classes" not in done.stdout and "6 images in" in done.stdout
    assert len(list((folder / "python" / "synthetic" / "images").glob("*.png"))) == 6


def test_pipeline_says_how_it_is_used(folder):
    done = script(folder, "pipeline.sh")
    assert done.returncode != 0
    assert "usage:" in done.stderr


def test_the_notebook(tmp_path):
    """From CaDIS's layout (phantom scenes here) to a segmenter, in a kernel of its own."""
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient", reason="nbclient, which runs notebooks, is not installed").NotebookClient
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(EXAMPLES / "cadis.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "kept without outputs"
    small = {"WORK": str(tmp_path), "MINUTES": "0.05", "FRAMES": "24", "STEPS": "4", "CADIS": ""}
    path = os.pathsep.join(str(Path(p).absolute()) for p in sys.path if p)
    env = {**os.environ, **small, "PYTHONPATH": path, "SURGAUG_CACHE": str(tmp_path / "cache")}
    client(notebook, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute(
        env=env
    )
    shown = [
        "".join(str(output.get("data", {}).get("text/html", "")) for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    assert all(shown[1:]), "each cell but the first shows itself"
    assert "<progress" in shown[1] and "data:image/jpeg" in shown[1]
    assert "data:image/jpeg" in shown[3] and "data:image/jpeg" in shown[4]
    assert "Figures" in shown[-2] and (tmp_path / "synthetic" / "manifest.jsonl").is_file()
