"""Which image and which label map belong together."""

from __future__ import annotations

import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from surgaug.datasets.pairing import files_by_stem, pair
from surgaug.errors import DataError


def paired(images: list[str], labels: list[str]) -> dict[str, tuple[str | None, str | None]]:
    """Stems of image and label by name."""
    found = pair({s: Path(s) for s in images}, {s: Path(s) for s in labels})
    return {name: (image and image.name, label and label.name) for name, image, label in found}


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("{}", "{}_mask"),
        ("{}_0000", "{}"),
        ("{}_leftImg8bit", "{}_gtFine_labelIds"),
        ("2{}_training", "2{}_manual1"),
        ("{}.rf.jpg", "{}.rf.jpg_mask"),
        ("IMG_{}", "img_{}"),
        ("{}", "000{}"),
        ("img_{}", "mask_{}"),
        ("frame{}", "label00{}"),
    ],
)
def test_what_differs_alike_everywhere_is_left_out_of_account(image: str, label: str) -> None:
    images, labels = ([text.format(i) for i in range(1, 6)] for text in (image, label))
    assert list(paired(images, labels).values()) == list(zip(images, labels, strict=True))


def test_the_common_ending_survives_exceptions() -> None:
    frames = [str(i) for i in range(6)]
    masks = [f"{i}_mask" for i in range(6)]
    found = paired(frames[:5], masks)
    assert [name for name, both in found.items() if None in both] == ["5"] and found["5"] == (None, "5_mask")
    assert all(None not in both for both in paired(frames, ["0", *masks[1:]]).values()), "a mask without the ending"
    assert paired(frames, [*masks, "0"])["0_mask"] == (None, "0_mask"), "both 0 and 0_mask: the plain one counts"


def test_two_kinds_of_masks_are_an_open_choice() -> None:
    frames = [str(i) for i in range(3)]
    kinds = [f"{i}_{kind}" for i in range(3) for kind in ("mask", "mask_color")]
    with pytest.raises(DataError, match="0_mask and 0_mask_color could both be its label map"):
        paired(frames, kinds)
    with pytest.raises(DataError, match="0_left and 0_right could both be its image"):
        paired([f"{i}_{kind}" for i in range(3) for kind in ("left", "right")], frames)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (["a_left", "b_right"], ["a_right", "b_left"]),  # endings, but no kind of file
        (["scan_left"], ["scan_right"]),
        (["f_1", "g_2"], ["f_2", "g_1"]),  # numbers tell frames apart
        (["f_1"], ["f_2"]),
        (["img_1", "img_2"], ["mask_2", "mask_3"]),  # not every file has a partner
        (["a1", "A1"], ["a1x", "A1x"]),
        (["x", "y"], ["p", "q"]),
    ],
)
def test_what_is_not_plain_stays_apart(images: list[str], labels: list[str]) -> None:
    assert all(None in both for both in paired(images, labels).values())


@pytest.mark.parametrize(
    "frame",
    ["Video{v}_frame{i:06d}", "case_{v}_t{i}_rgb", "v{v} f{i}"],
)
@pytest.mark.parametrize("missing", [1, 2])
def test_frames_that_miss_a_partner_are_not_paired_with_each_other(frame: str, missing: int) -> None:
    """Some lack their label map, as many others their image: what is left of a name without its number is no name."""
    stems = [frame.format(v=v, i=10 * i) for v in (1, 2) for i in range(1, 4)]
    without_image, without_label = stems[0::3][:missing], stems[1::3][:missing]
    found = paired([s for s in stems if s not in without_image], [s for s in stems if s not in without_label])
    assert sorted(found) == sorted(stems)
    for name, files in found.items():
        assert files == (None if name in without_image else name, None if name in without_label else name)


def test_a_label_map_of_an_images_own_name_is_no_others() -> None:
    with pytest.raises(DataError, match="1_b: 1 and 1_b could both be its image"):
        paired(["1", "1_b", "2", "3"], ["1_b", "2_b", "3_b"])


def test_left_is_not_right() -> None:
    same = ["a", "b", "c", "d"]
    found = paired([*same, "x_left", "y_left"], [*same, "x_right", "y_right"])
    assert sorted(name for name, files in found.items() if None in files) == ["x_left", "x_right", "y_left", "y_right"]


def test_umlauts_of_one_sign_or_two_are_one_name(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        (tmp_path / form).mkdir()
        (tmp_path / form / f"{unicodedata.normalize(form, 'Muñoz ü')}.png").write_bytes(b"x")
    one, two = (files_by_stem(tmp_path / form) for form in ("NFC", "NFD"))
    assert one.keys() == two.keys() and [None not in both for both in pair(one, two)] == [True]


def test_thousands_of_files_take_no_time() -> None:
    start = time.process_time()
    found = paired([f"v{i % 7}_s{i}_raw" for i in range(5000)], [f"v{i % 7}_s{i}_seg_final" for i in range(4990)])
    assert sum(None in both for both in found.values()) == 10 and time.process_time() - start < 5


STEMS = st.text("ab0_-", min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(st.sets(STEMS, max_size=8), st.sets(STEMS, max_size=8))
def test_every_file_stays_and_stands_once(images: set[str], labels: set[str]) -> None:
    try:
        found = pair({s: Path(f"i/{s}") for s in images}, {s: Path(f"l/{s}") for s in labels})
    except DataError:
        return
    assert sorted(i.name for _, i, _ in found if i) == sorted(images)
    assert sorted(p.name for _, _, p in found if p) == sorted(labels)
    assert len({name for name, _, _ in found}) == len(found)
    if images == labels:
        assert all(i and p and i.name == p.name for _, i, p in found)


def test_frames_of_other_numbers_are_no_pairs(tmp_path):
    """caseA_000 and caseA_001 are two frames of a case, though endings that all files share would make them a pair."""
    images, labels = ({f"case{case}_{n}": tmp_path / f"{n}.png" for case in "ABC"} for n in ("000", "001"))
    pairs = pair(images, labels)
    assert len(pairs) == 6 and not any(image and label for _, image, label in pairs)
