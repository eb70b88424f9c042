from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug.datasets.dataset import open_masks, open_pairs
from surgaug.datasets.survey import refuse_twins, survey, without_faults
from surgaug.errors import DataError, UsageError
from surgaug.io.atomic import write_png
from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.runtime.feedback import Silent

CADIS = load_space("cadis")


def _frames(
    root: Path, *names: str, label: np.ndarray | int = 0, images: str = "images", labels: str = "labels"
) -> Path:
    label_map = np.full((6, 8), label, np.uint8) if isinstance(label, int) else label
    for folder in (images, labels):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name in names:
        write_png(root / images / f"{name}.png", np.zeros((*label_map.shape, 3), np.uint8))
        write_png(root / labels / f"{name}.png", label_map)
    return root


def _cadis(root: Path, videos: dict[int, list[int]], label: int = 5) -> Path:
    for video, frames in videos.items():
        names = [f"Video{video}_frame{frame:06d}" for frame in frames]
        _frames(root / f"Video{video:02d}", *names, label=label, images="Images", labels="Labels")
    return root


# pairing


def test_pairs_by_stem_and_never_by_order(tmp_path: Path) -> None:
    for i in (1, 2, 10):
        (tmp_path / "imgs").mkdir(exist_ok=True)
        (tmp_path / "GT").mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), i, np.uint8)).save(tmp_path / "imgs" / f"{i}.png")
        write_png(tmp_path / "GT" / f"{i}.png", np.full((4, 4), i, np.uint8))
    frames = open_pairs(tmp_path)
    assert frames.layout == "folders" and [item.name for item in frames.items] == ["1", "2", "10"]
    for i in range(3):
        assert frames.load_image(i)[0, 0, 0] == frames.load_label(i)[0, 0] == int(frames.items[i].name)


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    _frames(tmp_path, "a")
    for name in (".DS_Store", "._a.png", "Thumbs.db", "notes.txt", ".a.png.tmp-1-2-3-4"):
        (tmp_path / "labels" / name).write_text("x")
    assert [item.name for item in open_pairs(tmp_path).items] == ["a"]


@pytest.mark.parametrize("folder", ["images", "labels"])
def test_one_stem_twice_is_an_error_that_names_both(tmp_path: Path, folder: str) -> None:
    _frames(tmp_path, "a", "b", "c")
    (tmp_path / folder / "b.bmp").write_bytes((tmp_path / folder / "b.png").read_bytes())
    frames = open_pairs(tmp_path)
    with pytest.raises(
        DataError, match=rf"--leave-out-bad .* 2 of 3 frames(.|\n)*{folder}/b\.bmp and b\.png: two files"
    ):
        survey(frames, Silent(), need_images=True)
    with pytest.raises(DataError, match="two files of one stem"):
        refuse_twins(frames)
    rest = without_faults(frames, Silent(), need_images=True)
    assert [item.name for item in rest.items] == ["a", "c"] and len(rest.left_out) == 1
    assert survey(rest, Silent(), need_images=True).count == 2


def test_one_stem_twice_among_masks(tmp_path: Path) -> None:
    _frames(tmp_path, "a", "b")
    (tmp_path / "labels" / "b.bmp").write_bytes((tmp_path / "labels" / "b.png").read_bytes())
    for source in (tmp_path, tmp_path / "labels", [tmp_path / "labels"]):
        masks = open_masks(source)
        assert len(masks) == 2
        assert [item.name for item in without_faults(masks, Silent(), need_images=False).items] == ["a"]


def test_a_common_ending_of_all_labels_is_left_out_of_account(tmp_path: Path) -> None:
    _frames(tmp_path, "a", "ab")
    for path in list((tmp_path / "labels").iterdir()):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    frames = open_pairs(tmp_path)
    assert [(i.name, i.image.stem, i.label.stem) for i in frames.items] == [
        ("a", "a", "a_mask"),
        ("ab", "ab", "ab_mask"),
    ]


def test_folders_given_by_name(tmp_path: Path) -> None:
    _frames(tmp_path, "a", images="pictures", labels="truth")
    with pytest.raises(DataError, match=r"no images with label maps: expected .*it holds pictures/, truth/"):
        open_pairs(tmp_path)
    assert len(open_pairs(tmp_path, images=Path("pictures"), labels=Path("truth"))) == 1


