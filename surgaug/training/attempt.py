"""One optimizer step on what memory there is: where it runs out, the batch is cut into smaller pieces."""

from __future__ import annotations

from typing import Any

import numpy as np

from surgaug.errors import ModelError
from surgaug.models.compiled import Compiler
from surgaug.runtime.device import is_out_of_memory
from surgaug.runtime.feedback import Feedback
from surgaug.training.config import TrainConfig


def attempt(
    method: Any,
    frames: tuple[np.ndarray, np.ndarray],
    step: int,
    part: slice,
    compiler: Compiler,
    config: TrainConfig,
    feedback: Feedback,
) -> dict[str, float]:
    """`method.update` for images and index maps `frames`. Out of memory, it is done again with pieces half as large,
    and so from then on: the same gradient but for rounding (and dropout, where there is any). Where the compiled
    network fails, it is done again without.

    Raises ModelError when single frames are too many, or where pieces cannot be made smaller (see `methods`).
    """
    while True:
        try:
            return method.update(*frames, step, part)
        except RuntimeError as error:
            if compiler.gave_up(error):
                continue
            if not is_out_of_memory(error):
                raise
        # Outside the handler, whose traceback holds on to what filled the memory.
        if not method.halve():
            raise ModelError(
                f"out of memory with --batch {config.batch} at {config.size[0]}x{config.size[1]}: try --batch "
                f"{max(1, config.batch // 2)}, a smaller --size or --precision bf16"
            )
        feedback.warn(
            f"out of memory: each batch of {config.batch} is now computed in {method.pieces} pieces; "
            f"--set accumulate={method.pieces} begins so"
        )
