"""A cache of features and of metrics of pairs, so that a second run over the same images computes neither again.

One SQLite file. A key is a hash of the image file's bytes and of the name, version, weights and size of what was
computed, so an entry is never out of date. The file may be deleted at any time; the next run is then slower.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from threading import Lock

import numpy as np

from surgaug.runtime.feedback import Feedback

FILE_NAME = "score.sqlite"
_WAIT_SECONDS = 20


def key(*parts: str | bytes) -> bytes:
    """A key of 16 bytes from texts and hashes; the borders between parts count."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(4, "little") + data)
    return digest.digest()


class FeatureCache:
    """Float32 arrays by key; several processes may share the file. `folder` None: it keeps nothing.

    A cache that cannot be used (no room, no rights, a damaged file) is said once and then done without.
    """

    def __init__(self, folder: Path | None, feedback: Feedback) -> None:
        self._feedback, self._lock = feedback, Lock()
        self._database: sqlite3.Connection | None = None
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._database = _open(folder / FILE_NAME)
            except (OSError, sqlite3.Error) as reason:
                self._give_up(f"{folder / FILE_NAME}: {reason}")

    def get(self, name: bytes) -> np.ndarray | None:
        """The array kept under a key; None where there is none. May be called from any thread."""
        with self._lock:
            if self._database is None:
                return None
            try:
                row = self._database.execute("SELECT columns, data FROM arrays WHERE key = ?", (name,)).fetchone()
            except sqlite3.Error as reason:
                self._give_up(str(reason))
                return None
        if row is None:
            return None
        array = np.frombuffer(row[1], np.float32)
        return array.reshape(-1, row[0]) if row[0] else array

    def put(self, arrays: Iterable[tuple[bytes, np.ndarray]]) -> None:
        """Keep arrays [d] or [n, d], as float32, all or none."""
        rows = [(name, a.shape[1] if a.ndim == 2 else 0, np.float32(a).tobytes()) for name, a in arrays]
        with self._lock:
            if self._database is None:
                return
            try:
                with self._database:
                    self._database.executemany("INSERT OR IGNORE INTO arrays VALUES (?, ?, ?)", rows)
            except sqlite3.Error as reason:
                self._give_up(str(reason))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._database is not None:
                self._database.close()
                self._database = None

    def _give_up(self, reason: str) -> None:
        self._database = None
        self._feedback.warn(f"no cache of features: {reason}")


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_WAIT_SECONDS, check_same_thread=False)
    # Not synchronous: after a power cut at worst the newest entries are missing or the file is refused and rebuilt.
    database.execute("PRAGMA synchronous = OFF")
    database.execute(
        "CREATE TABLE IF NOT EXISTS arrays (key BLOB PRIMARY KEY, columns INTEGER, data BLOB) WITHOUT ROWID"
    )
    return database
