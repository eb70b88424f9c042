"""One process, or many under torchrun, each of which trains on its part of the same global batch.

torch is imported when processes talk to each other, not before: the command line asks for the rank at its start.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from surgaug.errors import SurgaugError, UsageError
from surgaug.runtime.feedback import Feedback, Silent

if TYPE_CHECKING:
    import torch

# Seconds in which all processes must have come: torchrun's are on their way; other variables may be left over.
PATIENCE, PATIENCE_WITH_TORCHRUN = 20.0, 300.0
_TRY_SECONDS = 2.0
_CURE = "start it by torchrun, or unset RANK and WORLD_SIZE for one process"


@dataclass(frozen=True)
class ProcessGroup:
    """Process number `rank` of `size`, from 0, and number `local_rank` of `local_size` on its machine (of so many at
    least, where the launcher does not tell)."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

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

    def largest(self, *values: float) -> list[float]:
        """The largest of each value over all processes, in all of them (all must call it). Waits for no device."""
        if self.size == 1:
            return list(values)
        import torch
        import torch.distributed as dist

        t = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(t, op=dist.ReduceOp.MAX)
        return t.tolist()

    def any(self, flag: bool) -> bool:
        """True in all processes as soon as it is true in one (all must call it)."""
        return bool(self.largest(flag)[0])


def torchrun_group() -> ProcessGroup:
    """What the environment variables of torchrun say, without joining; one process alone where there are none.

    UsageError for values that cannot be, as other launchers may leave behind.
    """
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return ProcessGroup()
    found = {name: os.environ.get(name, "0") for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}
    told = ", ".join(f"{name}={value}" for name, value in found.items())
    if not all(value.isdecimal() for value in found.values()) or int(found["RANK"]) >= int(found["WORLD_SIZE"]):
        raise UsageError(f"the environment says {told}, which is no place among processes; {_CURE}")
    rank, size, local_rank = map(int, found.values())
    local_size = os.environ.get("LOCAL_WORLD_SIZE", "")
    return ProcessGroup(rank, size, local_rank, int(local_size) if local_size.isdecimal() else local_rank + 1)


def join(device: torch.device, feedback: Feedback | None = None) -> ProcessGroup:
    """Join torchrun's group, so that its processes can talk to each other; one process alone where there is none.

    device: this process's own (`pick_device`).

    Waits for the others at most `PATIENCE` seconds, longer under torchrun. UsageError when they do not come: the
    variables may be left over from another launcher.
    """
    group = torchrun_group()
    if group.size > 1:
        import torch
        import torch.distributed as dist

        if not dist.is_initialized():
            if device.type == "cuda":
                torch.cuda.set_device(device)
            # What processes tell each other beside gradients does not go by the device, which would be waited for.
            backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
            store = _meet(group, feedback or Silent())
            dist.init_process_group(backend, store=store, rank=group.rank, world_size=group.size)
    return group


def _meet(group: ProcessGroup, feedback: Feedback) -> Any:
    """The store by which the processes find each other, once all are there.

    torch's own rendezvous waits for half an hour or for ever, and Ctrl-C does not end it.
    """
    from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]  # public, but not declared so

    address, port = os.environ.get("MASTER_ADDR"), os.environ.get("MASTER_PORT", "")
    told = f"RANK={group.rank} and WORLD_SIZE={group.size}"
    if not address or not port.isdecimal():
        raise UsageError(f"the environment says {told}, but not MASTER_ADDR and MASTER_PORT; {_CURE}")
    # torchrun itself keeps the store; under other launchers the first process does.
    is_host = group.is_main and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    run, restarts = (os.environ.get(f"TORCHELASTIC_{name}", "") for name in ("RUN_ID", "RESTART_COUNT"))
    patience = PATIENCE_WITH_TORCHRUN if run else PATIENCE
    begun, missing, said = time.monotonic(), list(range(group.size)), False
    store = None
    while missing:
        try:
            if store is None:
                limit = timedelta(seconds=_TRY_SECONDS)
                found = TCPStore(address, int(port), None, is_host, limit, wait_for_workers=False)
                found.set_timeout(timedelta(minutes=30))
                store = PrefixStore(f"surgaug/{run}/{restarts}", found)
                store.set(f"here-{group.rank}", "yes")
            missing = [rank for rank in missing if not store.check([f"here-{rank}"])]
            reason = f"{len(missing)} of {group.size} processes did not come"
        except (RuntimeError, ValueError) as error:  # refused, or no such host; it may still come
            reason = str(error).splitlines()[0]
        if missing and time.monotonic() > begun + patience:
            raise UsageError(
                f"{told} in the environment, but no group within {patience:.0f} s at {address}:{port} ({reason}); "
                f"{_CURE}"
            )
        if missing and not said and time.monotonic() > begun + 2 * _TRY_SECONDS:
            feedback.info(f"waiting for {group.size} processes at {address}:{port} ({told} in the environment)")
            said = True
        if missing:
            time.sleep(0.1)
    return store


def leave() -> None:
    """Leave the group, if any."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
