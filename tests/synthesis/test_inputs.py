"""What `synthesize` says of label maps and sizes that its model does not know, and what it refuses; by the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heard import Heard
from PIL import Image

from surgaug.cli import run
from surgaug.errors import ModelError, UsageError
from surgaug.models.model_files import SHIPPED
from surgaug.models.unet import UNetConfig
from surgaug.runtime.feedback import Silent
from surgaug.synthesis.config import SynthesizeConfig
from surgaug.synthesis.inputs import open_inputs
from surgaug.synthesis.run import synthesize


def heard(config: SynthesizeConfig) -> str:
    found = Heard()
    open_inputs(config, found)
    return "\n".join(found.warnings)


@pytest.fixture
def config(model_file, masks, tmp_path) -> SynthesizeConfig:
    return SynthesizeConfig(masks=masks, n=4, model=model_file, out=tmp_path / "out", device="cpu")


@pytest.mark.parametrize(
    ("size", "far"),
    [(None, ""), ((24, 32), ""), ((32, 44), ""), ((48, 64), "--size 48x64: the model was trained at 24x32.*2.0"),
     ((12, 16), "--size 12x16"), ((24, 64), "--size 24x64"), ("native", "")],
)  # fmt: skip
def test_a_size_far_from_the_training_size_is_said(config, size, far):
    said = heard(replace(config, size=size))
    assert ("--size" in said) == bool(far)
    if far:
        assert all(part in said for part in far.split(".*"))


def test_masks_far_from_the_training_size_are_said(config, masks):
    Image.fromarray(np.zeros((24, 320), np.uint8)).save(masks / "wide.png")
    assert "--size native: 24x320" in heard(replace(config, size="native"))
    assert "--size" not in heard(config)


def test_a_size_of_other_proportions_than_the_label_maps_is_said(config, masks):
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(masks / "one.png")
    assert "proportions" not in heard(replace(config, size=(24, 32)))
    said = heard(replace(config, size=(32, 24)))
    assert "--size 32x24 changes the proportions of label maps of " in said and "--size 24x32 keeps them" in said


def test_a_class_that_training_never_showed_is_said(config, model_file, tmp_path):
    from surgaug.labels.label_space import LabelSpace
    from surgaug.models.checkpoint import read_header, read_weights, save_model

    header = read_header(model_file)
    file = tmp_path / "model.safetensors"
    presence = {"0": 50, "1": 50, "2": 50, "3": 0, "4": 0}
    statistics = {"frames": 50, "presence": presence, "pixels": dict.fromkeys(presence, 0.2), "touching": []}
    save_model(
        file, read_weights(model_file), config=UNetConfig(**header["config"]),
        space=LabelSpace.from_dict(header["space"]), schedule=header["schedule"], prediction="v", size=(24, 32),
        defaults=header["defaults"], meta={**header["meta"], "statistics": statistics},
    )  # fmt: skip
    said = heard(replace(config, model=file))
    assert "none of the 50 frames that the model was trained on shows Skin (5 of 5 label maps), Cannula (1 of 5" in said
    assert "none of the" not in heard(config)


def test_permuted_names_are_written_in_the_models_ids(config, masks, space):
    """The class file names other ids than the model's: labels hold the model's, to the very pixel."""
    order = [3, 0, 4, 1, 2]  # the mask's id i is the model's class order[i]
    classes = {space.by_id(order[i]).name.upper().replace(" ", "_"): i for i in range(5)}
    (masks.parent / "classes.json").write_text(json.dumps(classes))
    synthesize(config)
    rows = [json.loads(line) for line in (config.out / "manifest.jsonl").read_text().splitlines()]
    assert len(rows) == 4
    for row in rows:
        source = np.asarray(Image.open(masks / f"{row['mask']}.png"))
        label = np.asarray(Image.open(config.out / row["label"]))
        assert np.array_equal(label, np.choose(source, order))
        assert row["classes"] == {str(i): int((label == i).sum()) for i in np.unique(label)}
    described = json.loads((config.out / "dataset.json").read_text())
    assert [(c["id"], c["name"]) for c in described["label_space"]["classes"]] == list(enumerate(space.names))


def test_an_output_among_flat_label_maps_goes_on(config, masks):
    config = replace(config, out=masks / "made")
    synthesize(config)
    again = synthesize(replace(config, n=6))
    assert again.synthesized == 2 and len(open_inputs(config, Silent()).maps) == 5


def test_an_output_that_would_be_read_as_label_maps_is_refused(config, masks):
    """In place of those that lie flat."""
    for source, out in ((masks, masks / "labels"), ((masks,), masks / "labels")):
        with pytest.raises(UsageError) as caught:
            synthesize(replace(config, masks=source, out=out))
        folder = source[0] if isinstance(source, tuple) else source
        assert f"--out {out}: lies within --masks {folder}, which" in str(caught.value)
        assert "give another --out" in str(caught.value) and not out.exists()


def test_bare_ids_are_refused_unless_insisted_on(config, masks, space):
    (masks.parent / "classes.json").unlink()
    with pytest.raises(ModelError, match=r"nothing says which classes.*say --classes MODEL"):
        synthesize(config)
    assert not config.out.exists()
    assert synthesize(replace(config, classes="MODEL")).complete
    assert open_inputs(replace(config, classes="MODEL"), Silent()).maps.space == space


@pytest.mark.parametrize("name", ["scene{}", "Video1_frame00000{}"])
def test_the_command_refuses_instrument_masks_for_what_they_are(name, tmp_path: Path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "masks").mkdir()
    for i in range(3):
        mask = np.zeros((36, 64), np.uint8)
        mask[8:12, : 20 + i] = 1
        Image.fromarray(mask).save(tmp_path / "masks" / f"{name.format(i)}.png")
    line = ["synthesize", "--masks", "masks", "--n", "1", "--model", str(SHIPPED), "--out", "out"]
    assert run(line) == 1
    err = capsys.readouterr().err
    assert "a mask of two values (0 and 1)" in err and "36 classes of 'cadis'" in err
    assert not (tmp_path / "out").exists()
