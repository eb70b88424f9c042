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
# How devices and the machine say that they have no memory left: CUDA, MPS and its driver; CPUs; cuBLAS and cuDNN.
NO_MEMORY = ("out of memory", "allocate memory", "not enough memory", "ALLOC_FAILED")


def pick_device(name: str, local_rank: int = 0, local_size: int = 1) -> torch.device:
    """auto, cpu, cuda, cuda:N or mps. UsageError when it is not there.

    local_rank, local_size: this process's number, and how many that must not share a device, on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(f"cuda:{local_rank}" if name == "cuda" else name)
    except RuntimeError:
        raise UsageError(f"--device {name}: not a device; use auto, cpu, cuda, cuda:N or mps") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"--device {name}: torch sees no CUDA device here; use --device cpu")
    processes = max(local_rank + 1, local_size)
    if device.type == "cuda" and name == "cuda" and processes > torch.cuda.device_count():
        raise UsageError(
            f"--device cuda: {processes} processes on this machine, but torch sees {torch.cuda.device_count()} CUDA "
            "devices; start at most one process for each"
        )
    if device.type == "cuda" and device.index >= torch.cuda.device_count():
        raise UsageError(f"--device {name}: there are {torch.cuda.device_count()} CUDA devices, from cuda:0")
    if device.type == "cuda" and name != "cuda" and local_size > 1:
        raise UsageError(f"--device {name}: {local_size} processes cannot share it; --device cuda gives each its own")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: not available here; use --device cpu")
    if device.type not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device {name}: use auto, cpu, cuda, cuda:N or mps")
    return device


def pick_precision(name: str, device: torch.device) -> torch.dtype | None:
    """The autocast dtype, None for plain fp32. `auto`: bf16 where a GPU is good at it, fp32 elsewhere.

    CPUs without bf16 units are 20 to 100 times slower in it than in fp32, so `auto` never picks it there. On CUDA fp32
    turns TF32 off for this process: by torch's default convolutions would keep 10 bits of 23, and nobody asked for it.
    """
    if name == "auto":
        name = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(False) else "fp32"
    if name not in PRECISIONS:
        raise UsageError(f"--precision {name}: use auto, {', '.join(PRECISIONS)}")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("--precision fp16: not on the CPU; use fp32")
    if name == "fp32" and device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
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
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in NO_MEMORY)


def autocast(device: torch.device, dtype: torch.dtype | None) -> Any:
    """The autocast context for `pick_precision`'s answer."""
    return torch.autocast(device.type, dtype) if dtype else nullcontext()


def without_autocast(device: torch.device) -> Any:
    """The context for what is computed in the dtype of its tensors, also within `autocast`."""
    available = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else nullcontext()
