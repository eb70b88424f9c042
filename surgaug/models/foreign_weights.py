"""Weights that others published, read without running anything that their files hold."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from surgaug.errors import ModelError

SAFETENSORS = ".safetensors"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # as torchvision normalises, in 0..1


def read_state(path: Path, option: str = "") -> dict[str, Tensor]:
    """Tensors by name, on the CPU, of a .safetensors file or of one that `torch.save` wrote.

    option: begins the messages, as in "--segmenter". Raises ModelError: no such file, not such a file, or one that
    holds anything but tensors (which is not made).
    """
    shown = f"{option} {path}".strip()
    if not path.is_file():
        raise ModelError(f"{shown}: no such file")
    if path.suffix == SAFETENSORS:
        try:
            with safe_open(path, "pt") as file:
                return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
        except (OSError, SafetensorError) as reason:
            raise ModelError(f"{shown}: not a safetensors file ({first_line(reason)})") from reason
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as reason:  # a damaged file raises whatever the unpickler stumbles over
        raise ModelError(f"{shown}: not a file of PyTorch weights ({first_line(reason)})") from reason
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{shown}: not a file of PyTorch weights by name")
    return state


def read_metadata(path: Path) -> dict[str, str]:
    """What a .safetensors file says of itself; {} for another. Call it after `read_state`, which checks the file."""
    if path.suffix != SAFETENSORS:
        return {}
    with safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


def first_line(reason: Exception) -> str:
    """An error's message on one line, cut to 160 characters."""
    return " ".join(str(reason).split())[:160]