def test_two_label_folders_are_an_error(tmp_path: Path) -> None:
    _frames(tmp_path, "a")
    (tmp_path / "masks").mkdir()
    with pytest.raises(DataError, match="labels and masks both stand there"):
        open_pairs(tmp_path)
    assert len(open_pairs(tmp_path, labels=Path("labels"))) == 1


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: p.rmdir(), "no such folder"),
        (lambda p: None, "it is empty"),
        (lambda p: (p / "images").mkdir() or (p / "labels").mkdir(), "it holds images/, labels/"),
        (lambda p: _frames(p, "a") and (p / "labels" / "a.png").unlink(), r"labels: empty folder, no image file \(png"),
        (
            lambda p: _frames(p, "a") and (p / "labels" / "a.png").rename(p / "labels" / "a.mat"),
            r"no image file, but \.mat",
        ),
        (lambda p: _frames(p / "labels", "b") and _frames(p, "a") and (p / "labels" / "a.png").unlink(), "but folders"),
    ],
)
def test_empty_and_wrong_folders(tmp_path: Path, make, said: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    make(root)
    with pytest.raises(DataError, match=said) as caught:
        open_pairs(root)
    assert str(root) in str(caught.value)


def test_missing_halves_stay_and_say_so_when_loaded(tmp_path: Path) -> None:
    _frames(tmp_path, "a", "b", "c")
    (tmp_path / "images" / "a.png").unlink()
    (tmp_path / "labels" / "b.png").unlink()
    frames = open_pairs(tmp_path)
    with pytest.raises(DataError, match=r"labels/a\.png: no image of that stem"):
        frames.load_image(0)
    with pytest.raises(DataError, match=r"images/b\.png: no label map of that stem"):
        frames.load_label(1)


# splits


@pytest.mark.parametrize("val", ["val", "validation", "Valid"])
def test_split_folders(tmp_path: Path, val: str) -> None:
    _frames(tmp_path / "train", "a", "b", label=3)
    _frames(tmp_path / val, "a", "c", label=7)
    frames = open_pairs(tmp_path)
    assert frames.layout == "splits"
    assert [(i.name, i.split) for i in frames.items] == [
        ("train_a", "train"), ("train_b", "train"), ("val_a", "val"), ("val_c", "val")
    ]  # fmt: skip
    assert [i.name for i in open_pairs(tmp_path, split="validation").items] == ["val_a", "val_c"]
    with pytest.raises(DataError, match="no split 'test'; there is train, val"):
        open_pairs(tmp_path, split="test")


def test_found_classes_are_the_same_for_every_split(tmp_path: Path) -> None:
    _frames(tmp_path / "train", "a", label=3)
    _frames(tmp_path / "val", "c", label=7)
    assert open_pairs(tmp_path, split="train").space == open_pairs(tmp_path, split="val").space
    assert open_pairs(tmp_path).space.ids == (3, 7)


def test_splits_inside_images_and_labels(tmp_path: Path) -> None:
    _frames(tmp_path, "a", images="images/train", labels="labels/train")
    _frames(tmp_path, "b", images="images/test", labels="labels/test")
    assert [(i.name, i.split) for i in open_pairs(tmp_path).items] == [("a", "train"), ("b", "test")]


def test_a_plain_folder_has_no_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder of its own for the split 'train'"):
        open_pairs(_frames(tmp_path, "a"), split="train")


def test_two_readings_of_a_folder_are_an_error(tmp_path: Path) -> None:
    _frames(tmp_path, "a")
    _frames(tmp_path / "train", "b")
    with pytest.raises(DataError, match="could be read as folders and as splits"):
        open_pairs(tmp_path)


# CaDIS


def test_cadis_is_split_by_video(tmp_path: Path) -> None:
    _cadis(tmp_path, {1: [90, 100], 2: [430], 5: [300], 12: [480]})
    frames = open_pairs(tmp_path)
    assert frames.layout == "cadis" and frames.space == CADIS and len(frames) == 5
    assert [(i.name, i.video, i.split) for i in frames.items][:3] == [
        ("Video1_frame000090", "Video01", "train"),
        ("Video1_frame000100", "Video01", "train"),
        ("Video2_frame000430", "Video02", "test"),
    ]
    assert [i.video for i in open_pairs(tmp_path, split="val").items] == ["Video05"]
    assert [i.video for i in open_pairs(tmp_path, split="test").items] == ["Video02", "Video12"]


def test_the_root_above_cadis_is_enough(tmp_path: Path) -> None:
    _cadis(tmp_path / "segmentation", {3: [10]})
    assert open_pairs(tmp_path).items[0].video == "Video03"


def test_splits_txt_is_heeded(tmp_path: Path) -> None:
    _cadis(tmp_path, {1: [10], 2: [10], 30: [10]})
    (tmp_path / "splits.txt").write_text("# Training\nVideo02\n\n# Validation\nVideo01\n# Test\nVideo30\n")
    assert [i.split for i in open_pairs(tmp_path).items] == ["val", "train", "test"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Training: Video01\nTest: Video02\n", "'Training: Video01' stands below no heading; write"),
        ("# Videos\nVideo01\n", "'Video01' stands below no heading"),
        ("# Training\nVideo01\nVideo02\n# Test\nVideo02\n", "video 2 is of train and of test; keep it in one"),
    ],
)
def test_a_splits_txt_that_does_not_say_the_split_is_refused(tmp_path: Path, text: str, said: str) -> None:
    _cadis(tmp_path, {1: [10], 2: [10]})
    (tmp_path / "splits.txt").write_text(text)
    with pytest.raises(DataError, match=re.escape(said)):
        open_pairs(tmp_path)


