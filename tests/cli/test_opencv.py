"""What is said where OpenCV cannot be imported."""

from __future__ import annotations

import pytest

from surgaug import cli


@pytest.mark.parametrize(
    "failure",
    [
        ModuleNotFoundError("No module named 'cv2'"),
        ImportError("libGL.so.1: cannot open shared object file: No such file or directory"),
        AttributeError("module 'cv2' has no attribute 'resize'"),
    ],
)
def test_the_cure_is_told(capsys, failure):
    assert cli._explain(failure) == 1
    told = capsys.readouterr().err
    assert str(failure) in told
    assert told.endswith("&& pip install opencv-python-headless\n")


@pytest.mark.parametrize("failure", [ModuleNotFoundError("No module named 'yaml'"), AttributeError("no attribute 'x'")])
def test_other_failures_stay_as_they_are(capsys, failure):
    cli._explain(failure)
    assert "opencv" not in capsys.readouterr().err
