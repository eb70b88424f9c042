"""Label maps of one label space under another: brought by name, refused, or plainly the same; never by chance."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from heard import Heard
from PIL import Image

from surgaug import phantom
from surgaug.datasets import own_maps
from surgaug.datasets.dataset import LabelMaps, open_masks
from surgaug.datasets.space_match import Reference, bring, of_model, start_space, statistics_of
from surgaug.errors import DataError, ModelError
from surgaug.labels.builtin_spaces import builtin_spaces, load_space
from surgaug.labels.codec import Codec
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.runtime.feedback import Silent

CADIS = load_space("cadis")
SIZE = (72, 128)


def written(
    folder: Path, maps: list[np.ndarray], classes: dict[str, int] | None = None, name: str = "scene_{}"
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, label_map in enumerate(maps):
        Image.fromarray(label_map.astype(np.uint8)).save(folder / f"{name.format(i)}.png")
    if classes:
        (folder / "classes.json").write_text(json.dumps(classes))
    return folder


def stand_ins(space: LabelSpace, n: int, share: float) -> list[np.ndarray]:
    """Maps of a ground of the first class with a disc of every other one (or of a share of them)."""
    rng = np.random.default_rng(zlib.crc32(space.name.encode()))
    y, x = np.mgrid[:24, :32]
    maps = []
    for _ in range(n):
        label_map = np.full((24, 32), space.ids[0])
        for i in space.ids[1:]:
            if rng.random() < share:
                cy, cx, r = rng.uniform(0, 24), rng.uniform(0, 32), rng.uniform(2, 5)
                label_map[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = i
        maps.append(label_map)
    return maps


def space_of(classes: dict[str, int]) -> LabelSpace:
    return LabelSpace("mine", tuple(LabelClass(i, name) for name, i in classes.items()))


def reference(space: LabelSpace, maps: LabelMaps | None = None) -> Reference:
    return Reference(space, "the model m", lambda: None if maps is None else statistics_of(maps), ModelError)


@pytest.fixture(scope="module")
def scenes() -> list[np.ndarray]:
    return [phantom.render(seed, SIZE)[1] for seed in range(50)]


@pytest.fixture(scope="module")
def of_scenes(scenes, tmp_path_factory) -> Reference:
    """CaDIS's space, with the statistics of 35 phantom scenes."""
    return reference(CADIS, open_masks(written(tmp_path_factory.mktemp("known"), scenes[:35]), classes="cadis"))


@pytest.fixture(scope="module", params=[1.0, 0.3])
def bare(request, tmp_path_factory) -> dict[str, tuple[LabelMaps, list[np.ndarray]]]:
    """Of each built-in space stand-ins without a word on their classes, opened, and what is in them."""
    root = tmp_path_factory.mktemp("spaces")
    drawn = {name: stand_ins(load_space(name), 24, request.param) for name in builtin_spaces()}
    return {name: (open_masks(written(root / name, maps)), maps) for name, maps in drawn.items()}


def known(maps: LabelMaps, space: LabelSpace) -> LabelMaps:
    """Bare maps whose label space is said."""
    return replace(maps, space=space, codec=Codec("ids", space, {i: i for i in space.ids}))


@pytest.mark.parametrize("mine", builtin_spaces())
def test_every_pair_of_built_in_spaces_bare(mine, bare):
    """Ids of one under a model of the other are refused, whichever of both has more classes."""
    space = load_space(mine)
    statistics = statistics_of(known(bare[mine][0], space))
    for other in set(builtin_spaces()) - {mine}:
        with pytest.raises(ModelError, match="the model m"):
            bring(bare[other][0], Reference(space, "the model m", lambda: statistics, ModelError), Silent())


