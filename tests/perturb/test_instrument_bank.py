from __future__ import annotations

from contextlib import suppress

import cv2
import numpy as np
import pytest
from perturb_cases import CADIS, TASK2, draw, eye

from surgaug.perturb import NotApplicable, Rejected
from surgaug.perturb.mixer import mix
from surgaug.perturb.operation import ClassRequest
from surgaug.perturb.prior.instrument_bank import BANK, BankItem, belong_together, collect, observe
from surgaug.perturb.recipe import parse_ops
from surgaug.perturb.scene.eye_discs import Eye
from surgaug.perturb.scene.scene import Scene


def maps():
    """Two real maps: one with phaco and micromanipulator, one with a knife from the right."""
    both = eye()
    knife = np.where(np.isin(both, (13, 17, 21)), 6, both).astype(np.uint8)
    cv2.line(knife, (479, 200), (330, 160), 12, 14)
    return both, knife


def known(*label_maps):
    return collect(observe(Scene(m, CADIS), f"map {i}", ()) for i, m in enumerate(label_maps))


def bare():
    label_map = eye()
    return np.where(np.isin(label_map, (13, 17, 21)), 6, label_map).astype(np.uint8)


def test_what_is_learnt():
    bank = known(*maps())
    assert bank.kinds == ((12,), (13, 21), (17,))
    assert dict(bank.pairs) == {(13, 17): 1} and dict(bank.most) == {12: 1, 13: 1, 17: 1}
    assert bank.most_objects == 2
    assert [item.source for item in bank.items[12,]] == ["map 1"]


def test_a_bank_item_comes_back_as_it_was():
    obj = Scene(eye(), CADIS).objects[0]
    item = BankItem.of("a", (), obj, Eye((1, 2), 3))
    again = item.unpacked()
    assert np.array_equal(again.ids, obj.ids) and np.array_equal(again.mask, obj.mask)
    assert (again.box, again.entries, again.kind, again.ids.dtype) == (obj.box, obj.entries, obj.kind, np.uint8)
    assert len(item.packed) < 0.2 * obj.ids.nbytes


def test_the_bank_keeps_few_of_a_kind_from_the_whole_video():
    bank = known(*[maps()[1]] * 100)
    sources = [item.source for item in bank.items[12,]]
    assert len(sources) == BANK and sources[0] == "map 0" and sources[-1] == "map 99"


def test_insert_puts_whole_instruments_that_go_with_what_is_there():
    bank = known(*maps())
    seen = set()
    for seed in range(60):
        try:
            after, record = draw("insert", Scene(bare(), CADIS), np.random.default_rng(seed), bank=bank)
        except Rejected:
            continue
        seen.add(tuple(record["classes"]))
        (obj,) = Scene(after, CADIS).objects
        assert obj.entries and set(obj.class_ids) <= set(record["classes"])
    assert seen == {(12,), (13, 21), (17,)}
    with pytest.raises(NotApplicable, match="goes with"):
        draw("insert", Scene(maps()[1], CADIS), np.random.default_rng(0), bank=bank)


def test_requests_are_heeded():
    bank, rng = known(*maps()), np.random.default_rng(0)
    drawn = []
    for _ in range(20):
        with suppress(Rejected):
            knife = ClassRequest(add=12)
            drawn.append(draw("insert", Scene(bare(), CADIS), rng, bank=bank, request=knife)[1]["classes"])
    assert drawn and all(classes == [12] for classes in drawn)
    both = Scene(maps()[0], CADIS)
    for _ in range(5):
        _, record = draw("swap", both, rng, bank=bank, request=ClassRequest(add=15))
        assert record["to"][0] == 15
        assert draw("remove", both, rng, request=ClassRequest(drop=17))[1]["classes"] == [17]
    with pytest.raises(NotApplicable):
        draw("swap", both, rng, bank=bank, request=ClassRequest(add=15, protected=frozenset({13})))


def test_no_exchange_for_what_no_real_map_shows():
    with pytest.raises(NotApplicable):
        draw("swap", Scene(maps()[0], CADIS), np.random.default_rng(0), bank=known(*maps()))


def test_nothing_is_inserted_without_a_bank_or_beyond_what_real_maps_show():
    with pytest.raises(NotApplicable, match="bank"):
        draw("insert", Scene(bare(), CADIS), np.random.default_rng(0))
    with pytest.raises(NotApplicable, match="as many"):
        draw("insert", Scene(eye(), CADIS), np.random.default_rng(0), bank=known(*maps()))


def test_instruments_are_doubled_only_where_real_maps_show_two():
    one = maps()[1]
    two = one.copy()
    cv2.line(two, (0, 200), (150, 160), 12, 14)
    with pytest.raises(NotApplicable, match="never show two"):
        draw("duplicate", Scene(one, CADIS), np.random.default_rng(0), bank=known(one))
    done = 0
    for seed in range(30):
        try:
            after, _ = draw("duplicate", Scene(one, CADIS), np.random.default_rng(seed), bank=known(one, two))
        except Rejected:
            continue
        done += 1
        assert [obj.class_ids for obj in Scene(after, CADIS).objects] == [(12,), (12,)]
    assert done > 5


def test_who_goes_with_whom_is_known_of_cadis_by_name():
    assert belong_together(CADIS, None, 13, 17), "phaco handpiece and micromanipulator"
    assert not belong_together(CADIS, None, 12, 14), "a knife and a lens injector"
    assert belong_together(TASK2, None, 7, 15), "of names that CaDIS does not have nothing is known"


def test_tips_stay_within_the_reach_of_real_ones():
    both, knife = maps()
    bank = known(*[both] * 10, *[knife] * 10)
    assert 0 < bank.farthest(17) < 1.5
    scene = Scene(both, CADIS)
    for seed in range(20):
        outcome = mix(scene, parse_ops("shift,approach,rotate"), np.random.default_rng(seed), bank=bank)
        after = Scene(outcome.label_map, CADIS)
        for obj in after.objects:
            assert scene.discs[-1].nearness(obj.tip) < 1.6
