from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from surgaug.labels.label_space import LabelClass, LabelSpace
from surgaug.labels.resize import CREST_SHARE, INSTRUMENT_SHARE, fit_size, resize_image, resize_label_map

SPACE = LabelSpace(
    "test",
    (
        LabelClass(0, "back"),
        LabelClass(3, "eye", "anatomy"),
        LabelClass(7, "tool", "instrument"),
        LabelClass(9, "hook", "instrument"),
    ),
    ignore=255,
)
IDS = (0, 3, 7, 9, 255)
SIDE = st.integers(1, 40)


@settings(deadline=None)
@given(st.data(), SIDE, SIDE, SIDE, SIDE)
def test_shape_dtype_and_ids_stay_in_what_was_there(
    data: st.DataObject, h: int, w: int, height: int, width: int
) -> None:
    label_map = data.draw(arrays(np.uint8, (h, w), elements=st.sampled_from(IDS)))
    out = resize_label_map(label_map, (height, width), SPACE)
    assert out.shape == (height, width) and out.dtype == np.uint8
    assert set(np.unique(out)) <= set(np.unique(label_map))


@settings(deadline=None)
@given(st.sampled_from(IDS), SIDE, SIDE, SIDE, SIDE)
def test_a_constant_map_stays_constant(value: int, h: int, w: int, height: int, width: int) -> None:
    out = resize_label_map(np.full((h, w), value, np.uint8), (height, width), SPACE)
    assert out.shape == (height, width) and (out == value).all()


@settings(deadline=None)
@given(arrays(np.uint8, (7, 5), elements=st.sampled_from(IDS)), st.integers(1, 4))
def test_enlarging_and_shrinking_back_by_a_whole_factor_changes_nothing(label_map: np.ndarray, factor: int) -> None:
    large = resize_label_map(label_map, (7 * factor, 5 * factor), SPACE)
    np.testing.assert_array_equal(large, label_map.repeat(factor, 0).repeat(factor, 1))
    np.testing.assert_array_equal(resize_label_map(large, (7, 5), SPACE), label_map)


@settings(deadline=None)
@given(arrays(np.uint8, (24, 36), elements=st.sampled_from(IDS)))
def test_mirroring_commutes_where_no_two_shares_tie(label_map: np.ndarray) -> None:
    """Cells of 3x4 pixels: checked where one class has more than half of the cell, and no instrument is so thin that it
    may lie in either of two cells with equal shares."""
    out = resize_label_map(label_map, (8, 9), SPACE)
    mirrored = resize_label_map(np.ascontiguousarray(label_map[:, ::-1]), (8, 9), SPACE)[:, ::-1]
    cells = label_map.reshape(8, 3, 9, 4).transpose(0, 2, 1, 3).reshape(8, 9, 12)
    clear = np.stack([(cells == i).mean(-1) > 0.5 for i in IDS]).any(0)
    tools = np.isin(cells, (7, 9)).sum(-1)
    clear &= (tools < CREST_SHARE * 12) | (tools >= INSTRUMENT_SHARE * 12)
    np.testing.assert_array_equal(out[clear], mirrored[clear])


def test_the_largest_share_wins_and_an_instrument_from_a_third_on() -> None:
    cell = np.zeros((3, 3), np.uint8)
    cell[0, :2] = 3
    assert resize_label_map(cell, (1, 1), SPACE) == 0
    cell[0] = 7
    assert resize_label_map(cell, (1, 1), SPACE) == 7
    cell[0] = (7, 9, 9)
    assert resize_label_map(cell, (1, 1), SPACE) == 9
    cell[0] = 255
    assert resize_label_map(cell, (1, 1), SPACE) == 0
    cell[:2] = 255
    assert resize_label_map(cell, (1, 1), SPACE) == 255


@settings(deadline=None, max_examples=60)
@given(st.integers(10, 949), st.integers(10, 949), st.integers(2, 12), st.booleans())
def test_a_thin_instrument_survives_unbroken_at_64x112(start: int, end: int, width: int, lying: bool) -> None:
    label_map = np.zeros((540, 960), np.uint8)
    label_map[250:] = 3
    ends = ((0, start * 539 // 959), (959, end * 539 // 959)) if lying else ((start, 0), (end, 539))
    cv2.line(label_map, *ends, 7, width)
    kept = (resize_label_map(label_map, (64, 112), SPACE) == 7).astype(np.uint8)
    pieces, _ = cv2.connectedComponents(kept, connectivity=8)
    assert pieces == 2
    across = kept.any(axis=0) if lying else kept.any(axis=1)
    assert across.all()


def test_wide_instruments_keep_their_area() -> None:
    label_map = np.zeros((540, 960), np.uint8)
    cv2.line(label_map, (100, 20), (800, 500), 7, 60)
    kept = (resize_label_map(label_map, (64, 112), SPACE) == 7).mean()
    assert kept == pytest.approx((label_map == 7).mean(), rel=0.1)


def test_ids_above_255() -> None:
    space = LabelSpace("wide", (LabelClass(0, "a"), LabelClass(1000, "b")))
    label_map = np.zeros((8, 8), np.uint16)
    label_map[:, 4:] = 1000
    out = resize_label_map(label_map, (2, 2), space)
    assert out.dtype == np.uint16 and out.tolist() == [[0, 1000], [0, 1000]]


@given(SIDE, SIDE, SIDE, SIDE, st.integers(0, 255))
def test_images_keep_shape_and_constants(h: int, w: int, height: int, width: int, value: int) -> None:
    out = resize_image(np.full((h, w, 3), value, np.uint8), (height, width))
    assert out.shape == (height, width, 3) and out.dtype == np.uint8 and (out == value).all()


def test_images_are_averaged_when_they_shrink() -> None:
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (resize_image(stripes, (2, 2)) == 100).all()
    assert (resize_image(stripes, (16, 2)) == 100).all()


def test_fit_size_keeps_the_training_size_for_nearly_its_aspect() -> None:
    assert fit_size((540, 960), (64, 112)) == (64, 112)
    assert fit_size((1080, 1920), (64, 112)) == (64, 112)


@given(st.integers(50, 2000), st.integers(50, 2000), st.integers(32, 512), st.integers(32, 512))
def test_fit_size_elsewhere_has_the_sources_aspect_and_the_training_area(h: int, w: int, th: int, tw: int) -> None:
    height, width = fit_size((h, w), (th, tw))
    if (height, width) != (th, tw):
        assert height % 2 == 0 and width % 2 == 0
        assert abs(height - (th * tw * h / w) ** 0.5) <= 2 or height == 2
        assert abs(width - (th * tw * w / h) ** 0.5) <= 2 or width == 2
