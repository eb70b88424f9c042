"""What `--device` and `--precision` mean on this machine, and how images reach a device and come back."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import torch

from surgaug.errors import UsageError

COMPILE = ("auto", "on", "off")  # `models/compiled.py`
FUSED = ("cpu", "cuda")  # devices on which an optimizer's step is one kernel
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str, local_rank: int = 0) -> torch.device:
    """auto, cpu, cuda, cuda:N or mps. UsageError when it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(f"cuda:{local_rank}" if name == "cuda" else name)
    except RuntimeError:
        raise UsageError(f"--device {name}: not a device; use auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {name}: torch sees no CUDA device here; use --device cpu")
    if device.type == "cuda" and device.index >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: there are {torch.cuda.device_count()} CUDA devices, from cuda:0")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: not available here; use --device cpu")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device {name}: use auto, cpu, cuda, cuda:N or mps")
    return device


def pick_precision(name: str, device: torch.device) -> torch.dtype | None:
    """The autocast dtype, None for plain fp32. `auto`: bf16 where a GPU is good at it, fp32 elsewhere.

    CPUs without bf16 units are 20 to 100 times slower in it than in fp32, so `auto` never picks it there.
    """
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported(False) else None
    if name not in PRECISIONS:
        raise UsageError(f"--precision {name}: use auto, {', '.join(PRECISIONS)}")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("--precision fp16: not on the CPU; use fp32")
    return PRECISIONS[name]


def to_device(values: np.ndarray | torch.Tensor, device: torch.device | str) -> torch.Tensor:
    """`values` on the device; to CUDA from pinned memory, so that the device computes on while they travel."""
    tensor, cuda = torch.as_tensor(values), torch.device(device).type == "cuda"
    return (tensor.pin_memory() if cuda and tensor.device.type == "cpu" else tensor).to(device, non_blocking=cuda)


def to_tensor(images: np.ndarray, device: torch.device | str) -> torch.Tensor:
    """uint8 [B, H, W, 3] to [-1, 1] float [B, 3, H, W], channels last."""
    x = to_device(images, device).permute(0, 3, 1, 2)
    return x.to(torch.float32, memory_format=torch.channels_last) / 127.5 - 1


def to_images(x: torch.Tensor) -> np.ndarray:
    """Float [B, 3, H, W], limited to [-1, 1], to uint8 [B, H, W, 3], contiguous."""
    images = ((x.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return images.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device or the machine has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error)


def autocast(device: torch.device, dtype: torch.dtype | None) -> Any:
    """The autocast context for `pick_precision`'s answer."""
    return torch.autocast(device.type, dtype) if dtype else nullcontext()
