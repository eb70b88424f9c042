"""New label maps from real ones: recipe and mixer, the engine that runs them, and the run of `augment-masks`."""

from __future__ import annotations


class Rejected(Exception):
    """A try that breaks a constraint; another draw may succeed. The message is the reason, always in the same words."""


class NotApplicable(Rejected):
    """An operation that cannot succeed on this label map, whatever is drawn (there is nothing to move, say)."""
