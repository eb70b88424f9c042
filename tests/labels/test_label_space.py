from __future__ import annotations

import json

import pytest

from surgaug.labels.builtin_spaces import load_space
from surgaug.labels.label_space import LabelSpace

CLASS = {"id": 3, "name": "Iris", "color": [1, 2, 3]}


def test_a_space_comes_back_from_json() -> None:
    for name in ("cadis", "cadis-task2", "cataract1k"):
        space = load_space(name)
        assert LabelSpace.from_dict(json.loads(json.dumps(space.to_dict()))) == space
    assert LabelSpace.from_dict({"name": "x", "classes": [CLASS]}).ids == (3,)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": []},
        {"name": None},
        {"classes": []},
        {"classes": [CLASS, CLASS]},
        {"classes": [{**CLASS, "id": "3"}]},
        {"classes": [{**CLASS, "id": -1}]},
        {"classes": [{**CLASS, "id": 65536}]},
        {"classes": [{**CLASS, "id": True}]},
        {"classes": [{**CLASS, "name": 3}]},
        {"classes": [{**CLASS, "color": [1, 2]}]},
        {"classes": [{**CLASS, "color": [1, 2, 256]}]},
        {"classes": [{**CLASS, "kind": "tool"}]},
        {"classes": [{**CLASS, "handle_of": "3"}]},
        {"classes": [{**CLASS, "group": 3}]},
        {"classes": [{**CLASS, "hue": 3}]},
        {"classes": [{"id": 3}]},
        {"classes": 3},
        {"ignore": 3},
        {"ignore": 2.5},
    ],
)
def test_what_is_no_label_space_is_refused(wrong: dict) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        LabelSpace.from_dict({"name": "x", "classes": [CLASS], **wrong})
