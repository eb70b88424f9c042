"""Published data sets, from stand-ins of their exact folders and values."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug.datasets.dataset import open_masks, open_pairs
from surgaug.datasets.item import fingerprint
from surgaug.datasets.survey import survey
from surgaug.errors import DataError
from surgaug.io.atomic import write_png
from surgaug.labels.builtin_spaces import builtin_spaces, load_space, stored_of
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.feedback import Silent

ROOT = Path(os.environ.get("SURGAUG_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
HW = (6, 8)


def image(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_png(path, np.full((*HW, 3), value, np.uint8))


def label(path: Path, values: list[int], channels: int = 1) -> np.ndarray:
    """A map whose columns hold `values` in turn; in equal channels where there are several."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.resize(np.array(values, np.uint8), HW[1])[None].repeat(HW[0], axis=0)
    Image.fromarray(array if channels == 1 else np.repeat(array[..., None], channels, axis=2)).save(path)
    return array


def test_cholecseg8k_watershed_masks(tmp_path: Path) -> None:
    clip = tmp_path / "video01" / "video01_00080"
    values = [50, 11, 21, 31, 35, 255, 22, 5]
    for frame in (80, 81):
        image(clip / f"frame_{frame}_endo.png", frame)
        label(clip / f"frame_{frame}_endo_watershed_mask.png", values, channels=3)
        for other in ("mask", "color_mask"):
            image(clip / f"frame_{frame}_endo_{other}.png")
    frames = open_pairs(tmp_path)
    assert frames.layout == "cholecseg8k" and frames.space == load_space("cholecseg8k")
    assert [(i.name, i.video) for i in frames.items] == [
        ("video01_00080_frame_80", "video01"),
        ("video01_00080_frame_81", "video01"),
    ]
    assert frames.load_label(1)[0].tolist() == [0, 1, 2, 5, 255, 255, 10, 12]
    assert frames.load_image(1)[0, 0, 0] == 81
    seen = survey(frames, Silent(), need_images=True)
    assert seen.ignored == 2 * 2 * HW[0]
    with pytest.raises(DataError, match="no split"):
        open_pairs(tmp_path, split="val")


def test_cholecseg8k_color_masks(tmp_path: Path) -> None:
    space = load_space("cholecseg8k")
    colors = [*(c.color for c in space.classes), (255, 255, 255), (0, 0, 0)]
    write_png(tmp_path / "a.png", np.array([colors], np.uint8))
    maps = open_masks(tmp_path, classes="cholecseg8k")
    assert maps.codec.encoding == "colors" and maps.load(0)[0].tolist() == [*range(13), 255, 255]


def test_cholecseg8k_watershed_values_are_told_from_ids_without_the_layout(tmp_path: Path) -> None:
    values = sorted(stored_of(load_space("cholecseg8k")))
    write_png(tmp_path / "a.png", np.array([values], np.uint8))
    maps = open_masks(tmp_path, classes="cholecseg8k")
    assert maps.load(0)[0].tolist() == [stored_of(maps.space)[v] for v in values]


def test_endovis2018(tmp_path: Path) -> None:
    space = load_space("endovis2018")
    for release, sequence in (("miccai_challenge_2018_release_1", 1), ("miccai_challenge_release_2", 5)):
        folder = tmp_path / release / f"seq_{sequence}"
        image(folder / "left_frames" / "frame000.png", sequence)
        (folder / "labels").mkdir()
        rgba = np.array([[(*c.color, 255) for c in space.classes]] * 2, np.uint8)
        Image.fromarray(rgba).save(folder / "labels" / "frame000.png")
    frames = open_pairs(tmp_path)
    assert frames.layout == "endovis2018" and frames.space == space
    assert [(i.name, i.video) for i in frames.items] == [("seq_1_frame000", "seq_1"), ("seq_5_frame000", "seq_5")]
    assert frames.load_label(0)[0].tolist() == list(range(12))
    assert len(open_pairs(tmp_path / "miccai_challenge_release_2")) == 1


