"""The second stage: SR3 proper. From a small picture and the full-size label map to the full-size picture.

The U-Net of the first stage (`models/unet.py`) without attention and without statistics over space, told in addition:

- the small picture, enlarged to the full size, through a convolution of its own at the entry (SR3, Saharia et al. 2021,
  section 2.3). Noise is added to it before it is enlarged, and the network is told how much (conditioning augmentation,
  Ho et al. 2021, Cascaded Diffusion Models, section 4.2), so that it mends what the first stage does badly;
- where in the frame each pixel lies, since it is trained on windows (Patch Diffusion, Wang et al. 2023).

Its schedule ends at a middling noise level (`Schedule.hand_over`): sampling starts from the enlarged picture with that
much noise on it (Relay Diffusion, Teng et al. 2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.models.blocks import zero_init
from surgaug.models.unet import Conditioning, SemanticUNet, UNetConfig
from surgaug.runtime.device import to_device, without_autocast

PLACE = 2  # numbers that tell where a pixel lies: down and across
LEVEL_FREQUENCIES = 16
DETAIL = 0.08  # of an untrained network; see `Upsampler.detail`
LEAST_NOISE = 1e-3  # an eighth of a grey level


@dataclass(frozen=True)
class Window:
    """A part of a frame of `frame` = (H, W) pixels: `size` = (h, w) of them from row `top` and column `left` on."""

    frame: tuple[int, int]
    top: int
    left: int
    size: tuple[int, int]

    @classmethod
    def whole(cls, frame: tuple[int, int]) -> Window:
        return cls(frame, 0, 0, frame)


class Upsampler(SemanticUNet):
    """`cond = net.with_picture(net.encode(index_map), picture, level, place)`, then `net(x_t, noise_level, cond)`: the
    estimate of x_0.

    `detail`: the standard deviation of what an enlarged picture lacks, of images in [-1, 1], details and the first
    stage's faults: 0.09 on CaDIS at 256x448, where three in four pictures are the first stage's (0.04 of frames made
    small alone). `noise_floor`: that of the noise in the frames' smoothest places, 0.006 there. Training measures both
    on its frames. Files written before 29 November 2026 have the first alone, which stood for both.
    """

    detail: Tensor
    noise_floor: Tensor

    def __init__(self, config: UNetConfig, num_classes: int):
        super().__init__(config, num_classes)
        width = config.channels[0]
        self.register_buffer("detail", torch.tensor(DETAIL))
        self.register_buffer("noise_floor", torch.tensor(DETAIL))
        self.picture_entry = nn.Conv2d(3 * config.patch**2, width, 3, padding=1, bias=False)
        self.place_entry = nn.Conv2d(PLACE, width, 1, bias=False)
        self.level = nn.Sequential(
            nn.Linear(2 * LEVEL_FREQUENCIES, config.noise_dim),
            nn.SiLU(),
            zero_init(nn.Linear(config.noise_dim, config.noise_dim)),
        )

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
        if (detail := state_dict.get(f"{prefix}detail")) is not None:
            state_dict.setdefault(f"{prefix}noise_floor", detail)
        super()._load_from_state_dict(state_dict, prefix, *args)

    @property
    def ends(self) -> list[nn.Module]:
        return [*super().ends, self.picture_entry, self.place_entry]

    def with_picture(self, cond: Conditioning, picture: Tensor, level: Tensor, place: Tensor) -> Conditioning:
        """`cond` of windows of frames with what else the network is told.

        picture: the small picture enlarged to the window (`enlarge`), float [B, 3, H, W]. level: the standard deviation
        of the noise that was added before, [B]. place: of `places`.
        """
        cells = F.pixel_unshuffle(F.pad(picture, self._pad(cond.size), mode="replicate"), self.config.patch)
        entry = cond.entry + self.picture_entry(cells) + self.place_entry(place.to(cells.dtype))
        told = self.level(level_features(level).to(cells.dtype))
        return replace(cond, entry=entry, style=told if cond.style is None else cond.style + told, picture=picture)

    def condition(self, index_map: Tensor, style: Tensor | None, *more: Tensor) -> Conditioning:
        """As `SemanticUNet.condition`; more: what `with_picture` takes."""
        return self.with_picture(super().condition(index_map, style), *more)

    def places(self, windows: Sequence[Window]) -> Tensor:
        """Where the centres of the cells of patch x patch pixels of windows (of one size) lie in their frames:
        float [B, 2, h, w], down and across, from -1 to 1 at the frame's edges.
        """
        return torch.stack([self._place(window) for window in windows])

    def _place(self, window: Window) -> Tensor:
        patch, multiple = self.config.patch, self.config.multiple
        axes = [
            (start + patch * (torch.arange(-(-length // multiple) * (multiple // patch)) + 0.5)) * (2 / whole) - 1
            for start, length, whole in zip((window.top, window.left), window.size, window.frame, strict=True)
        ]
        return torch.stack(torch.meshgrid(*axes, indexing="ij"))

    def forward(self, x_t: Tensor, noise_level: Tensor, cond: Conditioning) -> Tensor:
        """x_t float [B, 3, H, W]; noise_level = sqrt(alpha_bar) [B]; the estimate of x_0 [B, 3, H, W].

        What the enlarged picture lacks is estimated with the preconditioning of Karras et al. (2022, table 1), with one
        change. Theirs passes on as much of x_t as is best for data of white spectrum. What is lacking here is mostly
        coarse, and the fine noise that is passed on with it stays as speckle, unless the network cancels it. So x_t is
        passed on only below the noise that the frames have themselves.
        """
        assert cond.picture is not None
        alpha = noise_level[:, None, None, None]
        noise = (1 - alpha.square()).sqrt() / alpha  # sigma
        out = super().forward(x_t, noise_level, cond)
        kept, scale = self._preconditioning(noise)
        return cond.picture + kept * (x_t / alpha - cond.picture) + scale * out

    def _preconditioning(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """The share of x_t that is passed on, and the factor of what the network puts out, at the noise level sigma.

        The factor is the standard deviation of what is left to the network (Karras et al. 2022, equation 128).
        """
        kept = self.noise_floor.square() / (noise.square() + self.noise_floor.square())
        return kept, ((1 - kept).square() * self.detail.square() + (kept * noise).square()).sqrt()

    def weight(self, noise_level: Tensor) -> Tensor:
        """Weight [B] of the squared error of the estimate at noise_level = sqrt(alpha_bar) [B], with which what the
        network itself puts out counts alike at every level (Karras et al. 2022, section 5); but below `LEAST_NOISE`,
        where float32 hardly tells sqrt(alpha_bar) from 1 and the weight of what it takes for 1 would be infinite."""
        noise = ((1 - noise_level.square()) / noise_level.square()).sqrt()
        _, scale = self._preconditioning(noise.clamp(min=LEAST_NOISE))
        return 1 / scale.square()


def level_features(level: Tensor) -> Tensor:
    """Sinusoids of the noise level on the small picture, [B] in [0, 1], to [B, 2 * LEVEL_FREQUENCIES]."""
    octaves = torch.linspace(0, 6, LEVEL_FREQUENCIES, device=level.device)
    angles = level.float()[:, None] * (math.pi / 2) * 2**octaves
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def enlarge(small: Tensor, windows: Sequence[Window]) -> Tensor:
    """Windows (all of one size) of small pictures [B, 3, h, w] enlarged bicubically to their frames: [B, 3, H, W].

    Equal to `F.interpolate(small, frame, mode="bicubic")` cut to the windows, without making the rest. Also within
    autocast it is computed in the dtype of `small`: it is part of the output itself, where bf16 would show as bands.
    """
    rows = torch.stack([_weights(w.frame[0], small.shape[-2], w.top, w.size[0]) for w in windows])
    columns = torch.stack([_weights(w.frame[1], small.shape[-1], w.left, w.size[1]) for w in windows])
    rows, columns = (to_device(weights.to(small.dtype), small.device) for weights in (rows, columns))
    with without_autocast(small.device):
        enlarged = rows[:, None] @ small @ columns[:, None].mT
    return enlarged.contiguous(memory_format=torch.channels_last)


def _weights(total: int, given: int, start: int, count: int) -> Tensor:
    """Rows `start` to `start + count` of the matrix [total, given] of bicubic enlargement (Keys 1981, a = -0.75; the
    picture's edge is repeated)."""
    at = (torch.arange(start, start + count, dtype=torch.float64) + 0.5) * (given / total) - 0.5
    first = at.floor().long() - 1
    out = torch.zeros(count, given, dtype=torch.float64)
    for index in (first + tap for tap in range(4)):
        out.scatter_add_(1, index.clamp(0, given - 1)[:, None], _cubic((at - index).abs())[:, None])
    return out


def _cubic(x: Tensor, a: float = -0.75) -> Tensor:
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))
