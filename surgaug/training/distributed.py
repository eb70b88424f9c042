"""One process or many under torchrun: each trains on its part of the same global batch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist

from surgaug.errors import SurgaugError, UsageError


@dataclass(frozen=True)
class World:
    """This process's place among `size` processes."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """The one that writes files and speaks."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """This process's samples of a global batch."""
        if batch % self.size:
            raise UsageError(f"--batch {batch} cannot be shared evenly by {self.size} processes")
        n = batch // self.size
        return slice(self.rank * n, (self.rank + 1) * n)

    def share(self, make: Callable[[], Any]) -> Any:
        """What the leader's `make` returns, in all processes; its error, if it raises one, in all of them too."""
        if self.size == 1:
            return make()
        box: list[Any] = [None, None]
        if self.leads:
            try:
                box[0] = make()
            except SurgaugError as e:
                box[1] = e
        dist.broadcast_object_list(box)
        if box[1] is not None:
            raise box[1]
        return box[0]

    def agree(self, flag: bool) -> bool:
        """True in all processes as soon as it is true in one (all must call it)."""
        if self.size == 1:
            return flag
        t = torch.tensor([float(flag)], device="cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.all_reduce(t, op=dist.ReduceOp.MAX)
        return bool(t.item())


def join(device_type: str) -> World:
    """Join torchrun's group if there is one; a world of one otherwise."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return World()
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device_type == "cuda" else "gloo")
    return World(dist.get_rank(), dist.get_world_size(), int(os.environ.get("LOCAL_RANK", 0)))


def leave() -> None:
    """Leave the group, if any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
