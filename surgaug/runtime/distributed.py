"""One process or many under torchrun: each trains on its part of the same global batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from surgaug.errors import SurgaugError, UsageError
from surgaug.runtime.torchrun import Place, place


class World(Place):
    """Processes that train one network."""

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

    def largest(self, value: float) -> float:
        """The largest of all processes' values, in all of them (all must call it)."""
        if self.size == 1:
            return value
        t = torch.tensor([value], dtype=torch.float64, device="cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.all_reduce(t, op=dist.ReduceOp.MAX)
        return t.item()

    def agree(self, flag: bool) -> bool:
        """True in all processes as soon as it is true in one (all must call it)."""
        return bool(self.largest(flag))


def join(device_type: str) -> World:
    """Join torchrun's group if there is one; a world of one otherwise."""
    world = World(**vars(place()))
    if world.size > 1 and not dist.is_initialized():
        if device_type == "cuda":
            torch.cuda.set_device(world.local_rank)  # NCCL refuses two processes on one device
        dist.init_process_group("nccl" if device_type == "cuda" else "gloo")
    return world


def leave() -> None:
    """Leave the group, if any."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