def test_a_missing_split_of_cadis(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no video of the split 'test'"):
        open_pairs(_cadis(tmp_path, {1: [10]}), split="test")


def test_known_label_errors_are_left_out_when_asked(tmp_path: Path) -> None:
    _cadis(tmp_path, {8: [6770, 6780], 10: [10740], 7: [8830, 8840], 2: [1630]})
    assert len(open_pairs(tmp_path)) == 6
    kept = open_pairs(tmp_path, exclude_known_errors=True)
    assert [i.name for i in kept.items if i.split == "train"] == ["Video8_frame006780"]
    assert len([i for i in kept.items if i.split != "train"]) == 3, "validation and test stay as published"
    assert kept.notes[-2:] == (
        "2 frames known to be mislabelled are left out",
        "2 of the validation and test split stay, as published",
    )
    with pytest.raises(DataError, match="all 1 frames are known to be labelled wrongly"):
        open_pairs(tmp_path / "Video10", exclude_known_errors=True)
    with pytest.raises(UsageError, match="listed for CaDIS only"):
        open_pairs(_frames(tmp_path / "other", "a"), exclude_known_errors=True)


def test_known_errors_leave_the_published_number_of_training_frames() -> None:
    from surgaug.datasets.layouts.cadis import known_errors, official_split

    training = [s for s in known_errors() if official_split(int(s.split("_")[0][5:])) == "train"]
    assert 3550 - len(training) == 3490 and len(known_errors()) == 179


def test_a_task_regroups_a_cadis_folder_even_where_its_ids_would_fit(tmp_path: Path) -> None:
    frames = open_pairs(_cadis(tmp_path, {1: [10]}, label=8), classes="cadis-task2")
    assert frames.load_label(0)[0, 0] == 7 and "regrouped" in frames.notes[0]


def test_ids_that_fit_a_task_and_cadis_are_said_to_be_taken_as_the_tasks(tmp_path: Path) -> None:
    frames = open_pairs(_frames(tmp_path, "a", label=8), classes="cadis-task2")
    assert frames.load_label(0)[0, 0] == 8 and "could be those of 'cadis'" in frames.notes[0]


# classes found


def test_classes_of_further_data_count_where_classes_are_found(tmp_path: Path) -> None:
    train, val = _frames(tmp_path / "train", "a", label=1), _frames(tmp_path / "val", "b", label=7)
    joint = open_pairs(train, also=[val])
    assert joint.space.ids == (1, 7) and len(joint) == 1
    assert open_pairs(val, classes=joint.space).load_label(0)[0, 0] == 7
    assert open_pairs(train, classes="cadis", also=[val]).space == CADIS


def test_classes_given_against_a_class_file_beside_the_maps_are_doubted(tmp_path: Path) -> None:
    frames = _frames(tmp_path / "a", "x", label=1)
    (frames / "classes.json").write_text('{"lid": 0, "Iris Hook": 1}')
    other, same = tmp_path / "other.json", tmp_path / "same.json"
    other.write_text('{"lid": 0, "eye": 1}')
    same.write_text('{"lid": 0, "iris_hook": 1}')
    (doubt,) = open_pairs(frames, classes=other).doubts
    assert "a class file there calls 1 Iris Hook; --classes calls it eye, which counts" in doubt
    assert not open_pairs(frames, classes=same).doubts
    (frames / "classes.csv").write_text("id,name\n1,knife\n")  # two files: --classes is the cure
    assert open_pairs(frames, classes=other).space.names == ("lid", "eye")


def test_cadis_by_file_name_and_other_names_by_id(tmp_path: Path) -> None:
    assert open_pairs(_frames(tmp_path / "c", "Video1_frame000010", label=5)).space == CADIS
    found = open_pairs(_frames(tmp_path / "d", "scene1", label=5)).space
    assert found.name == "auto" and found.ids == (5,) and found.names == ("class 5",)


def test_cadis_names_with_ids_beyond_it_are_not_cadis(tmp_path: Path) -> None:
    assert open_pairs(_frames(tmp_path, "Video1_frame000010", label=40)).space.ids == (40,)


@pytest.mark.parametrize(("white", "encoding"), [(1, "ids"), (255, "binary")])
def test_two_values_are_background_and_foreground(tmp_path: Path, white: int, encoding: str) -> None:
    frames = open_pairs(_frames(tmp_path, "a", label=np.eye(5, dtype=np.uint8) * white))
    assert frames.space.names == ("background", "foreground") and frames.space.ids == (0, 1)
    assert frames.codec.encoding == encoding
    np.testing.assert_array_equal(frames.load_label(0), np.eye(5))


def test_255_beside_other_ids_is_ignored(tmp_path: Path) -> None:
    label_map = np.array([[0, 1, 2, 255]], np.uint8)
    found = open_pairs(_frames(tmp_path, "a", label=label_map))
    assert found.space.ids == (0, 1, 2) and found.space.ignore == 255 and "255 taken as ignore" in found.notes


@pytest.mark.parametrize("place", [".", "labels"])
def test_a_class_file_beside_the_maps_names_them(tmp_path: Path, place: str) -> None:
    _frames(tmp_path, "a", label=2)
    (tmp_path / place / "classes.csv").write_text("Index,Class\n0,back\n2,Bonn Forceps\n")
    space = open_pairs(tmp_path).space
    assert space.names == ("back", "Bonn Forceps") and space.by_id(2).kind == "instrument"


@pytest.mark.parametrize(("values", "ignore"), [([0, 255], None), ([0, 1], None), ([0, 1, 255], 255)])
def test_a_class_file_of_two_classes_with_masks_of_0_and_255(
    tmp_path: Path, values: list[int], ignore: int | None
) -> None:
    _frames(tmp_path, "a", label=np.array([values], np.uint8))
    (tmp_path / "classes.json").write_text('{"back": 0, "tool": 1}')
    frames = open_pairs(tmp_path)
    assert frames.space.ignore == ignore
    assert frames.load_label(0).tolist() == [[0, 1, 255][: len(values)]]


def test_colour_coded_maps_in_cadis_colours_are_found(tmp_path: Path) -> None:
    _frames(tmp_path, "a")
    write_png(tmp_path / "labels" / "a.png", CADIS.colorize(np.array([[4, 5, 6]], np.uint8)))
    frames = open_pairs(tmp_path)
    assert frames.space == CADIS and frames.load_label(0).tolist() == [[4, 5, 6]]


def test_unknown_colours_are_refused_with_the_cure(tmp_path: Path) -> None:
    _frames(tmp_path, "a")
    write_png(tmp_path / "labels" / "a.png", np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    with pytest.raises(DataError, match=r"a\.png: the channels differ.*#010203, #040506\) are not known; name classes"):
        open_pairs(tmp_path)


def test_a_grey_photograph_is_refused_as_label_map(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 50), dtype=np.uint8)
    with pytest.raises(DataError, match=r"a\.png: holds 256 different values, as a photograph does"):
        open_pairs(_frames(tmp_path, "a", label=noise))


def test_photographs_with_names_as_in_cadis_are_refused_as_such(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    write_png(tmp_path / "Video1_frame000090.png", noise)
    with pytest.raises(DataError, match=r"Video1_frame000090\.png: holds [\d,]+ colours, as a photograph does"):
        open_masks(tmp_path).load_label(0)


def test_the_output_of_synthesize_says_its_classes(tmp_path: Path) -> None:
    _frames(tmp_path, "a", label=8)
    task = load_space("cadis-task2")
    (tmp_path / "dataset.json").write_text(json.dumps({"format": "surgaug-dataset-1", "label_space": task.to_dict()}))
    assert open_pairs(tmp_path).space == task
    assert open_masks(tmp_path / "labels").space == task
    given = open_pairs(tmp_path, classes="cadis-task2")
    assert given.load_label(0)[0, 0] == 8 and not given.notes
    with pytest.raises(DataError, match=r"dataset\.json: .*'cadis-task2', where 7 is Cannula; in 'cadis' it is Hydro"):
        open_pairs(tmp_path, classes="cadis")


def test_another_programs_dataset_json_is_passed_over(tmp_path: Path) -> None:
    _frames(tmp_path, "a", label=8)
    (tmp_path / "dataset.json").write_text('{"labels": {"0": "background"}}')
    assert open_pairs(tmp_path).space.ids == (8,)


@pytest.mark.parametrize(
    ("name", "content"), [("surgaug.json", '{"label_sp'), ("dataset.json", '{"format": "surgaug-dataset-1", "label_sp')]
)
def test_a_damaged_description_of_ours_is_refused(tmp_path: Path, name: str, content: str) -> None:
    _frames(tmp_path, "a", label=8)
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=rf"{name}: says what the label maps beside it hold, and cannot be read \("):
        open_pairs(tmp_path)


def test_a_label_space_can_be_given_as_it_is(tmp_path: Path) -> None:
    space = LabelSpace("s", (LabelClass(0, "a"), LabelClass(8, "b")))
    assert open_pairs(_frames(tmp_path, "a", label=8), classes=space).space is space


# masks


def test_masks_from_a_folder_a_data_set_and_a_list(tmp_path: Path) -> None:
    _frames(tmp_path / "x", "a", "b", label=3)
    plain, whole = open_masks(tmp_path / "x" / "labels"), open_masks(tmp_path / "x")
    listed = open_masks([tmp_path / "x" / "labels" / "b.png", tmp_path / "x" / "labels"])
    assert [i.name for i in plain.items] == [i.name for i in whole.items] == ["a", "b"]
    assert [i.name for i in listed.items] == ["b", "a"]
    assert plain.load(0).tolist() == whole.load(0).tolist() == np.full((6, 8), 3).tolist()
    assert all(i.image is None for i in whole.items)


def test_masks_of_one_stem_in_a_list_get_their_folders_name(tmp_path: Path) -> None:
    _frames(tmp_path, "a", labels="case1")
    _frames(tmp_path, "a", "b", labels="case2")
    listed = open_masks(sorted(tmp_path.glob("case*/*.png")))
    assert [i.name for i in listed.items] == ["case1_a", "case2_a", "b"]


def test_a_folder_with_labels_only(tmp_path: Path) -> None:
    _frames(tmp_path, "a")
    (tmp_path / "images" / "a.png").unlink()
    (tmp_path / "images").rmdir()
    assert [i.name for i in open_masks(tmp_path).items] == ["a"]


def test_masks_of_cadis(tmp_path: Path) -> None:
    maps = open_masks(_cadis(tmp_path, {1: [10], 5: [20]}))
    assert maps.space == CADIS and [i.split for i in maps.items] == ["train", "val"]


def test_masks_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing: no such folder"):
        open_masks(tmp_path / "nothing")
    with pytest.raises(DataError, match=r"no\.png: no such file"):
        open_masks([tmp_path / "no.png"])
    with pytest.raises(DataError, match="no label map named"):
        open_masks([])
    with pytest.raises(DataError, match="empty folder"):
        open_masks(tmp_path)


def test_films_are_read_from_file_names(tmp_path: Path) -> None:
    _frames(tmp_path, "Video7_frame008830", "case5013_57", "12", "seq-3_frame1")
    videos = {i.name: i.video for i in open_pairs(tmp_path, classes="cadis").items}
    assert videos == {"Video7_frame008830": "Video7", "case5013_57": "case5013", "12": None, "seq-3_frame1": "seq-3"}
