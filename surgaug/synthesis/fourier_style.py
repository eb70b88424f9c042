"""`--set style.fourier=0.01`: the low frequencies' amplitude of a reference frame (Yang & Soatto 2020, "FDA: Fourier
Domain Adaptation for Semantic Segmentation").

An image's phases say where things are, the amplitudes of its lowest frequencies how it is lit and coloured. So a
synthetic image, of any model, can be given another frame's light while its label map stays true.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from surgaug.labels.resize import resize_image


@dataclass(frozen=True, eq=False)
class FourierStyle:
    """Gives images the amplitudes of `reference`, uint8 [H, W, 3], at frequencies up to `share` of the size."""

    reference: np.ndarray
    share: float

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Images uint8 [B, H, W, 3] of any one size, each by itself."""
        reference = _spectrum(self, images.shape[1:3])
        return np.stack([with_amplitude(image, reference, self.share) for image in images])


@lru_cache(maxsize=8)
def _spectrum(style: FourierStyle, size: tuple[int, int]) -> np.ndarray:
    return np.abs(np.fft.rfft2(resize_image(style.reference, size), axes=(0, 1)))


def with_amplitude(image: np.ndarray, amplitude: np.ndarray, share: float) -> np.ndarray:
    """The image uint8 [H, W, 3] with other amplitudes, float [H, W // 2 + 1, 3] as of `rfft2`, where neither frequency
    is above `share` of the height or the width; phases stay (equations 3 and 4).
    """
    height, width = image.shape[:2]
    down, across = np.abs(np.fft.fftfreq(height) * height), np.arange(width // 2 + 1)
    low = (down <= share * height)[:, None] & (across <= share * width)[None, :]
    spectrum = np.fft.rfft2(image, axes=(0, 1))
    taken = np.where(low[..., None], amplitude * np.exp(1j * np.angle(spectrum)), spectrum)
    changed = np.fft.irfft2(taken, s=(height, width), axes=(0, 1))
    return changed.round().clip(0, 255).astype(np.uint8)
