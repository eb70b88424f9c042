"""Why a try came to nothing."""

from __future__ import annotations


class Rejected(Exception):
    """This try breaks a constraint; another draw may not. The message is the reason, always in the same words."""


class NotApplicable(Rejected):
    """No draw of this operation can succeed on this label map (nothing there to move, say)."""
