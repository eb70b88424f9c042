"""What becomes of characters that a locale's encoding lacks, as with LC_ALL=C or PYTHONIOENCODING=ascii.

Both are error handlers for `codecs`. Results keep their bytes, since a path must name the same file in the next
command; messages get characters that look alike, since people read them.
"""

from __future__ import annotations

import codecs
import unicodedata

BYTES, LOOKALIKES = "surgaug-bytes", "surgaug-lookalikes"
_SIGNS = {"↑": "^", "↓": "v", "±": "+-", "×": "x", "…": "...", "–": "-", "—": "-", "−": "-", "·": ".", "°": " deg"}
_SIGNS |= {"‘": "'", "’": "'", "“": '"', "”": '"', "≤": "<=", "≥": ">=", "→": "->", "━": "-", "╸": "-", "╺": "-"}
_SIGNS |= dict(zip("▁▂▃▄▅▆▇█", "_.-=+*#@", strict=True))  # curves in a line of text


def keep_bytes(failure: UnicodeError) -> tuple[bytes, int]:
    """The characters as UTF-8; what was no text becomes the byte again that it was."""
    if not isinstance(failure, UnicodeEncodeError):
        raise failure
    return failure.object[failure.start : failure.end].encode("utf-8", "surrogateescape"), failure.end


def look_alike(failure: UnicodeError) -> tuple[str, int]:
    """Letters without their accents, signs spelled out, and `?` for the rest."""
    if not isinstance(failure, UnicodeEncodeError):
        raise failure
    return "".join(_plain(letter) for letter in failure.object[failure.start : failure.end]), failure.end


def _plain(letter: str) -> str:
    if letter in _SIGNS:
        return _SIGNS[letter]
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


codecs.register_error(BYTES, keep_bytes)
codecs.register_error(LOOKALIKES, look_alike)
