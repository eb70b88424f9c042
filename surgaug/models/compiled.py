"""`--compile`: the network compiled by `torch.compile`.

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
    """Compiles a module, and undoes it where torch cannot.

    Only the module's `forward` is replaced, so that its weights keep their names and it can be copied and given to DDP
    as before.

    mode: "on" compiles at once; "auto" on CUDA, when `consider` finds that it is worth it; "off" never. Each shape of
    the first argument is compiled on its own, and only when it has come `OFTEN` times: the last batch of a run, which
    may be smaller, is not worth it. compiled: whether the module is compiled now.
    """

    def __init__(self, mode: str, module: nn.Module, device: torch.device, feedback: Feedback):
        self.compiled = False
        self._waiting = mode == "auto" and device.type == "cuda"
        self._module, self._feedback = module, feedback
        if mode == "on":
            self._compile()

    def consider(self, seconds_left: float) -> None:
        """In mode "auto": compile, if more than `LONG` seconds of work are left."""
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
        """After an error in a step: if it was compiled code that failed, stop compiling and return True: try again.

        Gradients are compiled when they are first computed, so that they fail outside of `forward`.
        """
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