@pytest.mark.parametrize(
    ("image_file", "label_file"),
    [
        ("video0{0}/video0{0}_00080/frame_80_endo.png", "video0{0}/video0{0}_00080/frame_80_endo_watershed_mask.png"),
        ("seq_{0}/left_frames/frame000.png", "seq_{0}/labels/frame000.png"),
        ("dataset_{0}/left_frames/frame000.png", "dataset_{0}/ground_truth/Grasper_labels/frame000.png"),
    ],
)
@pytest.mark.parametrize("folders", [("train", "test"), ("instrument_1_4_training", "instrument_5_8_testing")])
def test_folders_by_split_above_published_trees(
    tmp_path: Path, image_file: str, label_file: str, folders: tuple[str, str]
) -> None:
    for number, folder in enumerate(folders, 1):
        image(tmp_path / folder / image_file.format(number), number)
        label(tmp_path / folder / label_file.format(number), [0] * 8, channels=3)
    assert {i.split for i in open_pairs(tmp_path).items} == {"train", "test"}
    assert [i.split for i in open_pairs(tmp_path, split="test").items] == ["test"]
    with pytest.raises(DataError, match="no split"):
        open_pairs(tmp_path, split="val")


@pytest.fixture
def endovis2017(tmp_path: Path) -> Path:
    folder = tmp_path / "instrument_dataset_1"
    image(folder / "left_frames" / "frame000.png")
    truth = folder / "ground_truth"
    label(truth / "Left_Prograsp_Forceps_labels" / "frame000.png", [10, 20, 30, 0, 0, 0, 0, 0])
    label(truth / "Maryland_Bipolar_Forceps_labels" / "frame000.png", [0, 0, 0, 10, 30, 0, 0, 0])
    label(truth / "Other_labels" / "frame000.png", [0, 0, 0, 0, 0, 40, 0, 0])
    return tmp_path


def test_endovis2017_parts_and_types(endovis2017: Path) -> None:
    parts = open_pairs(endovis2017)
    assert parts.layout == "endovis2017" and parts.items[0].video == "instrument_dataset_1"
    assert parts.load_label(0)[0].tolist() == [1, 2, 3, 1, 3, 0, 0, 0]
    assert survey(parts, Silent(), need_images=True).presence.tolist() == [1, 1, 1, 1]
    types = open_pairs(endovis2017, classes="endovis2017-types")
    assert types.load_label(0)[0].tolist() == [2, 2, 2, 1, 1, 7, 0, 0]
    with pytest.raises(DataError, match="not 'cadis'"):
        open_pairs(endovis2017, classes="cadis")


@pytest.mark.parametrize(
    ("tool", "type_id"),
    [
        ("Left_Prograsp_Forceps_labels", 2), ("Maryland_Bipolar_Forceps_labels", 1), ("Other_labels", 7),
        ("Large_Needle_Driver_Left_labels", 3), ("Right_Large_Needle_Driver_labels", 3), ("Bipolar_Forceps_labels", 1),
        ("Grasping_Retractor_labels", 5), ("Vessel_Sealer_labels", 4), ("Monopolar_Curved_Scissors_labels", 6),
        ("Prograsp_Forceps", 2), ("Left_Bipolar_Forceps", 1), ("Right_Vessel_Sealer", 4),
    ],
)  # fmt: skip
def test_endovis2017_names_of_tools_as_published(tmp_path: Path, tool: str, type_id: int) -> None:
    """The last three are those of the data sets 6 and 7, where the ending is left out; 7 keeps three equal channels."""
    folder = tmp_path / "instrument_5_8_training" / "instrument_dataset_7"
    image(folder / "left_frames" / "frame000.png")
    label(folder / "ground_truth" / tool / "frame000.png", [0, 10, 20, 30], channels=3)
    assert open_pairs(tmp_path, classes="endovis2017-types").load_label(0)[0, :4].tolist() == [0, *[type_id] * 3]


def test_endovis2017_refuses_what_it_does_not_know(endovis2017: Path) -> None:
    truth = endovis2017 / "instrument_dataset_1" / "ground_truth"
    label(truth / "Left_Prograsp_Forceps_labels" / "frame000.png", [11])
    with pytest.raises(DataError, match="11 is no part"):
        survey(open_pairs(endovis2017), Silent(), need_images=True)
    (truth / "Other_labels").rename(truth / "Tweezers_labels")
    with pytest.raises(DataError, match="Tweezers_labels: no type of instrument"):
        survey(open_pairs(endovis2017, classes="endovis2017-types"), Silent(), need_images=True)


