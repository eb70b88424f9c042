from __future__ import annotations

import json

import numpy as np

from surgaug.labels.class_statistics import ClassStatistics, statistics_of, touching_classes
from surgaug.labels.label_space import LabelClass, LabelSpace

SPACE = LabelSpace("s", tuple(LabelClass(i, f"c{i}") for i in (7, 2, 300)), ignore=9)


def pairs_by_hand(label_map: np.ndarray) -> dict[tuple[int, int], int]:
    counts: dict[tuple[int, int], int] = {}
    h, w = label_map.shape
    for y in range(h):
        for x in range(w):
            for dy, dx in ((0, 1), (1, 0)):
                if y + dy < h and x + dx < w and label_map[y, x] != label_map[y + dy, x + dx]:
                    pair = tuple(sorted((int(label_map[y, x]), int(label_map[y + dy, x + dx]))))
                    counts[pair] = counts.get(pair, 0) + 1
    return counts


def test_touching_classes_by_hand():
    rng = np.random.default_rng(0)
    for _ in range(20):
        label_map = rng.choice([7, 2, 300, 9], (5, 6), p=[0.5, 0.2, 0.1, 0.2]).astype(np.uint16)
        expected = {pair for pair, n in pairs_by_hand(label_map).items() if n >= 2 and 9 not in pair}
        assert set(touching_classes(label_map, SPACE)) == expected


def test_statistics_survive_json_and_name_what_was_never_seen():
    presence = np.array([[True, True, False], [True, False, False]])
    found = statistics_of((7, 2, 300), presence, np.array([30, 10, 0]), [[(2, 7)], []])
    assert found == ClassStatistics(2, {7: 2, 2: 1, 300: 0}, {7: 0.75, 2: 0.25, 300: 0.0}, {(2, 7): 1})
    assert found.unseen == (300,)
    assert ClassStatistics.from_dict(json.loads(json.dumps(found.to_dict())), (7, 2, 300)) == found


def test_maps_that_were_looked_at_stand_for_all():
    found = statistics_of((7, 2), np.ones((10, 2), bool), np.array([1, 1]), [[(2, 7)], [], [], [(2, 7)]])
    assert found.touching == {(2, 7): 5}


def test_lists_of_version_0_1():
    found = ClassStatistics.from_dict({"frames": 4, "pixels": [30, 0, 10], "presence": [4, 0, 1]}, (7, 2, 300))
    assert found == ClassStatistics(4, {7: 4, 2: 0, 300: 1}, {7: 0.75, 2: 0.0, 300: 0.25})
    assert ClassStatistics.from_dict({}, (7,)) == ClassStatistics()
