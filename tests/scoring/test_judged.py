"""What a judge said of synthetic images, in score's report: figures, order, choice; and the file that judge writes."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from segmenter_data import SPACE, write_set

from surgaug.cli import run
from surgaug.errors import DataError
from surgaug.io.manifest import FULL_LABELS
from surgaug.runtime.feedback import Silent
from surgaug.scoring.compute.judged import judged
from surgaug.scoring.inputs import admitted, open_folder
from surgaug.scoring.report.html.thumbnails import sheet
from surgaug.scoring.segmenter.evaluation import full_labels, note_of_trust
from surgaug.segmenter.judge import load

AGREEMENTS = (0.9, 0.4, 0.7, 0.8)


@pytest.fixture
def synth(tmp_path):
    """Four images that a judge has read; of the first two, images of one mask."""
    root = write_set(tmp_path / "synth", 4, 3)
    (root / "classes.json").write_text(json.dumps({c.name: c.id for c in SPACE.classes}))
    rows = [
        {
            "index": i, "image": f"images/3_{i}.png", "label": f"labels/3_{i}.png", "mask": f"m{max(0, i - 1)}",
            "source": f"m{max(0, i - 1)}.png", "agreement": share, "agreement_by_class": {"0": 1.0, "3": share},
        }
        for i, share in enumerate(AGREEMENTS)
    ]  # fmt: skip
    (root / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return root


def test_the_figures_are_those_of_the_manifest(synth):
    folder = open_folder(synth, "auto", Silent())
    found = judged(folder, None, 0)
    assert found.agreement.value == pytest.approx(np.mean(AGREEMENTS))
    assert found.agreement.low < found.agreement.value < found.agreement.high
    assert [(c.name, round(c.agreement, 3)) for c in found.classes] == [("tool", 0.7), ("ground", 1.0)]
    assert found.lowest[0] == ("3_1", 0.4)
    assert [trio.name for trio in sheet(folder, [], 4)] == [
        f"3_{i}, {p} % trusted" for i, p in ((0, 90), (3, 80), (2, 70), (1, 40))
    ]


def test_what_is_read_of_labels_that_a_judge_thinned_is_told(synth):
    (note,) = note_of_trust(open_folder(synth, "auto", Silent()))
    assert "of 4 images only the labels that the judge trusts are read (70 % of theirs)" in note
    manifest = synth / "manifest.jsonl"
    manifest.write_text(re.sub(r'"agreement": [\d.]+', '"agreement": 1.0', manifest.read_text()))
    assert note_of_trust(open_folder(synth, "auto", Silent())) == ()


def test_images_can_be_chosen_by_it(synth):
    folder = admitted(open_folder(synth, "auto", Silent()), 0.75)
    assert (folder.names, folder.refused, len(folder.frames)) == (("3_0", "3_3"), 2, 2)
    assert [folder.frames.items[i].name for i in folder.positions] == ["3_0", "3_3"]
    with pytest.raises(DataError, match=r"leaves no image; the most trusted has 0\.90"):
        admitted(open_folder(synth, "auto", Silent()), 0.95)
    (synth / "manifest.jsonl").unlink()
    with pytest.raises(DataError, match="synthesize them with --judge"):
        admitted(open_folder(synth, "auto", Silent()), 0.5)


def test_all_labels_are_found_beside_the_trusted_ones(synth):
    folder = open_folder(synth, "auto", Silent())
    assert full_labels(folder.frames) is None
    (synth / FULL_LABELS).mkdir()
    for path in (synth / "labels").iterdir():
        (synth / FULL_LABELS / path.name).write_bytes(path.read_bytes())
    again = open_folder(synth, "auto", Silent())
    assert len(again) == 4  # the folder is none of labels
    full = full_labels(again.frames)
    assert np.array_equal(full.load(0), again.frames.load(0)) and full.items[0].label.parent.name == FULL_LABELS


def test_the_command_line(synth, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    real = write_set(tmp_path / "real", 6, 2)
    (real / "classes.json").write_bytes((synth / "classes.json").read_bytes())
    argv = ["score", "--real", str(real), "--synth", str(synth), "--metrics", "hue", "--html", "out.html"]
    assert run([*argv, "--json", "out.json", "--least-agreement", "0.5"]) == 0
    row = json.loads((tmp_path / "out.json").read_text())["rows"][0]
    assert (row["images"], row["judged"]["left_out"]) == (3, 1)
    assert row["measures"]["agreement"]["value"] == pytest.approx(80)
    page = (tmp_path / "out.html").read_text()
    assert "What the judge trusts, by class" in page and "1 images below 50 % are left out" in page
    assert "what the judge trusts" in capsys.readouterr().err
    assert run([*argv, "--fail-if", "agreement<90"]) == 3


def test_a_judge_is_trained_and_written_to_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = write_set(tmp_path / "data", 8, 1)
    (data / "classes.json").write_text(json.dumps({c.name: c.id for c in SPACE.classes}))
    argv = ["judge", "--data", str(data), "--segmenter-steps", "3", "--segmenter-size", "32x48"]
    assert run([*argv, "--out", "j.safetensors", "--json", "out.json"]) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert (found["command"], found["frames"], found["size"]) == ("judge", 8, [32, 48])
    assert all(c["frames"] and c["surprise"] > 0 for c in found["classes"])
    judge = load(tmp_path / "j.safetensors", torch.device("cpu"))
    assert (judge.space.names, judge.size, len(judge.networks)) == (("ground", "tool"), (32, 48), 3)
    assert run([*argv, "--out", "j.pt"]) == 2
    assert "its name ends with .safetensors" in capsys.readouterr().err
