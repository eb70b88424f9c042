from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from surgaug.datasets.dataset import open_masks
from surgaug.errors import DataError, ModelError
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.runtime.feedback import Silent
from surgaug.synthesis.masks import digest, open_for, output_size


def save(folder, arrays):
    folder.mkdir(exist_ok=True)
    for name, array in arrays.items():
        Image.fromarray(np.asarray(array, np.uint8)).save(folder / name)
    return folder


def test_maps_in_the_colours_of_the_model_are_understood(tmp_path, space):
    ids = np.arange(20).reshape(4, 5) % 5
    folder = save(tmp_path / "colours", {"a.png": space.colorize(ids)})
    maps, found = open_for(space, tmp_path / "model", folder, "auto", Silent())
    assert np.array_equal(maps.load(0), ids)
    assert found.presence_by_item.tolist() == [[True] * 5]


def test_maps_of_all_36_classes_are_regrouped_for_a_model_of_a_task(tmp_path):
    from surgaug.labels.builtin_spaces import load_space

    model_space, ids = load_space("cadis-task1"), np.arange(36).reshape(6, 6)
    folder = save(tmp_path / "cadis", {"Video1_frame000030.png": ids})
    maps, _ = open_for(model_space, tmp_path / "model", folder, "auto", Silent())
    assert set(np.unique(maps.load(0))) <= {*model_space.ids, model_space.ignore}
    assert maps.space == model_space


def test_the_same_id_must_mean_the_same_class(tmp_path, space):
    folder = save(tmp_path / "maps", {"a.png": np.full((4, 4), 1), "b.png": np.full((4, 4), 2)})
    csv = tmp_path / "classes.csv"
    csv.write_text("id,name\n1,Eyelid\n2,cornea\n")
    with pytest.raises(ModelError, match=r"1 \(Eyelid; to the model it is Iris\) in a\.png\. It knows 5 classes"):
        open_for(space, tmp_path / "model", folder, str(csv), Silent())
    anonymous = replace(space, name="auto")
    maps, _ = open_for(anonymous, tmp_path / "model", folder, str(csv), Silent())
    assert len(maps) == 2


def test_a_long_refusal_is_cut(tmp_path):
    folder = save(tmp_path / "maps", {f"{i}.png": np.arange(16).reshape(4, 4) for i in range(5)})
    model_space = LabelSpace("mine", tuple(LabelClass(i, f"kind {i}") for i in (0, 1, 2, 5)))
    with pytest.raises(ModelError) as caught:
        open_for(model_space, tmp_path / "model", folder, "auto", Silent())
    message = str(caught.value)
    assert "3 (class 3) in 0.png, 1.png and 3 more; 4 (class 4) in" in message
    assert "; also 10 (class 10), " in message and "15 (class 15). It knows 4 classes of 'mine' (ids 0-2, 5)" in message


def test_what_cannot_be_read_is_named(tmp_path, space):
    folder = save(tmp_path / "maps", {"a.png": np.zeros((4, 4))})
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes()[:40])
    with pytest.raises(DataError, match=r"b\.png"):
        open_for(space, tmp_path / "model", folder, "auto", Silent())
    with pytest.raises(DataError, match="nowhere"):
        open_for(space, tmp_path / "model", tmp_path / "nowhere", "auto", Silent())


def test_digest_is_of_names_and_contents_not_of_places(tmp_path):
    a = save(tmp_path / "a", {"x.png": np.zeros((4, 4)), "y.png": np.ones((4, 4))})
    b = save(tmp_path / "b", {"x.png": np.zeros((4, 4)), "y.png": np.ones((4, 4))})

    def found(folder, *names):
        return digest(open_masks(tuple(folder / name for name in names)))

    first = found(a, "x.png", "y.png")
    assert first == found(b, "x.png", "y.png") != found(a, "y.png", "x.png")
    save(b, {"y.png": np.full((4, 4), 2)})
    assert first != found(b, "x.png", "y.png")


def test_digest_is_of_all_files_of_a_label_map(tmp_path):
    """Of a file for each class all count: one that is moved has as many pixels as before."""
    root, knife = tmp_path / "set", np.zeros((8, 10))
    knife[:3] = 255
    for name in ("images", "masks", "masks/eye", "masks/knife"):
        (root / name).mkdir(parents=True)
    for i in range(3):
        save(root / "images", {f"{i}.png": np.zeros((8, 10))})
        save(root / "masks/eye", {f"{i}.png": knife[::-1]})
        save(root / "masks/knife", {f"{i}.png": knife})
    names = ("background", "eye", "knife")
    space = LabelSpace("mine", tuple(LabelClass(i, name) for i, name in enumerate(names)))

    def found():
        return digest(open_for(space, tmp_path / "model", root, "auto", Silent())[0])

    before = found()
    assert found() == before
    save(root / "masks/knife", {"1.png": np.roll(knife, 1, axis=0)})
    assert found() != before


def test_output_size():
    assert output_size((540, 960), None, (64, 112)) == (64, 112)
    assert output_size((500, 500), "native", (64, 112)) == (500, 500)
    assert output_size((540, 960), None, (256, 448), cascade=True) == (256, 448)
    assert output_size((300, 500), None, (256, 448), cascade=True) == (300, 500)
    assert output_size((500, 500), (32, 48), (64, 112)) == (32, 48)
    height, width = output_size((500, 500), None, (64, 112))
    assert height == width and height % 2 == 0 and abs(height * width - 64 * 112) < 700
