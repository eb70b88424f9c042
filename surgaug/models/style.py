"""A frame's style in seven numbers: colours, contrast and sharpness, but nothing of what it shows or where.

A label map says what lies where, but not how the light falls: one video is orange and soft, the next pale and sharp. A
network that is told the style need not guess it from the noise, and an image of one label map can be synthesized in any
of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.models.blocks import zero_init
from surgaug.runtime.device import to_device

DIMENSION = 7
SMALLEST_SPREAD = 0.02  # of a code among frames that all look the same


def style_code(x_0: Tensor) -> Tensor:
    """Images float [B, 3, H, W] in [-1, 1] (H, W >= 3) to [B, 7]: mean and standard deviation of red, green and blue,
    and half the logarithm of the root mean square of the grey image's Laplacian.
    """
    grey = x_0.mean(dim=1, keepdim=True)
    laplacian = to_device(torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]), x_0.device)
    laplacian = laplacian.to(x_0.dtype)[None, None]
    detail = F.conv2d(grey, laplacian).square().mean(dim=(1, 2, 3)).sqrt()
    spread, mean = torch.std_mean(x_0, dim=(2, 3), correction=0)
    return torch.cat([mean, spread, 0.5 * (detail + 1e-4).log()[:, None]], dim=1)


class StyleEmbedding(nn.Module):
    """Style codes [B, 7] to what is added to the noise level's embedding [B, width]; a code of NaN means "any style".

    It starts at zero, so that weights of a network without styles keep their meaning.
    """

    def __init__(self, width: int, hidden: int = 64):
        super().__init__()
        entry = nn.Linear(DIMENSION + 1, hidden)
        self.mlp = nn.Sequential(entry, nn.SiLU(), zero_init(nn.Linear(hidden, width)))

    @torch.no_grad()
    def fit(self, codes: Tensor) -> None:
        """Start from what the codes [N, 7] spread over, so that a difference between two frames is one to the network.

        Colours of one hospital's frames differ by a tenth; as they are, the network would not heed them for long.
        """
        spread, mean = torch.std_mean(codes, dim=0, correction=0)
        weight, bias = self.mlp[0].get_parameter("weight"), self.mlp[0].get_parameter("bias")
        weight[:, :DIMENSION] /= spread.clamp(min=SMALLEST_SPREAD)
        bias.sub_(weight[:, :DIMENSION] @ mean)

    def forward(self, code: Tensor) -> Tensor:
        known = code.isfinite().all(dim=1, keepdim=True)
        return self.mlp(torch.cat([torch.where(known, code, 0.0), known.to(code.dtype)], dim=1))
