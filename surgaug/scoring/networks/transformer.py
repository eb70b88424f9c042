"""DINOv2 and CLIP image encoders, read by the `transformers` library from a folder that the user supplies.

The folder is a model as published on the Hugging Face hub: config.json and model.safetensors. Only safetensors are
read, which hold numbers and no code.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F

from surgaug.errors import ModelError, UsageError
from surgaug.models.weights import file_hash
from surgaug.scoring.networks.weights import first_line

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class Encoder:
    """Images to one vector each; `features/dinov2.py` and `features/clip.py` say which.

    folder: the model. kind: the class of `transformers` that it must be, such as "Dinov2Model". output: the attribute
    of its answer that is the vector. size: pixels an edge. mean, std: of the colours, in 0..1.
    """

    def __init__(
        self,
        folder: Path,
        kind: str,
        output: str,
        size: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device,
    ) -> None:
        self.sha256 = file_hash(_checked(folder) / WEIGHTS)
        self._network = _load(folder, kind).to(device)
        self._output, self._size, self._device = output, size, device
        self._mean, self._std = (torch.tensor(v, device=device).view(1, 3, 1, 1) * 255 for v in (mean, std))

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [B, H, W, 3] RGB to float32 [B, d]."""
        batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float()
        batch = F.interpolate(batch, (self._size, self._size), mode="bicubic", antialias=True).clamp(0, 255)
        return getattr(self._network(pixel_values=(batch - self._mean) / self._std), self._output).float().cpu().numpy()


def transformers() -> ModuleType:
    """The library; UsageError saying how to get it where it is missing."""
    try:
        import transformers as library
    except ImportError as reason:
        raise UsageError(
            f"DINOv2 and CLIP need the transformers library ({reason}): pip install 'surgaug[encoders]'"
        ) from reason
    return library


def _checked(folder: Path) -> Path:
    missing = [name for name in (CONFIG, WEIGHTS) if not (folder / name).is_file()]
    if missing:
        raise ModelError(
            f"{folder}: no {' and no '.join(missing)}; expected a model's folder as published on the Hugging Face hub"
        )
    return folder


def _load(folder: Path, kind: str) -> torch.nn.Module:
    library = transformers()
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()
    try:
        network, found = getattr(library, kind).from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as reason:
        raise ModelError(f"{folder}: not a {kind} ({first_line(reason)})") from reason
    if found["missing_keys"] or found["mismatched_keys"]:
        lacking = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
        raise ModelError(f"{folder}: not a {kind}; it lacks {len(lacking)} tensors, such as {lacking[0]}")
    return network.eval().requires_grad_(False)
