"""Painting with a model that needs one evaluation an image (`models/families/`): the baselines."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import torch

from surgaug.models.checkpoint import LoadedModel
from surgaug.runtime.device import autocast, to_device
from surgaug.synthesis.generators import finite_images


class OnePassPainter:
    """Paints batches of label maps of one size; to be called as `synthesis.sample.Painter`."""

    def __init__(self, model: LoadedModel, device: torch.device, precision: torch.dtype | None):
        self._net, self._device, self._precision = model.net.to(device), device, precision

    @torch.inference_mode()
    def paint(
        self,
        index_maps: Sequence[np.ndarray],
        keys: Sequence[Hashable],
        noise: Callable[[int, tuple[int, ...]], np.ndarray],
        styles: np.ndarray | None = None,
        on_step: Callable[[], None] = lambda: None,
    ) -> np.ndarray:
        """Images uint8 [B, H, W, 3]. noise(i, shape) is for the network's i-th random layer; the other arguments are
        those of `Painter.paint`, but keys and styles make no difference.

        Raises FloatingPointError when an image is not finite.
        """
        index_map = to_device(np.stack(index_maps), self._device)
        shapes = self._net.noise_shapes(tuple(index_map.shape[-2:]))
        drawn = [to_device(noise(i, shape), self._device) for i, shape in enumerate(shapes)]
        on_step()
        with autocast(self._device, self._precision):
            x = self._net(index_map, drawn)
        return finite_images(x)

    def forget(self) -> None:
        """Give back the memory that the device holds in reserve."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
