"""DINOv2 and CLIP image encoders, read by the `transformers` library from a folder that the user supplies.

The folder is a model as published on the Hugging Face hub: config.json, and model.safetensors or pytorch_model.bin. The
latter is a pickle, of which only tensors are made: one that holds code is refused.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F

from surgaug.errors import ModelError, UsageError
from surgaug.models.checkpoint import file_hash
from surgaug.models.foreign_weights import first_line

CONFIG, WEIGHTS = "config.json", ("model.safetensors", "pytorch_model.bin")


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
        self.sha256 = file_hash(_weights(folder))
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


def _weights(folder: Path) -> Path:
    found = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if not found or not (folder / CONFIG).is_file():
        raise ModelError(
            f"{folder}: no model as published on the Hugging Face hub: {CONFIG}, and {' or '.join(WEIGHTS)}"
        )
    return found[0]


def _load(folder: Path, kind: str) -> torch.nn.Module:
    library = transformers()
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()
    try:
        network, found = getattr(library, kind).from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=_weights(folder).name == WEIGHTS[0],
            weights_only=True,
            output_loading_info=True,
        )
    except Exception as reason:
        raise ModelError(f"{folder}: not a {kind} ({first_line(reason)})") from reason
    if found["missing_keys"] or found["mismatched_keys"]:
        lacking = sorted(map(str, [*found["missing_keys"], *found["mismatched_keys"]]))
        raise ModelError(f"{folder}: not a {kind}; it lacks {len(lacking)} tensors, such as {lacking[0]}")
    return network.eval().requires_grad_(False)