@pytest.mark.parametrize("mine", builtin_spaces())
def test_every_pair_of_built_in_spaces_named(mine, bare):
    """By name where every class has its counterpart, to the very pixel; else refused, naming those without."""
    space = load_space(mine)
    ids = {c.name.lower(): c.id for c in space.classes}
    for other in set(builtin_spaces()) - {mine}:
        drawn = bare[other][1]
        maps = known(bare[other][0], load_space(other))
        there = set(np.unique(np.stack(drawn)).tolist())
        lacking = [c for c in load_space(other).classes if c.id in there and c.name.lower() not in ids]
        table = {c.id: ids.get(c.name.lower()) for c in load_space(other).classes}
        if mine.startswith("cadis-task") and other == "cadis":  # which says itself what becomes of each class
            file = Path(phantom.__file__).parents[1] / f"labels/spaces/{mine}.json"
            table, lacking = dict(enumerate(json.loads(file.read_text())["remap"]["to"])), []
        if lacking:
            with pytest.raises(ModelError, match=f"{lacking[0].id} \\({lacking[0].name}"):
                bring(maps, reference(space), Silent())
            continue
        brought = bring(maps, reference(space), Silent())
        for i, label_map in enumerate(drawn):
            assert np.array_equal(brought.load(i), np.vectorize(table.get)(label_map)), other


def test_permuted_names_bring_the_models_ids(tmp_path):
    mine = space_of({"Pupil": 0, "Surgical Tape": 10, "I/A Handpiece": 20, "Skin": 30})
    label_map = np.random.default_rng(0).integers(0, 4, (9, 7))
    heard = Heard()
    given = {"i/a handpiece": 0, "Pupil": 1, "SKIN": 2, "Surgical_tape": 3}
    maps = bring(open_masks(written(tmp_path, [label_map], given)), reference(mine), heard)
    expected = np.choose(label_map, [20, 0, 30, 10])
    assert np.array_equal(maps.load(0), expected) and maps.space == mine
    assert any("brought by name" in said and "i/a handpiece 0 to 20" in said for said in heard.said)
    counted, _ = maps.codec.count_ids(maps.scans[maps.items[0].label])
    assert counted == {int(i): int(n) for i, n in zip(*np.unique(expected, return_counts=True), strict=True)}


def test_only_classes_that_occur_need_a_counterpart(tmp_path):
    mine = space_of({"Iris": 0, "Pupil": 1})
    maps = open_masks(written(tmp_path, [np.eye(4)], {"Pupil": 0, "iris": 1, "Lens": 2}))
    assert np.array_equal(bring(maps, reference(mine), Silent()).load(0), 1 - np.eye(4))
    written(tmp_path, [np.eye(4) * 2])
    with pytest.raises(ModelError, match=r"2 \(Lens\) in scene_0\.png"):
        bring(open_masks(tmp_path), reference(mine), Silent())


def test_weights_of_classes_start_from_their_counterparts(tmp_path):
    model = space_of({"I/A Handpiece": 0, "Pupil": 1, "Iris": 2})
    maps = open_masks(written(tmp_path, [np.tri(4, dtype=int)], {"pupil": 0, "i/a_handpiece": 1, "Gauze": 2}))
    heard = Heard()
    space = start_space(maps, reference(model), heard)
    assert space.names == ("Pupil", "I/A Handpiece", "Gauze (no counterpart)") and space.ids == (0, 1, 2)
    assert len(heard.said) == 1 and "serves 2 of 3 classes" in heard.said[0] and heard.said[0].endswith("there: Gauze")


def test_weights_of_bare_ids_start_fresh_unless_they_are_plainly_the_models(scenes, of_scenes, tmp_path):
    own, other = open_masks(written(tmp_path / "own", scenes[:9])), np.array([6, 5, 4, 3, 2, 1, 0, *range(7, 36)])
    exchanged = open_masks(written(tmp_path / "other", [other[scene] for scene in scenes[:9]]))
    of_bare = replace(reference(own.space, own), digests=frozenset(map(own_maps.digest, scenes[:9])))
    for model, names in ((with_digests(scenes[:9]), CADIS.names), (of_bare, own.space.names)):
        assert set(start_space(own, model, Silent()).names) <= set(names)
        heard = Heard()
        assert set(start_space(exchanged, model, heard).names).isdisjoint(names)
        assert "serves 0 of" in heard.said[-1]


def test_folders_that_give_an_id_two_names_are_not_opened_together(tmp_path):
    a = written(tmp_path / "a" / "masks", [np.eye(4)], {"Iris": 0, "Pupil": 1})
    b = written(tmp_path / "b" / "masks", [np.eye(4)], {"Pupil": 0, "Iris": 1}, name="other_{}")
    with pytest.raises(DataError, match=r"a/masks and .*b/masks: .* 0 is Iris in the first and Pupil in the second"):
        open_masks([a, b])
    (b / "classes.json").write_text(json.dumps({"iris": 0, "Pupil": 1}))
    assert len(open_masks([a, b])) == 2


