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
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.models.checkpoint import read_header, read_weights, save_model
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


def changed(model_file: Path, file: Path, **given) -> Path:
    """The model of `model_file` in another file, with another value of what is given."""
    header = read_header(model_file)
    told = {key: header[key] for key in ("schedule", "prediction", "defaults", "meta")}
    told |= {"config": UNetConfig(**header["config"]), "space": LabelSpace.from_dict(header["space"]), "size": (24, 32)}
    save_model(file, read_weights(model_file), **(told | given))
    return file


def never_showing(model_file: Path, file: Path, *ids: int) -> Path:
    """The model, whose training frames showed nothing of these classes."""
    presence = {str(i): 0 if i in ids else 50 for i in range(5)}
    statistics = {"frames": 50, "presence": presence, "pixels": dict.fromkeys(presence, 0.2), "touching": []}
    return changed(model_file, file, meta={**read_header(model_file)["meta"], "statistics": statistics})


def test_a_class_that_training_never_showed_is_said(config, model_file, tmp_path):
    said = heard(replace(config, model=never_showing(model_file, tmp_path / "model.safetensors", 3, 4)))
    assert "none of the 50 frames that the model was trained on shows Skin (5 of 5 label maps), Cannula (1 of 5" in said
    assert "none of the" not in heard(config)


def test_a_class_that_training_never_showed_is_said_where_a_balance_alone_brings_it_in(
    config, masks, model_file, tmp_path
):
    (masks / "m4.png").unlink(missing_ok=True)
    for file in masks.iterdir():  # none of them shows a cannula
        label_map = np.asarray(Image.open(file)).copy()
        label_map[label_map == 4] = 3
        Image.fromarray(label_map).save(file)
    (tmp_path / "recipe.toml").write_text("balance = { Cannula = 0.3 }\n[ops]\nswap = 0.5\n", encoding="utf-8")
    augmented = replace(config, augment=(str(tmp_path / "recipe.toml"),))
    said = heard(replace(augmented, model=never_showing(model_file, tmp_path / "model.safetensors", 4)))
    assert "balance asks for Cannula, which none of the 50 frames that the model was trained on shows" in said
    assert "balance asks" not in heard(augmented)


def test_no_operation_brings_in_a_class_that_the_model_lacks(config, masks, model_file, tmp_path):
    """Its classes are bare ids, of which the label maps name more: an image could not be told of them."""
    bare = LabelSpace("auto", tuple(LabelClass(i, f"class {i}") for i in range(5)))
    names = ("Pupil", "Iris", "Cornea", "Skin", "Cannula", "Phaco Handpiece")
    (masks.parent / "classes.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    (tmp_path / "recipe.toml").write_text('balance = { "Phaco Handpiece" = 0.3 }\n', encoding="utf-8")
    config = replace(config, model=changed(model_file, tmp_path / "model.safetensors", space=bare))
    inputs = open_inputs(replace(config, augment=("swap", "flip")), Silent())
    assert inputs.maps.space.names == names and inputs.perturbations.space.names == names[:5]
    with pytest.raises(UsageError, match="Phaco Handpiece is no class"):
        open_inputs(replace(config, augment=(str(tmp_path / "recipe.toml"),)), Silent())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"prediction": "flow"}, "prediction: 'flow' is not one of eps, v, x0"),
        ({"schedule": {"kind": "sigmoid"}}, "'sigmoid' is not one of"),
        ({"schedule": {"warp": 2}}, "schedule.warp: unknown"),
        ({"defaults": {"sampler": "heun", "steps": 4, "guidance": 1.0}}, "'heun' is not one of"),
        ({"defaults": {"sampler": "ddim", "guidance": 1.0, "options": {"churn": 1}}}, "churn: sampler ddim has"),
    ],
)
def test_a_model_that_this_version_cannot_sample_is_named(config, model_file, tmp_path, given, says):
    """A prediction that was not known had been taken for v, and the others named no file."""
    file = changed(model_file, tmp_path / "model.safetensors", **given)
    with pytest.raises(ModelError, match=rf"model.safetensors: its description cannot be used \(.*{says}.*newer"):
        open_inputs(replace(config, model=file), Silent())


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
