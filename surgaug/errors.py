"""The errors of our own: each becomes one line on stderr and an exit code, in `surgaug.cli.main`."""

from __future__ import annotations


class SurgaugError(Exception):
    """A failure that a user can act on. The message names the file, the value and the cure."""

    exit_code = 1


class DataError(SurgaugError):
    """Something is wrong with a file or a folder of the user's."""


class ModelError(SurgaugError):
    """A model file cannot be used, or not for what was asked."""


class UsageError(SurgaugError):
    """The command line or a configuration is wrong."""

    exit_code = 2


class GateError(SurgaugError):
    """A quality gate (`--fail-if`) is not met."""

    exit_code = 3


class Interrupted(SurgaugError):
    """Stopped by the user; the message says what to type to go on."""

    exit_code = 130
