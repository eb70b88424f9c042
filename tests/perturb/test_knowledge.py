from __future__ import annotations

from contextlib import suppress

import cv2
import numpy as np
import pytest
from perturb_cases import CADIS, TASK2, eye

from surgaug.perturb import ops
from surgaug.perturb.mixer import mix, parse_ops
from surgaug.perturb.prior.instrument_bank import BANK, BankItem, Eye, belong_together, learn, look
from surgaug.perturb.rejection import NotApplicable, Rejected
from surgaug.perturb.scene.scene import Scene
from surgaug.perturb.wish import Wish


def maps():
    """Two real maps: one with phaco and micromanipulator, one with a knife from the right."""
    both = eye()
    knife = np.where(np.isin(both, (13, 17, 21)), 6, both).astype(np.uint8)
    cv2.line(knife, (479, 200), (330, 160), 12, 14)
    return both, knife


def known(*label_maps):
    return learn(look(Scene(m, CADIS), f"map {i}") for i, m in enumerate(label_maps))


def bare():
    label_map = eye()
    return np.where(np.isin(label_map, (13, 17, 21)), 6, label_map).astype(np.uint8)


def test_what_is_learnt():
    knowledge = known(*maps())
    assert knowledge.kinds == ((12,), (13, 21), (17,))
    assert dict(knowledge.pairs) == {(13, 17): 1} and dict(knowledge.most) == {12: 1, 13: 1, 17: 1}
    assert knowledge.most_objects == 2
    assert [item.source for item in knowledge.bank[12,]] == ["map 1"]


def test_a_bank_item_comes_back_as_it_was():
    thing = Scene(eye(), CADIS).objects[0]
    item = BankItem.of("a", thing, Eye((1, 2), 3))
    again = item.unpacked()
    assert np.array_equal(again.ids, thing.ids) and np.array_equal(again.mask, thing.mask)
    assert (again.box, again.entries, again.kind, again.ids.dtype) == (thing.box, thing.entries, thing.kind, np.uint8)
    assert len(item.packed) < 0.2 * thing.ids.nbytes


def test_the_bank_keeps_few_of_a_kind_from_the_whole_video():
    knowledge = known(*[maps()[1]] * 100)
    sources = [item.source for item in knowledge.bank[12,]]
    assert len(sources) == BANK and sources[0] == "map 0" and sources[-1] == "map 99"


def test_insert_puts_whole_instruments_that_go_with_what_is_there():
    insert, knowledge = ops.get("insert"), known(*maps())
    seen = set()
    for seed in range(60):
        scene = Scene(bare(), CADIS, knowledge=knowledge)
        try:
            after, record = insert.perturb(scene, np.random.default_rng(seed), insert.Params())
        except Rejected:
            continue
        seen.add(tuple(record["classes"]))
        (thing,) = Scene(after, CADIS).objects
        assert thing.entries and set(thing.class_ids) <= set(record["classes"])
    assert seen == {(12,), (13, 21), (17,)}
    with_knife = Scene(maps()[1], CADIS, knowledge=knowledge)
    with pytest.raises(NotApplicable, match="goes with"):
        insert.perturb(with_knife, np.random.default_rng(0), insert.Params())


def test_wishes_are_heeded():
    knowledge, rng = known(*maps()), np.random.default_rng(0)
    insert, swap, remove = (ops.get(name) for name in ("insert", "swap", "remove"))
    wishing = Scene(bare(), CADIS, knowledge=knowledge).asking(Wish(add=12))
    drawn = []
    for _ in range(20):
        with suppress(Rejected):
            drawn.append(insert.perturb(wishing, rng, insert.Params())[1]["classes"])
    assert drawn and all(classes == [12] for classes in drawn)
    both = Scene(maps()[0], CADIS, knowledge=knowledge)
    for _ in range(5):
        _, record = swap.perturb(both.asking(Wish(add=15)), rng, swap.Params())
        assert record["to"][0] == 15
        assert remove.perturb(both.asking(Wish(drop=17)), rng, remove.Params())[1]["classes"] == [17]
    with pytest.raises(NotApplicable):
        swap.perturb(both.asking(Wish(add=15, spare=frozenset({13}))), rng, swap.Params())


def test_no_exchange_for_what_no_real_map_shows():
    swap = ops.get("swap")
    with pytest.raises(NotApplicable):
        swap.perturb(Scene(maps()[0], CADIS, knowledge=known(*maps())), np.random.default_rng(0), swap.Params())


def test_nothing_is_inserted_without_knowledge_or_beyond_what_real_maps_show():
    insert = ops.get("insert")
    with pytest.raises(NotApplicable, match="bank"):
        insert.perturb(Scene(bare(), CADIS), np.random.default_rng(0), insert.Params())
    full = Scene(eye(), CADIS, knowledge=known(*maps()))
    with pytest.raises(NotApplicable, match="as many"):
        insert.perturb(full, np.random.default_rng(0), insert.Params())


def test_instruments_are_doubled_only_where_real_maps_show_two():
    duplicate = ops.get("duplicate")
    one = maps()[1]
    two = one.copy()
    cv2.line(two, (0, 200), (150, 160), 12, 14)
    with pytest.raises(NotApplicable, match="never show two"):
        duplicate.perturb(Scene(one, CADIS, knowledge=known(one)), np.random.default_rng(0), duplicate.Params())
    done = 0
    for seed in range(30):
        try:
            after, _ = duplicate.perturb(
                Scene(one, CADIS, knowledge=known(one, two)), np.random.default_rng(seed), duplicate.Params()
            )
        except Rejected:
            continue
        done += 1
        assert [thing.class_ids for thing in Scene(after, CADIS).objects] == [(12,), (12,)]
    assert done > 5


def test_who_goes_with_whom_is_known_of_cadis_by_name():
    assert belong_together(CADIS, None, 13, 17), "phaco handpiece and micromanipulator"
    assert not belong_together(CADIS, None, 12, 14), "a knife and a lens injector"
    assert belong_together(TASK2, None, 7, 15), "of names that CaDIS does not have nothing is known"


def test_tips_stay_within_the_reach_of_real_ones():
    both, knife = maps()
    knowledge = known(*[both] * 10, *[knife] * 10)
    assert 0 < knowledge.farthest(17) < 1.5
    scene = Scene(both, CADIS, knowledge=knowledge)
    for seed in range(20):
        outcome = mix(scene, parse_ops("shift,approach,rotate"), np.random.default_rng(seed))
        after = Scene(outcome.label_map, CADIS)
        for thing in after.objects:
            assert scene.discs[-1].nearness(thing.tip) < 1.6