def test_endovis2017_prepared_masks_with_factors(tmp_path: Path) -> None:
    label(tmp_path / "a.png", [0, 85, 170, 255])
    assert open_masks(tmp_path, classes="endovis2017-parts").load(0)[0, :4].tolist() == [0, 1, 2, 3]
    label(tmp_path / "a.png", [0, 32, 96, 224])
    assert open_masks(tmp_path, classes="endovis2017-types").load(0)[0, :4].tolist() == [0, 1, 3, 7]


def test_robust_mis(tmp_path: Path) -> None:
    for part, frame in (("Training", 100), ("Training", 200), ("Testing", 7)):
        folder = tmp_path / part / "Prokto" / "2" / str(frame)
        image(folder / "raw.png")
        label(folder / "instrument_instances.png", [0, 1, 2, 50])
    frames = open_pairs(tmp_path)
    assert frames.layout == "robustmis" and frames.space == load_space("robust-mis")
    assert {i.split for i in frames.items} == {"train", "test"}
    assert {i.video for i in frames.items} == {"Training_Prokto_2", "Testing_Prokto_2"}
    assert frames.load_label(0)[0, :4].tolist() == [0, 1, 1, 1]
    assert len(open_pairs(tmp_path, split="train")) == 2
    with pytest.raises(DataError, match="nothing of 'cadis'"):
        open_pairs(tmp_path, classes="cadis")


def test_robust_mis_frames_without_mask_show_no_instrument(tmp_path: Path) -> None:
    for frame in (1, 2):
        image(tmp_path / "Proctocolectomy" / "1" / "Instrument segmentations" / str(frame) / "raw.png", 9)
    label(tmp_path / "Proctocolectomy" / "1" / "Instrument segmentations" / "1" / "instrument_instances.png", [3])
    frames = open_pairs(tmp_path)
    assert survey(frames, Silent(), need_images=True).presence.tolist() == [1, 1]
    assert not frames.load_label(1).any() and frames.load_label(1).shape == HW and frames.load_image(1).min() == 9
    assert frames.fingerprint(0) != frames.fingerprint(1)
    image(tmp_path / "Proctocolectomy" / "1" / "Instrument segmentations" / "1" / "instrument_instances.png")
    assert not open_pairs(tmp_path).load_label(0).any(), "three equal channels are one"


def test_kvasir_seg_has_its_names(tmp_path: Path) -> None:
    if not (ROOT / "kvasir_seg").is_dir():
        pytest.skip(f"no real data: {ROOT / 'kvasir_seg'} is not there (set SURGAUG_TEST_DATA)")
    frames = open_pairs(ROOT / "kvasir_seg" / "validation", classes="kvasir-seg")
    assert frames.space.names == ("background", "polyp") and set(np.unique(frames.load_label(3))) == {0, 1}


