from __future__ import annotations

import pytest

from surgaug.errors import UsageError
from surgaug.runtime.options import did_you_mean, nearest, parse_size


def test_sizes():
    assert parse_size("64x112") == parse_size(" 64X112 ") == (64, 112)
    for text in ("64", "64x", "x64", "axb", "64x112x3", "-4x8", "6.4x8", ""):
        with pytest.raises(UsageError, match=rf"^--size {text}: expected HxW"):
            parse_size(text)
    with pytest.raises(UsageError, match="or mask"):
        parse_size("whole", other="mask")
    with pytest.raises(UsageError, match=r"^--edge 4x64: at least 8x8"):
        parse_size("4x64", "--edge", least=8)


def test_the_nearest_name_has_its_own_case():
    assert nearest("primary knive", ["Pupil", "Primary Knife"]) == "Primary Knife"
    assert did_you_mean("shfit", ["shift", "zoom"]) == "; did you mean shift?"
    assert nearest("xyz", ["shift"]) is None and did_you_mean("xyz", ["shift"]) == ""
