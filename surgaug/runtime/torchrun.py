"""Where this process stands among those that torchrun started. Nothing heavy: the command line asks, too."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Number `rank` of `size` processes, from 0; number `local_rank` on its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """The one that speaks, and that writes what is written once."""
        return self.rank == 0


def place() -> Place:
    """What torchrun's environment variables say; one of one without them."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return Place()
    return Place(*(int(os.environ.get(name, 0)) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
