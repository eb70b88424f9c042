"""`--compile`: the network as kernels of its own (`torch.compile`).

Compiling takes a minute or two, and on a CPU nothing was gained by it (docs/performance.md): `auto` compiles on CUDA
alone, and only once it is known that enough work is left. Where torch cannot compile, the work goes on without.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import torch
from torch import nn

from surgaug.runtime.device import is_out_of_memory
from surgaug.runtime.feedback import Feedback

BACKEND = "inductor"
OFTEN = 100
LONG = 600.0  # seconds of work left that are worth a minute or two


class Compiler:
    """Compiles `module`'s forward in place, so that names of weights, copies and DDP are as without. `compiled`: it is.

    mode: "on": from now on, "auto": see `consider`, "off": never. Every shape of the first argument costs a compilation
    of its own; one that came less than `OFTEN` times (the last batch of a run) is not worth it.
    """

    def __init__(self, mode: str, module: nn.Module, device: torch.device, feedback: Feedback):
        self.compiled = False
        self._waiting = mode == "auto" and device.type == "cuda"
        self._module, self._feedback = module, feedback
        if mode == "on":
            self._compile()

    def consider(self, seconds_left: float) -> None:
        """Compile if that is left to judgement and this much work is left."""
        if self._waiting and seconds_left > LONG:
            self._compile()

    def _compile(self) -> None:
        from torch._dynamo.exc import TorchDynamoException  # a second that others need not wait

        self._waiting, self.compiled = False, True
        logging.getLogger("torch").setLevel(logging.ERROR)  # its remarks on the machine are no news to the user
        plain, fast = self._module.forward, torch.compile(self._module.forward, backend=BACKEND)

        calls: Counter[tuple[int, ...]] = Counter()

        def forward(*args: Any) -> Any:
            calls[args[0].shape] += 1
            if calls[args[0].shape] <= OFTEN:
                return plain(*args)
            try:
                return fast(*args)
            except TorchDynamoException as error:
                self._give_up(error)
                return plain(*args)

        self._module.forward = forward

    def gave_up(self, error: RuntimeError) -> bool:
        """Whether what failed was compiled, so that it can be tried again as it is: gradients compile when they are
        first asked for, outside the forward pass."""
        if not self.compiled or is_out_of_memory(error):
            return False
        self._give_up(error)
        return True

    def _give_up(self, error: Exception) -> None:
        cause = getattr(error, "inner_exception", error)
        reason = (str(cause).strip().splitlines() or [""])[0]
        self._feedback.warn(
            f"--compile: torch cannot compile here ({type(cause).__name__}: {reason}); going on without it"
        )
        self.compiled = False
        del self._module.forward  # the class's shows again