def coco(folder: Path, ids: dict[str, int], polygon_of: str, file_name: str) -> None:
    image(folder / "images" / file_name)
    annotation = {"id": 1, "image_id": 9, "category_id": ids[polygon_of], "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]]}
    content = {
        "images": [{"id": 9, "file_name": file_name, "height": HW[0], "width": HW[1]}],
        "categories": [{"id": i, "name": name} for name, i in ids.items()],
        "annotations": [annotation],
    }
    (folder / "annotations").mkdir(parents=True, exist_ok=True)
    (folder / "annotations" / "instances.json").write_text(json.dumps(content))


def test_coco_of_several_cases_is_matched_by_name(tmp_path: Path) -> None:
    coco(tmp_path / "case_5013", {"Pupil": 1, "Lens": 2}, "Lens", "case5013_01.png")
    coco(tmp_path / "case_5014", {"Lens": 1, "Pupil": 2, "Gauge": 3}, "Lens", "case5014_01.png")
    frames = open_pairs(tmp_path)
    assert frames.layout == "coco" and frames.space == load_space("cataract1k")
    assert [i.video for i in frames.items] == ["case_5013", "case_5014"]
    for i in range(2):
        assert np.unique(frames.load_label(i)).tolist() == [0, 3] and frames.load_image(i).shape == (*HW, 3)
        assert (frames.load_label(i)[1:5, 1:5] == 3).all()
    assert survey(frames, Silent(), need_images=True).presence[3] == 2
    assert fingerprint(frames.items[0].label) != fingerprint(frames.items[1].label)


def test_cataract1k_coco_finds_the_images_beside_supervisely_s(tmp_path: Path) -> None:
    coco(tmp_path / "Coco-Annotations" / "case_5013", {"Lens": 2, "cornea1": 4}, "cornea1", "case5013_01.png")
    images = tmp_path / "Images-and-Supervisely-Annotations" / "case_5013" / "img"
    images.parent.mkdir(parents=True)
    (tmp_path / "Coco-Annotations" / "case_5013" / "images").rename(images)
    for root in (tmp_path / "Coco-Annotations", tmp_path / "Coco-Annotations" / "case_5013"):
        frames = open_pairs(root)
        survey(frames, Silent(), need_images=True)
        assert np.unique(frames.load_label(0)).tolist() == [0, 1]


def test_cataract1k_is_found_from_where_it_was_unpacked(tmp_path: Path) -> None:
    for case in ("case_5013", "case_5014"):
        folder = tmp_path / "Set" / "Annotations" / "Images-and-Supervisely-Annotations" / case
        image(folder / "img" / f"{case}_01.png")
        (folder / "ann").mkdir()
        corners = {"exterior": [[1, 1], [5, 1], [5, 4]], "interior": []}
        lens = {"classTitle": "Lens", "geometryType": "polygon", "points": corners}
        content = {"size": {"height": HW[0], "width": HW[1]}, "objects": [lens]}
        (folder / "ann" / f"{case}_01.png.json").write_text(json.dumps(content))
    (tmp_path / "Set" / "Annotations" / "Coco-Annotations").mkdir()
    for root in (tmp_path / "Set", tmp_path / "Set" / "Annotations", folder.parent):
        frames = open_pairs(root)
        survey(frames, Silent(), need_images=True)
        assert frames.layout == "supervisely" and [i.video for i in frames.items] == ["case_5013", "case_5014"]


def test_cataract_lmm_is_recognised_by_its_categories(tmp_path: Path) -> None:
    space = load_space("cataract-lmm")
    folder = tmp_path / "annotations" / "coco_json"
    folder.mkdir(parents=True)
    coco(tmp_path / "x", {c.name: c.id for c in space.classes if c.id}, "Forceps", "SE_0001_0002_S1_0000003.jpg")
    (tmp_path / "x" / "annotations" / "instances.json").rename(folder / "annotations.json")
    (tmp_path / "x" / "images").rename(folder / "images")
    frames = open_pairs(tmp_path)
    assert frames.space == space and np.unique(frames.load_label(0)).tolist() == [0, 10]
    assert len(open_pairs(folder)) == 1


def test_coco_with_run_lengths_holes_and_strangers(tmp_path: Path) -> None:
    masks = pytest.importorskip("pycocotools.mask")
    coco(tmp_path, {"Pupil": 1}, "Pupil", "a.png")
    file = tmp_path / "annotations" / "instances.json"
    content = json.loads(file.read_text())
    ring = np.zeros(HW, np.uint8)
    ring[1:5, 1:5], ring[2:4, 2:4] = 1, 0
    rle = masks.encode(np.asfortranarray(ring))
    content["annotations"][0]["segmentation"] = {"size": list(HW), "counts": rle["counts"].decode()}
    file.write_text(json.dumps(content))
    assert np.array_equal(open_pairs(tmp_path).load_label(0) == 2, ring.astype(bool))
    with pytest.raises(DataError, match="'Pupil' is no class of the label space 'kvasir-seg'"):
        open_pairs(tmp_path, classes="kvasir-seg").load_label(0)


@pytest.mark.parametrize("name", builtin_spaces())
def test_each_space_is_whole(name: str) -> None:
    space = load_space(name)
    assert LabelSpace.from_dict(space.to_dict()) == space
    assert len({c.color for c in space.classes}) == space.num_classes
    assert set(stored_of(space).values()) <= {*space.ids, space.ignore}
    assert not stored_of(space) or set(stored_of(space).values()) >= set(space.ids)
