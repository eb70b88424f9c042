"""File names that Windows takes."""

from __future__ import annotations

import warnings
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest

from surgaug.datasets.dataset import open_masks
from surgaug.io.atomic import write_png
from surgaug.runtime.paths import portable, same_file


@pytest.mark.parametrize(
    ("stem", "fit"),
    [
        ("Video1_frame000090", "Video1_frame000090"),
        ("Fluß 3 (b)", "Fluß 3 (b)"),
        ("12:30:05", "12_30_05"),
        ('a<b>c"d|e?f*g', "a_b_c_d_e_f_g"),
        ("..\\up", ".._up"),
        ("end. .", "end"),
        ("CON", "_CON"),
        ("nul.2", "_nul.2"),
        ("com1", "_com1"),
        ("LPT\u00b2", "_LPT\u00b2"),
        ("console", "console"),
        ("com10", "com10"),
        ("...", "_"),
        ("", "_"),
    ],
)
def test_names_that_windows_takes(stem: str, fit: str) -> None:
    assert portable(stem) == fit
    assert portable(fit) == fit
    with warnings.catch_warnings():  # from Python 3.13 on the function has another place
        warnings.simplefilter("ignore", DeprecationWarning)
        assert not PureWindowsPath(f"{fit}.png").is_reserved()


def test_case_is_not_heeded() -> None:
    assert same_file("images/A.png") == same_file("images/a.PNG") != same_file("images/b.png")


def test_what_is_written_is_named_after_portable_names(tmp_path: Path) -> None:
    for name in ("12:30", "aux", "plain"):
        write_png(tmp_path / f"{name}.png", np.eye(4, dtype=np.uint8))
    assert [item.name for item in open_masks(tmp_path).items] == ["12_30", "_aux", "plain"]
