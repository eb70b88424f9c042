"""Images to one vector each by a network; and networks of the `transformers` library from a folder of the user's.

Such a folder is a model as published on the Hugging Face hub: config.json, and model.safetensors or pytorch_model.bin.
The latter is a pickle, of which only tensors are made: one that holds code is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.errors import ModelError, UsageError
from surgaug.models.checkpoint import file_hash
from surgaug.models.foreign_weights import first_line

CONFIG, WEIGHTS = "config.json", ("model.safetensors", "pytorch_model.bin")


class Encoder:
    """Resizes images to `size` pixels an edge by antialiased bicubic in float, normalises, applies a network.

    network: [B, 3, size, size] to [B, d]. mean, std: of the colours, in 0..1.
    """

    def __init__(
        self, network: nn.Module, size: int, mean: Sequence[float], std: Sequence[float], device: torch.device
    ) -> None:
        self._network = network.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
        self._size, self._device = size, device
        self._mean, self._std = (torch.tensor(v, device=device).view(1, 3, 1, 1) * 255 for v in (mean, std))

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [B, H, W, 3] RGB to float32 [B, d]."""
        batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float()
        batch = F.interpolate(batch, (self._size, self._size), mode="bicubic", antialias=True).clamp(0, 255)
        batch = ((batch - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
        return self._network(batch).float().cpu().numpy()


class TransformersNetwork(nn.Module):
    """The network of a model folder, [B, 3, size, size] to [B, d].

    kind: the class of `transformers` that it must be, such as "Dinov2Model". output: the attribute of its answer that
    is the vector. ModelError where the folder holds something else, UsageError without the library.
    """

    def __init__(self, folder: Path, kind: str, output: str) -> None:
        super().__init__()
        self.sha256 = file_hash(_weights(folder))
        self._model, self._output = _load(folder, kind), output

    def forward(self, x: Tensor) -> Tensor:
        return getattr(self._model(pixel_values=x), self._output)


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


def _load(folder: Path, kind: str) -> nn.Module:
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