def test_an_ignore_value_never_becomes_a_class(tmp_path):
    mine = space_of({"Pupil": 0, "Iris": 1})
    (tmp_path / "classes.toml").write_text("ignore = 0\n[classes]\nIris = 2\nPupil = 1\n")
    maps = bring(open_masks(written(tmp_path, [np.array([[0, 1, 2]])])), reference(mine), Silent())
    assert maps.load(0).tolist() == [[255, 0, 1]] and maps.space.ignore == 255


def test_bare_ids_that_are_plainly_the_models_go_on(scenes, of_scenes, tmp_path):
    """Classes that are in every frame are told by their statistics."""
    heard = Heard()
    anatomy = [np.where(np.isin(scene, (0, 4, 5, 6)), scene, 6) for scene in scenes[35:]]
    maps = bring(open_masks(written(tmp_path, anatomy)), of_scenes, heard)
    assert maps.space.classes == CADIS.classes and not heard.said
    assert np.array_equal(maps.load(1), anatomy[1])


def test_models_without_digests_take_what_only_core_classes_tell_with_a_warning(scenes, of_scenes, tmp_path):
    heard = Heard()
    maps = bring(open_masks(written(tmp_path, scenes[35:])), of_scenes, heard)
    assert maps.space.classes == CADIS.classes and len(heard.said) == 1
    assert "might as well be" in heard.said[0] and "--classes" in heard.said[0]


def with_digests(maps: list[np.ndarray], space: LabelSpace = CADIS) -> Reference:
    """Of a model that was trained on these, and kept no statistics."""
    return replace(reference(space), digests=frozenset(map(own_maps.digest, maps)))


@pytest.mark.parametrize("new", [0, 10])
def test_bare_ids_of_the_very_maps_of_the_training_are_the_models(scenes, new, tmp_path):
    """Also with as many new ones that show nothing else."""
    shown = set(np.unique(np.stack(scenes[:35])).tolist())
    added = [scene for scene in scenes[35:] if set(np.unique(scene).tolist()) <= shown][:new]
    maps = bring(open_masks(written(tmp_path, scenes[:35] + added)), with_digests(scenes[:35]), Silent())
    assert maps.space.classes == CADIS.classes and len(maps) == 35 + len(added)


def test_the_very_masks_of_a_model_of_two_named_classes_are_its_own(tmp_path):
    space, masks = space_of({"background": 0, "polyp": 1}), [np.tri(9, k=k) for k in range(-4, 4)]
    files = open_masks(written(tmp_path, [255 * mask for mask in masks]))
    assert bring(files, with_digests(masks, space), Silent()).space.names == space.names
    with pytest.raises(ModelError, match="no statistics"):
        bring(files, with_digests([1 - mask for mask in masks], space), Silent())


@pytest.mark.parametrize("seed", range(6))
def test_bare_ids_with_instruments_exchanged_are_refused(scenes, of_scenes, seed, tmp_path):
    """Maps of the training, and others: statistics do not tell one instrument from another."""
    order = np.arange(36)
    rng = np.random.default_rng(seed)
    shown = [i for i in np.unique(np.stack(scenes)) if i > 6]
    one, other = rng.choice(shown), rng.integers(7, 36)
    order[[one, other]] = (other, one) if one != other else (7, 8)
    order[7:] = rng.permutation(order[7:]) if seed % 2 else order[7:]
    exchanged = [order[scene] for scene in scenes[:40]]
    of_model = replace(of_scenes, digests=frozenset(map(own_maps.digest, scenes[:35])))
    with pytest.raises(ModelError, match="might as well be"):
        bring(open_masks(written(tmp_path, exchanged)), of_model, Silent())


@pytest.mark.parametrize("swap", [(0, 4), (5, 6), (0, 6), (4, 6)])
def test_bare_ids_with_two_classes_swapped_are_refused(scenes, of_scenes, swap, tmp_path):
    order = np.arange(36)
    order[list(swap)] = swap[::-1]
    with pytest.raises(ModelError, match="nothing says which classes"):
        bring(open_masks(written(tmp_path, [order[scene] for scene in scenes[35:]])), of_scenes, Silent())


