"""Between pictures as files hold them, uint8 [B, H, W, 3], and as networks see them, float [B, 3, H, W] in [-1, 1]."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from surgaug.runtime.device import to_device


def to_tensor(images: np.ndarray, device: torch.device | str) -> Tensor:
    """uint8 [B, H, W, 3] to [-1, 1] float [B, 3, H, W], channels last."""
    x = to_device(images, device).permute(0, 3, 1, 2)
    return x.to(torch.float32, memory_format=torch.channels_last) / 127.5 - 1


def to_images(x: Tensor) -> np.ndarray:
    """Float [B, 3, H, W], limited to [-1, 1], to uint8 [B, H, W, 3], contiguous."""
    images = ((x.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return images.permute(0, 2, 3, 1).contiguous().cpu().numpy()
