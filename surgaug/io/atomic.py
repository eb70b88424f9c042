"""Files that are either whole or not there: written under a temporary name, synced, then renamed."""

from __future__ import annotations

import os
import secrets
import socket
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_RUN = secrets.token_hex(4)  # tells this process from an earlier one of the same number
# Where it cannot be asked whether their process lives, leftovers go when they have been quiet for so long.
_ABANDONED_S = 3600.0


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path` to write to; on leaving without error it replaces `path`.

    The content is synced to the disk before the rename. On an error the temporary file is removed and `path` is left
    as it was. Raises OSError as the file system does.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:150]}.tmp-{_HOST}-{os.getpid()}-{_RUN}-{secrets.token_hex(3)}")
    try:
        yield temporary
        with temporary.open("r+b") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # a read-only file system refuses this too; the first error is the one to tell
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename = str(path)  # a full disk shows at a write, which knows no name
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` as UTF-8 with the line ends it has, atomically."""
    write_bytes(path, content.encode("utf-8"))


def write_png(
    path: Path, array: np.ndarray, text: Mapping[str, str] | None = None, palette: np.ndarray | None = None
) -> None:
    """Write a PNG, atomically.

    array: uint8 or uint16 [H, W], or uint8 [H, W, 3] (RGB). text: entries for the file's text chunks. palette: colours
    uint8 [256, 3] by value, for uint8 [H, W]; the file then holds the same values as indices (mode P).
    Raises ValueError for another shape or dtype.
    """
    grey = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    if not grey and not (array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8):
        raise ValueError(f"no PNG for {array.dtype} {array.shape}: uint8 or uint16 [H, W], or uint8 [H, W, 3]")
    if palette is not None and (array.ndim != 2 or array.dtype != np.uint8 or palette.shape != (256, 3)):
        raise ValueError(f"no palette {palette.shape} for {array.dtype} {array.shape}: [256, 3] for uint8 [H, W]")
    image = Image.fromarray(np.ascontiguousarray(array))
    if palette is not None:
        image.putpalette(palette.tobytes())
    info = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        info.add_itxt(key, value)
    with atomic_write(path) as temporary, temporary.open("wb") as file:
        # Level 4 takes a third of the time of PIL's level 6 and costs some 3 % of size on photographs.
        image.save(file, format="PNG", pnginfo=info, compress_level=4)


def clean_leftovers(folder: Path) -> int:
    """Remove the temporary files of killed runs directly in `folder`; returns their number.

    Files of processes that still run here are kept; those of other machines, and on Windows all, until they are an hour
    old.
    """
    removed = 0
    for path in Path(folder).glob(".*.tmp-*"):
        if path.is_file() and _abandoned(path):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _abandoned(path: Path) -> bool:
    host, pid, run, _ = (path.name.rsplit(".tmp-", 1)[1].split("-") + [""] * 4)[:4]
    # On Windows os.kill(pid, 0) would not ask but send Ctrl-C.
    if host != _HOST or not pid.isdecimal() or os.name == "nt":
        try:
            return time.time() - path.stat().st_mtime > _ABANDONED_S
        except FileNotFoundError:
            return False
    if int(pid) == os.getpid():
        return run != _RUN
    return not _is_running(int(pid))


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
