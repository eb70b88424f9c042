"""Files of published weights, read without running anything that they hold."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from surgaug.errors import ModelError


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file that `torch.save` wrote, on the CPU.

    Raises:
        ModelError: no such file, not such a file, or one that holds objects other than tensors (which are not made).
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as reason:
        raise ModelError(f"{path}: not a file of PyTorch weights ({first_line(reason)})") from reason
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path}: not a file of PyTorch weights by name")
    return state


def first_line(reason: Exception) -> str:
    """An error's message on one line, cut to 160 characters."""
    return " ".join(str(reason).split())[:160]
