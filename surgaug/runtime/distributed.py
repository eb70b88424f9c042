"""One process, or many under torchrun, each of which trains on its part of the same global batch.

torch is imported when processes talk to each other, not before: the command line asks for the rank at its start.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from surgaug.errors import SurgaugError, UsageError


@dataclass(frozen=True)
class ProcessGroup:
    """Process number `rank` of `size`, from 0, and number `local_rank` on its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the process that speaks, and that writes what is written once."""
        return self.rank == 0

    def part(self, batch: int) -> slice:
        """This process's samples of a global batch. UsageError when it cannot be divided evenly."""
        if batch % self.size:
            raise UsageError(f"--batch {batch} cannot be shared evenly by {self.size} processes")
        n = batch // self.size
        return slice(self.rank * n, (self.rank + 1) * n)

    def from_main(self, make: Callable[[], Any]) -> Any:
        """`make` is called in the main process; all get what it returned, or the error that it raised."""
        if self.size == 1:
            return make()
        import torch.distributed as dist

        box: list[Any] = [None, None]
        if self.is_main:
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
        import torch
        import torch.distributed as dist

        t = torch.tensor([value], dtype=torch.float64, device="cuda" if dist.get_backend() == "nccl" else "cpu")
        dist.all_reduce(t, op=dist.ReduceOp.MAX)
        return t.item()

    def any(self, flag: bool) -> bool:
        """True in all processes as soon as it is true in one (all must call it)."""
        return bool(self.largest(flag))


def torchrun_group() -> ProcessGroup:
    """What torchrun's environment variables say, without joining; one process alone where there are none."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return ProcessGroup()
    return ProcessGroup(*(int(os.environ.get(name, 0)) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))


def join(device_type: str) -> ProcessGroup:
    """Join torchrun's group, so that its processes can talk to each other; one process alone where there is none."""
    group = torchrun_group()
    if group.size > 1:
        import torch
        import torch.distributed as dist

        if not dist.is_initialized():
            if device_type == "cuda":
                torch.cuda.set_device(group.local_rank)  # NCCL refuses two processes on one device
            dist.init_process_group("nccl" if device_type == "cuda" else "gloo")
    return group


def leave() -> None:
    """Leave the group, if any."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
