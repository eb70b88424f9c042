"""SR3's U-Net as published (Saharia et al. 2021, appendix A), with SPADE in the middle and the decoder.

The decoder takes a skip from every block of the encoder, from the entry and from every change of size, and so has one
block more a level than the encoder; height and width change inside residual blocks (BigGAN, Brock 2018). It is DDPM's
network (Ho et al. 2020, appendix B) with BigGAN's blocks, and that of ADM (Dhariwal & Nichol 2021, section 3), on which
SDM is built (Wang et al. 2022, section 3.2). Ours (`models/unet.py`) has a skip a level and changes size elsewhere.

SPADE's layers are those of its paper: a hidden layer for every norm, and the label map resized by nearest neighbour.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from surgaug.models.blocks import ResBlock, SelfAttention, doubled, halved
from surgaug.models.spade import OwnModulation
from surgaug.models.unet import SemanticUNet


class SR3UNet(SemanticUNet):
    """See `SemanticUNet`, whose entry, noise level and exit it has.

    `encoder` and `decoder` are steps, each a block with what follows it: attention, or a block that doubles the size. A
    skip leads from after each step of the encoder to before one of the decoder.
    """

    def _add_trunk(self) -> int:
        config, last = self.config, len(self.config.channels) - 1
        # Level and channels of each SPADE norm, in the order of the forward pass.
        self._norms: list[tuple[int, int]] = []

        def block(
            before: int, after: int, level: int | None = None, resample: Callable[[Tensor], Tensor] | None = None
        ) -> ResBlock:
            """level: of a SPADE block; None: it is none."""
            spade = 0
            if level is not None:
                spade, behind = config.spade_norms, level - 1 if resample is doubled else level
                self._norms += [(level, before), (behind, after)][:spade]
            return ResBlock(before, after, config.noise_dim, config.dropout, spade, config.norm, resample)

        def attention(level: int) -> list[nn.Module]:
            return [SelfAttention(config.channels[level], config.head_dim)] if config.attention[level] else []

        width = config.channels[0]
        self.encoder, skips = nn.ModuleList(), [width]
        for level, c in enumerate(config.channels):
            if level:
                self.encoder.append(nn.ModuleList([block(width, width, resample=halved)]))
                skips.append(width)
            for _ in range(config.encoder_blocks[level]):
                self.encoder.append(nn.ModuleList([block(width, c), *attention(level)]))
                skips.append(c)
                width = c

        between = [SelfAttention(width, config.head_dim)] if config.middle_attention else []
        self.middle = nn.ModuleList([block(width, width, last), *between, block(width, width, last)])

        self.decoder = nn.ModuleList()
        for level in range(last, -1, -1):
            c, spade = config.channels[level], level if config.spade[level] else None
            for i in range(config.encoder_blocks[level], -1, -1):
                step = [block(width + skips.pop(), c, spade), *attention(level)]
                step += [block(c, c, spade, doubled)] if level and not i else []
                self.decoder.append(nn.ModuleList(step))
                width = c
        return width

    def _add_modulation(self) -> None:
        config = self.config
        self.modulation = nn.ModuleList(
            OwnModulation(self.num_classes, config.spade_hidden, channels, config.spade_kernel)
            for _, channels in self._norms
        )

    def _modulation(self, shares: Tensor) -> list[tuple[Tensor, Tensor]]:
        levels = [shares[:, :, :: 2**level, :: 2**level] for level in range(len(self.config.channels))]
        return [m(levels[level]) for m, (level, _) in zip(self.modulation, self._norms, strict=True)]

    def _through(self, h: Tensor, run: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
        skips = [h]
        for step in self.encoder:
            h = run(step, h)
            skips.append(h)
        h = run(self.middle, h)
        for step in self.decoder:
            h = run(step, torch.cat([h, skips.pop()], dim=1))
        return h
