"""`score` on folders of images: pairing, sizes, intervals, baselines, JSON, gates, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from surgaug import cli
from surgaug.errors import DataError, ModelError, UsageError
from surgaug.io.images import read_image
from surgaug.labels.resize import resize_image
from surgaug.models.checkpoint import file_hash
from surgaug.runtime.feedback import Silent
from surgaug.scoring.compute.distances import frechet_distance, kernel_distance
from surgaug.scoring.config import ScoreConfig, Weights
from surgaug.scoring.features import inception
from surgaug.scoring.inputs import open_folder, pair
from surgaug.scoring.plan import plan_measures
from surgaug.scoring.report import gates
from surgaug.scoring.report.model import best_rows
from surgaug.scoring.report.notes import report_notes
from surgaug.scoring.report.tables import tables
from surgaug.scoring.run import run_score


def scene(seed, hw=(48, 64)):
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (5, 6, 3)).astype(np.float32) * [1, 0.6, 0.5]
    image = cv2.resize(coarse, hw[::-1], interpolation=cv2.INTER_CUBIC) + rng.normal(0, 4, (*hw, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def write(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR) if rgb.ndim == 3 else rgb)


@pytest.fixture
def folders(tmp_path):
    """12 real frames of 96x128; synthetic ones of 48x64: other scenes ("fresh"), the same ones blurred ("blurred")."""
    for i in range(12):
        write(tmp_path / f"real/{i}.png", scene(i, (96, 128)))
        write(tmp_path / f"fresh/new{i}.png", resize_image(scene(100 + i, (96, 128)), (48, 64)))
        small = resize_image(scene(i, (96, 128)), (48, 64))
        write(tmp_path / f"blurred/{i}.png", cv2.GaussianBlur(small, (0, 0), 2))
    return tmp_path


def run(folders, *synth, **options):
    return run_score(ScoreConfig(folders / "real", tuple(folders / name for name in synth), **options))


def test_twelve_images_are_called_faulty_or_nothing_but_not_real(folders):
    """Twelve images of a model of one minute were "real" and "as sharp", by a ratio that bias brings to 1."""
    report = run(folders, "fresh", "blurred", metrics=("frechet", "brightness", "hue", "sharpness"))
    fresh, blurred = ({v.question: v for v in row.verdicts} for row in report.rows)
    assert fresh["Do they look real?"].answer == "Cannot be told"
    assert "12 images may hide" in fresh["Do they look real?"].text
    assert "would tell" in fresh["Do they look real?"].text
    assert blurred["Do they look real?"].answer == "No"
    for row in json.loads(json.dumps(report.to_dict(), allow_nan=False))["rows"]:
        found = row["separations"]["colour_texture"]
        assert found["images"] == 12 and 0 <= found["low"] <= max(found["value"], 0) <= found["high"]


def test_a_table_of_two_folders(folders):
    report = run(folders, "fresh", "blurred")
    fresh, blurred = report.rows
    assert (fresh.name, fresh.images, fresh.size, fresh.pairs) == ("fresh", 12, (48, 64), 0)
    assert fresh.measures["psnr"].value is None
    assert "no pair" in fresh.measures["psnr"].reason
    assert blurred.pairs == 12
    near, far = (row.measures["frechet_colour_texture"] for row in report.rows)
    assert near.ratio < 1.2 < 1.5 < far.ratio
    assert far.low < far.value < far.high
    assert far.baseline.size == far.matched.size == 6
    best = best_rows(report)
    assert {"frechet_colour_texture": 0, "kid_colour_texture": 0}.items() <= best.items()
    found = tables(report)
    assert [line[0] for line in found[0][2]] == ["fresh", "blurred"]
    name = "Fréchet (c+t) ↓"
    (best_cell,) = (rows[0][columns.index(name)] for _, columns, rows, _ in found if name in columns)
    assert best_cell.endswith(" *")
    assert any(
        "12 of 12 real frames (mostly 96x128) were resized to the synthetic size 48x64" in note
        for note in report_notes(report)
    )


def test_pair_values_are_scikit_images_mean(folders):
    row = run(folders, "blurred").rows[0]
    psnrs, ssims = [], []
    for i in range(12):
        real = resize_image(cv2.imread(str(folders / f"real/{i}.png"))[..., ::-1], (48, 64))
        synth = cv2.imread(str(folders / f"blurred/{i}.png"))[..., ::-1]
        psnrs.append(peak_signal_noise_ratio(real, synth, data_range=255))
        wang = {"gaussian_weights": True, "use_sample_covariance": False, "data_range": 255, "channel_axis": -1}
        ssims.append(structural_similarity(real, synth, **wang))
    assert row.measures["psnr"].value == pytest.approx(np.mean(psnrs), abs=1e-10)
    assert row.measures["ssim"].value == pytest.approx(np.mean(ssims), abs=1e-10)
    assert row.measures["psnr"].low < np.mean(psnrs) < row.measures["psnr"].high


def test_a_set_and_itself(folders):
    report = run(folders, "real", fail_if=("psnr<50", "frechet_colour_texture>0"))
    measures = report.rows[0].measures
    assert measures["frechet_colour_texture"].value == 0
    assert measures["frechet_colour_texture"].low == 0
    assert measures["ssim"].value == pytest.approx(1, abs=1e-12)
    assert measures["psnr"].value is None
    assert measures["psnr"].identical == 12
    text = json.dumps(report.to_dict(), allow_nan=False)
    assert json.loads(text)["rows"][0]["measures"]["psnr"]["reason"].startswith("every pair is identical")
    assert gates.failures(report.gates) == []


def test_identical_pairs_are_counted_apart(folders):
    write(folders / "blurred/0.png", resize_image(scene(0, (96, 128)), (48, 64)))
    psnr = run(folders, "blurred", metrics=("psnr",)).rows[0].measures["psnr"]
    assert (psnr.identical, psnr.n) == (1, 11)
    assert np.isfinite(psnr.value)


def test_pairs_by_the_manifest(folders):
    rows = []
    for i in range(12):
        (folders / "out/images").mkdir(parents=True, exist_ok=True)
        name = f"{i}_{i:06d}.png"
        write(folders / "out/images" / name, resize_image(scene(i, (96, 128)), (48, 64)))
        changes = [{"op": "shift"}] if i < 3 else []
        rows.append({"index": i, "image": f"images/{name}", "source": str(i), "perturbations": changes})
    (folders / "out/manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = run(folders, "out")
    assert (report.rows[0].pairs, report.rows[0].pairs_by) == (9, "source in the manifest")
    assert report.rows[0].measures["psnr"].identical == 9
    assert any("3 images of changed masks" in note for note in report.rows[0].notes)
    (folders / "out/manifest.jsonl").write_text("{\n")
    with pytest.raises(DataError, match=r"manifest.jsonl:1"):
        run(folders, "out")


def test_the_same_seed_gives_the_same_report(folders):
    first, second = (run(folders, "blurred", "fresh", seed=3, workers=w) for w in (1, 4))
    assert first == second
    other = run(folders, "blurred", "fresh", seed=4)
    key = "frechet_colour_texture"
    assert other.rows[0].measures[key].value == first.rows[0].measures[key].value
    assert other.rows[0].measures[key].baseline != first.rows[0].measures[key].baseline


def test_odd_images_are_read(folders):
    base = scene(3)
    write(folders / "odd/0.png", cv2.cvtColor(base, cv2.COLOR_RGB2GRAY))
    cv2.imwrite(str(folders / "odd/1.png"), np.dstack([base[..., ::-1], np.full((48, 64), 9, np.uint8)]))
    cv2.imwrite(str(folders / "odd/2.png"), base[..., ::-1].astype(np.uint16) * 257)
    write(folders / "odd/3.png", base)
    write(folders / "odd/4.jpg", scene(4, (20, 30)))
    write(folders / "odd/5.png", scene(5))
    (folders / "odd/.hidden.png").write_bytes(b"")
    report = run(folders, "odd")
    assert report.rows[0].images == 6
    assert any("1 of 6 synthetic images were resized" in note for note in report.rows[0].notes)
    plain = run(folders, "odd", metrics=("psnr",))
    assert plain.rows[0].measures["psnr"].n == 6


def test_names_that_no_report_can_hold_are_refused_at_once(folders):
    (folders / "fresh/new5.png").rename(os.fsdecode(os.fsencode(folders / "fresh") + b"/\xff.png"))
    with pytest.raises(DataError, match="not UTF-8; rename the file"):
        run(folders, "fresh")


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\nbroken"])
def test_damaged_files_are_named(folders, content):
    (folders / "fresh/new5.png").write_bytes(content)
    with pytest.raises(DataError, match="new5"):
        run(folders, "fresh")


def test_a_truncated_file_is_named(folders):
    path = folders / "fresh/new5.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="new5"):
        run(folders, "fresh")


def test_one_image_and_small_images(folders):
    write(folders / "one/0.png", scene(0))
    measures = run(folders, "one").rows[0].measures
    assert measures["frechet_colour_texture"].value is None
    assert "two images" in measures["frechet_colour_texture"].reason
    assert measures["psnr"].value is not None
    assert measures["psnr"].low is None
    for i in range(4):
        write(folders / f"tiny/{i}.png", scene(i, (9, 9)))
        write(folders / f"dots/{i}.png", scene(i, (5, 5)))
    tiny = run(folders, "tiny")
    assert "window" in tiny.rows[0].measures["ssim"].reason
    assert tiny.rows[0].measures["psnr"].n == 4
    with pytest.raises(DataError, match="at least 8x8"):
        run(folders, "dots")


def test_refusals(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    for synth, message in [("absent", "no such folder"), ("empty", "no image")]:
        with pytest.raises(DataError, match=message):
            run(folders, synth)
    write(tmp_path / "twice/1.png", scene(1))
    write(tmp_path / "twice/1.jpg", scene(1))
    with pytest.raises(DataError, match="one name"):
        run(folders, "twice")
    with pytest.raises(UsageError, match="given twice"):
        run(folders, "fresh", "fresh")
    with pytest.raises(UsageError, match="did you mean 'frechet'"):
        run(folders, "fresh", metrics=("frechett",))
    with pytest.raises(UsageError, match="--inception-weights"):
        run(folders, "fresh", metrics=("fid",))
    with pytest.raises(UsageError, match="legacy, clean"):
        run(folders, "fresh", weights=Weights(resize="nearest"))
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"x")
    with pytest.raises(ModelError, match="sha256"):
        run(folders, "fresh", weights=Weights(weights))


def test_fid_is_the_name_of_inceptions_features_alone():
    without = plan_measures(("psnr", "frechet", "kid"), Weights())
    assert list(without) == ["psnr", "frechet_colour_texture", "kid_colour_texture"]
    assert not any("FID" in m.definition.title or "KID" in m.definition.title for m in without.values())
    with_weights = plan_measures(("frechet", "kid"), Weights(Path("x"), "clean"))
    assert list(with_weights) == ["fid", "frechet_colour_texture", "kid", "kid_colour_texture"]
    assert with_weights["fid"].definition.title == "FID (clean)"
    assert "clean-fid" in with_weights["fid"].definition.convention
    assert list(plan_measures(("fid",), Weights(Path("x")))) == ["fid"]


def test_fid_and_kid_on_torch_fidelitys_features(folders, weights, monkeypatch):
    """The whole way, with a weight file of the published layout in place of the published one."""
    monkeypatch.setattr(inception, "SHA256", file_hash(weights))
    for name in ("real", "blurred"):
        for i in range(3, 12):
            (folders / name / f"{i}.png").unlink()
    report = run(folders, "blurred", metrics=("fid", "kid"), weights=Weights(weights), device="cpu")
    theirs = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights))
    real, synth = (_features(theirs, [folders / name / f"{i}.png" for i in range(3)]) for name in ("real", "blurred"))
    measures = report.rows[0].measures
    assert measures["fid"].value == pytest.approx(frechet_distance(real, synth), rel=1e-3)
    assert measures["kid"].value == pytest.approx(kernel_distance(real, synth)[0], rel=1e-3)
    assert report.features["inception"]["resize"] == "legacy"
    assert any("FID of 3 images" in note for note in report_notes(report))


def _features(network, paths):
    images = np.stack([resize_image(read_image(path), (48, 64)) for path in paths])
    with torch.inference_mode():
        return network(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous())[0].double().numpy()


@pytest.mark.parametrize(
    ("expression", "failed"),
    [("psnr<5", False), ("psnr < 500", True), ("ssim>=2", False), ("psnr.n>11", True), ("psnr<5 or ssim<2", True)],
)
def test_gates(folders, expression, failed):
    report = run(folders, "blurred", metrics=("psnr", "ssim"), fail_if=(expression,))
    assert bool(gates.failures(report.gates)) is failed


def test_a_gate_on_what_was_not_measured_fails(folders):
    report = run(folders, "fresh", metrics=("psnr",), fail_if=("psnr<5",))
    assert "not measured: no pair" in gates.failures(report.gates)[0]


@pytest.mark.parametrize("expression", ["psnr", "psnr=3", "psnt<3", "fid>3", "psnr.middle<3", "psnr<1.2.3", ""])
def test_gates_refused(folders, expression):
    with pytest.raises(UsageError, match="--fail-if"):
        run(folders, "fresh", metrics=("psnr",), fail_if=(expression,))


def test_the_command(folders, capfd):
    # Nor may it wait for a network that happens to be installed here.
    score = ["score", "--real", str(folders / "real"), "--features", "none", "--synth"]
    line = [*score, str(folders / "blurred"), "--json", "-", "--fail-if", "psnr<90"]
    done = subprocess.run(
        [sys.executable, "-m", "surgaug", *line], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "quality gate not met: blurred: psnr<90" in done.stderr
    report = json.loads(done.stdout)
    assert report["rows"][0]["measures"]["ssim"]["n"] == 12
    assert report["versions"]["surgaug"]
    assert "Fréchet (colour+texture)" in done.stderr
    file = folders / "report.json"
    assert cli.run(["-q", *score, str(folders / "fresh"), "--json", str(file), "--metrics", "frechet"]) == 0
    assert tuple(capfd.readouterr()) == (f"{file}\n", "")
    assert json.loads(file.read_text())["rows"][0]["name"] == "fresh"
    assert cli.run([*score, str(folders / "fresh"), "--metrics", "sim"]) == 2
    refused = capfd.readouterr()
    assert "did you mean 'ssim'" in refused.err
    assert refused.out == ""
    assert cli.run([*score, str(folders / "fresh"), "--minutes", "5"]) == 2
    assert "--minutes 5: of the trainings of --utility and --sweep" in capfd.readouterr().err


@pytest.mark.parametrize("relative", [False, True], ids=["absolute", "relative"])
def test_a_mask_that_only_shares_its_name_makes_no_pair(tmp_path, relative):
    """`0.png` of the validation set is not `0.png` of the training set, wherever `score` runs."""

    rng = np.random.default_rng(0)
    masks = {}
    for root in ("train", "val", "synth"):
        for sub in ("images", "labels"):
            (tmp_path / root / sub).mkdir(parents=True)
        mask = np.zeros((16, 16), np.uint8)
        mask[: 4 if root == "train" else 8] = 1
        masks[root] = tmp_path / root / "labels" / "0.png"
        Image.fromarray(mask).save(masks[root])
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / root / "images" / "0.png")
    source = masks["val"].relative_to(tmp_path) if relative else masks["val"]
    row = {"index": 0, "image": "images/0.png", "source": str(source), "perturbations": []}
    (tmp_path / "synth" / "manifest.jsonl").write_text(json.dumps(row) + "\n")
    train, val, synth = (open_folder(tmp_path / r, "auto", Silent()) for r in ("train", "val", "synth"))
    assert pair(synth, val).count == 1
    assert pair(synth, train).count == 0


def test_frames_of_an_nnunet_set_go_by_their_case(tmp_path):
    """The image of CASE is CASE_0000.png, and its manifest names that file."""
    rng = np.random.default_rng(0)
    labels = {"background": 0, "polyp": 1}
    description = {"channel_names": {"0": "R"}, "labels": labels, "numTraining": 2, "file_ending": ".png"}
    for root in ("real", "synth"):
        for case in ("a", "b"):
            stem = case if root == "real" else f"{case}_new"
            write(tmp_path / root / "imagesTr" / f"{stem}_0000.png", scene(rng.integers(1000), (16, 16)))
            write(tmp_path / root / "labelsTr" / f"{stem}.png", rng.integers(0, 2, (16, 16), np.uint8))
        (tmp_path / root / "dataset.json").write_text(json.dumps(description))
    rows = [
        {"image": f"imagesTr/{case}_new_0000.png", "source": f"elsewhere/{case}.png", "perturbations": []}
        for case in ("b", "a")
    ]
    (tmp_path / "synth" / "manifest.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    real, synth = (open_folder(tmp_path / root, "auto", Silent()) for root in ("real", "synth"))
    assert synth.names == ("a_new", "b_new")
    assert pair(synth, real).partner.tolist() == [0, 1]
