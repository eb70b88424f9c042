"""Where what can be made again is kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where features, trained segmenters and downloaded weights lie: $SURGAUG_CACHE, or the user's cache folder."""
    if "SURGAUG_CACHE" in os.environ:
        return Path(os.environ["SURGAUG_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "surgaug"