def test_bare_ids_of_a_task_of_cadis_are_refused(scenes, of_scenes, tmp_path):
    tasks = np.minimum(np.arange(36), 7)  # task 1: all instruments are class 7
    with pytest.raises(ModelError, match="nothing says which classes"):
        bring(open_masks(written(tmp_path, [tasks[scene] for scene in scenes[35:]])), of_scenes, Silent())


@pytest.mark.parametrize(
    ("white", "ending", "values"), [(1, "png", "0 and 1"), (255, "png", "0 and 255"), (255, "jpg", "0 and 255")]
)
def test_masks_of_one_object_say_the_true_cause(of_scenes, white, ending, values, tmp_path):
    mask = np.zeros((64, 64), np.uint8)
    mask[20:50, 16:40] = white
    Image.fromarray(mask).save(tmp_path / f"a.{ending}")
    with pytest.raises(
        ModelError, match=rf"a\.{ending}: a mask of two values \({values}\).*36 classes of 'cadis'"
    ) as caught:
        bring(open_masks(tmp_path), of_scenes, Silent())
    message = str(caught.value)
    assert (
        "save label maps as PNG" not in message and "36 classes of 'cadis'" in message and "--classes FILE" in message
    )


def test_masks_of_one_value_are_not_called_masks_of_two(tmp_path):
    mine = replace(space_of({"class 0": 0, "class 1": 1, "class 2": 2}), name="auto")
    with pytest.raises(ModelError, match=r"scene_0\.png: every pixel is 255, and nothing says whether that is ignored"):
        bring(open_masks(written(tmp_path, [np.full((4, 4), 255)])), reference(mine), Silent())


@pytest.mark.parametrize("white", [1, 255])
def test_instrument_masks_named_like_cadis_are_not_taken_for_it(of_scenes, white, tmp_path):
    masks = [np.where(np.arange(64)[:, None] < 8 + i, white, 0) * np.ones((64, 64)) for i in range(4)]
    maps = open_masks(written(tmp_path, masks, name="Video1_frame00001{}"))
    assert maps.space.names == ("background", "foreground")
    with pytest.raises(ModelError, match="a mask of two values"):
        bring(maps, of_scenes, Silent())


def test_scenes_named_like_cadis_are_cadis(scenes, of_scenes, tmp_path):
    maps = open_masks(written(tmp_path, scenes[:9], name="Video1_frame00001{}"))
    assert maps.space == CADIS and bring(maps, of_scenes, Silent()) is maps


def test_a_model_without_names_takes_ids_unless_they_are_plainly_others(scenes, tmp_path):
    known = open_masks(written(tmp_path / "known", scenes[:30]))
    mine = reference(known.space, known)
    assert known.space.name == "auto"
    seen = set(known.space.ids)
    own = [scene for scene in scenes[30:] if set(np.unique(scene)) <= seen]
    heard = Heard()
    assert len(bring(open_masks(written(tmp_path / "own", own)), mine, heard)) == len(own) and not heard.said
    other = [np.choose(np.minimum(scene, 6), [1, 2, 3, 4, 5, 6, 2]) for scene in own]
    with pytest.raises(ModelError, match="would cover"):
        bring(open_masks(written(tmp_path / "other", other)), mine, Silent())
    with pytest.raises(ModelError, match="a mask of two values"):
        bring(open_masks(written(tmp_path / "masks", [scene == 6 for scene in own])), mine, Silent())


def test_files_of_0_1_know_cadis_without_touching_classes(scenes, tmp_path):
    """Their statistics lack it; for CaDIS it is known from elsewhere. One map is enough then."""
    from surgaug.models.checkpoint import read_header
    from surgaug.models.model_files import SHIPPED

    header = read_header(SHIPPED)
    statistics = header["meta"]["statistics"]
    old = {"statistics": {key: statistics[key] for key in ("frames", "presence", "pixels")}}
    model = of_model(LabelSpace.from_dict(header["space"]), SHIPPED, old)
    telling = next(scene for scene in scenes if scene.max() > 17)
    assert bring(open_masks(written(tmp_path, [telling])), model, Silent()).space.name == "cadis"
    bare = replace(model, statistics=lambda: None)
    with pytest.raises(ModelError, match="no statistics"):
        bring(open_masks(tmp_path), bare, Silent())
