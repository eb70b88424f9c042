"""Ctrl-C, in a process of its own: what it does there would end the tests."""

from __future__ import annotations

import subprocess
import sys

BEGIN = """
import signal
from surgaug.runtime.interrupt import graceful, heed
press = lambda: signal.raise_signal(signal.SIGINT)  # in this thread, now
"""


def say(*lines: str) -> subprocess.CompletedProcess[str]:
    """What these lines print."""
    line = [sys.executable, "-c", "\n".join([BEGIN, *lines])]
    return subprocess.run(line, capture_output=True, text=True, timeout=60)


def test_once_is_a_request_and_twice_an_end():
    asked = say("with graceful() as stop:", "    press()", "    print(stop.requested)", "    press()", "print('never')")
    assert asked.stdout == "True\n" and "KeyboardInterrupt" in asked.stderr


def test_sigterm_asks_however_often_it_comes():
    """A scheduler's reaches the processes of a launcher twice."""
    asked = ["    signal.raise_signal(signal.SIGTERM)"] * 2
    assert say("with graceful() as stop:", *asked, "    print(stop.requested)", "print('on')").stdout == "True\non\n"


def test_one_that_python_drops_stops_the_work_that_follows():
    dropped = ["class Dropping:", "    def __del__(self):", "        press()", "Dropping()"]
    seen = ["with graceful() as stop:", "    print(stop.requested)"]
    heeded = say("heed()", *dropped, *seen)
    assert "Exception ignored in" in heeded.stderr and heeded.stdout == "True\n"
    assert say(*dropped, *seen).stdout == "False\n"


def test_where_it_is_ignored_it_stays_so():
    ignored = say("signal.signal(signal.SIGINT, signal.SIG_IGN)", "heed()", "press()", "print('on')")
    assert ignored.stdout == "on\n", ignored.stderr
