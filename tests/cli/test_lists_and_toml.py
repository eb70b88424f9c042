"""Lists on standard input and TOML files as other programs and systems write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from surgaug.cli.pipes import listed
from surgaug.errors import UsageError
from surgaug.runtime.options import parse_toml


@pytest.mark.parametrize(
    "form",
    [
        "{0}\n{1}\n", "{0}\r\n{1}\r\n", "\ufeff{0}\n\n{1}", "  {0}  \n\t{1}", '"{0}"\n"{1}"', "'{0}'\n'{1}'",
        "{0}\0{1}\0", "\ufeff{0}\r\n\r\n{1}\r\n",
    ],
)  # fmt: skip
def test_lists_of_any_program(form: str, tmp_path: Path) -> None:
    paths = [tmp_path / "a b.png", tmp_path / "c.png"]
    for path in paths:
        path.touch()
    assert listed(form.format(*paths)) == tuple(paths)


def test_names_that_really_are_so_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [" a.png", '"b".png', "c\\d.png"]
    for name in names:
        Path(name).touch()
    assert listed("\n".join(names)) == tuple(map(Path, names))
    assert listed("") == listed(" \n\n") == ()


def test_backslashes_on_this_system_are_explained() -> None:
    with pytest.raises(UsageError, match=r"in\\a\.png: no such file; on this system write /"):
        listed("in\\a.png")


@pytest.mark.parametrize("content", [b'\xef\xbb\xbfa = "x"\r\n', b'a = "x"', b"a = 'x'", 'a = "x" # ü'.encode()])
def test_toml_that_is_read(content: bytes) -> None:
    assert parse_toml(content) == {"a": "x"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'a = "C:\\data\\frames"', "write C:/data"),
        (b'a = "C:\\new\\frames"', "write C:/data"),
        (b'a = "C:\\new"', "write C:/data"),
        (b'a = "C:\\temp\\raw"', "write C:/data"),
        (b'[t]\na = ["x", "C:\\temp"]', "write C:/data"),
        ('a = "x"'.encode("utf-16"), "UTF-16"),
        (b'a = "\xe4"', "no UTF-8 text"),
        (b"a = ", "Invalid value"),
    ],
)
def test_toml_that_cannot_be_meant(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_toml(content)


def test_several_lines_are_fine() -> None:
    assert parse_toml(b'a = "x\\ny"') == {"a": "x\ny"}
