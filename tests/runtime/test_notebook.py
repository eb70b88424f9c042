"""Progress and results in a notebook: what is shown, and that nothing is where there is none."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from surgaug.runtime import notebook
from surgaug.runtime.notebook import NotebookFeedback, picture_html, table_html, usual_feedback


class Handle:
    def __init__(self, shown: list[str], place: int):
        self.shown, self.place = shown, place

    def update(self, what: object) -> None:
        self.shown[self.place] = what._repr_html_()


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What stands below a cell: a stand-in for IPython's display, with its handles for what is updated."""
    outputs: list[str] = []

    def display(what: object, display_id: bool | None = None) -> Handle | None:
        outputs.append(what._repr_html_())
        return Handle(outputs, len(outputs) - 1) if display_id else None

    ipython, module = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    module.display = display
    ipython.display = module
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return outputs


def test_a_bar_ends_at_what_was_done(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "SECONDS", 1e9)
    with NotebookFeedback().task("training <fast>", 4, "steps", done=1) as bar:
        assert 'value="1" max="4"' in shown[0]
        bar.advance(2, loss=0.5)
        assert 'value="1"' in shown[0], "not drawn anew for each step"
    assert len(shown) == 1 and 'value="3" max="4"' in shown[0] and "3/4 steps" in shown[0] and "loss=0.5" in shown[0]
    assert "training &lt;fast&gt;" in shown[0]


def test_bars_move_and_need_no_end(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "SECONDS", 0)
    bar = NotebookFeedback().task("reading", None)
    bar.advance(7)
    assert "max=" not in shown[0] and "7 " in shown[0]


def test_messages_and_tables(shown: list[str]) -> None:
    feedback = NotebookFeedback()
    feedback.info("a < b")
    feedback.warn("look")
    feedback.table("Title", ["a", "b"], [[1, "<x>"]], "below")
    assert shown[0] == "<div>a &lt; b</div>" and "look" in shown[1]
    assert shown[2] == table_html(["a", "b"], [[1, "<x>"]], "Title", "below")
    assert "<td>&lt;x&gt;</td>" in shown[2] and "Title" in shown[2] and "below" in shown[2]


def test_only_a_notebook_has_bars_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert usual_feedback() is None
    ipython = types.ModuleType("IPython")
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    for shell, expected in ((None, False), (types.SimpleNamespace(), False), (types.SimpleNamespace(kernel=1), True)):
        ipython.get_ipython = lambda shell=shell: shell
        assert isinstance(usual_feedback(), NotebookFeedback) is expected


def test_pictures_are_in_the_page_and_small(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((60, 3000, 3), np.uint8)).save(tmp_path / "wide.png")
    shown = picture_html(tmp_path / "wide.png")
    assert shown.startswith('<img alt="wide.png" src="data:image/jpeg;base64,') and len(shown) < 5000
    assert picture_html(tmp_path / "none.png") == ""
