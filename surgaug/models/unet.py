"""The semantic U-Net: SR3's, with the label map joined at the input and by SPADE in the middle and the decoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.labels.label_space import IGNORE_INDEX
from surgaug.models.blocks import (
    INV_SQRT2,
    NoiseLevelEmbedding,
    ResBlock,
    SelfAttention,
    doubled,
    halved,
    normalisation,
    zero_init,
)
from surgaug.models.spade import LevelFeatures, Modulation, cells, class_shares, pyramid
from surgaug.models.style import DIMENSION as STYLE_DIMENSION
from surgaug.models.style import StyleEmbedding
from surgaug.runtime.device import autocast


@dataclass(frozen=True)
class UNetConfig:
    """Sizes of the network, finest level first.

    `patch`: space-to-depth factor at the entry (and its inverse at the exit), so that no convolution runs at full
    resolution. `spade`: levels whose decoder blocks are SPADE blocks (the middle always is). `join`: a decoder level
    takes the encoder's features by "concat" (SR3) or by "sum" (half the arithmetic). `style`: the network is told the
    frame's style (`models/style.py`). `norm`: "group" (SR3), or "channel", which looks at no other place (with no
    attention anywhere, an image may then be made in tiles). `middle_attention`: between the two blocks of the middle.
    `label_channels`: those in which the label map joins at the entry; with 0 it does not.
    `label_detail`: label maps are told so many times as fine as the image, each of its pixels the shares of classes in
    it (the first stage of a cascade; it brings nothing that was measured, but the model that ships is trained so).

    `skips`: one a "level", or one a "block", which is SR3's network as published (`models/sr3.py`); only that heeds
    `spade_norms`, how many of the two norms of a SPADE block are SPADE's.
    """

    patch: int = 2
    channels: tuple[int, ...] = (64, 128, 192)
    encoder_blocks: tuple[int, ...] = (1, 2, 2)
    decoder_blocks: tuple[int, ...] = (2, 2, 2)
    attention: tuple[bool, ...] = (False, False, True)
    spade: tuple[bool, ...] = (True, True, True)
    spade_hidden: int = 64
    spade_kernel: int = 1
    label_channels: int = 16
    label_detail: int = 1
    join: str = "sum"
    head_dim: int = 32
    noise_dim: int = 256
    dropout: float = 0.0
    style: bool = False
    norm: str = "group"
    middle_attention: bool = True
    skips: str = "level"
    spade_norms: int = 1

    @property
    def multiple(self) -> int:
        """Heights and widths are padded inside to a multiple of this."""
        return self.patch * 2 ** (len(self.channels) - 1)


@dataclass
class Conditioning:
    """What a batch of label maps contributes: the entry's features and the scale and shift of every SPADE norm.

    `style`: what is added to the noise level's embedding, [B, noise_dim]: the embedded styles; None in a network
    without. `picture`: the enlarged small picture [B, 3, H, W], None but for `models/upsampler.py`.
    """

    entry: Tensor
    modulation: list[tuple[Tensor, Tensor]]
    size: tuple[int, int]
    style: Tensor | None = None
    picture: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> Conditioning:
        """With every tensor, whose first dimension is the batch, changed alike."""
        style, picture = (None if t is None else change(t) for t in (self.style, self.picture))
        modulation = [(change(a), change(b)) for a, b in self.modulation]
        return Conditioning(change(self.entry), modulation, self.size, style, picture)

    def select(self, indices: Tensor | slice) -> Conditioning:
        """The label maps at `indices` (may repeat)."""
        return self.each(lambda t: t[indices])

    def expand(self, batch: int) -> Conditioning:
        """One label map for `batch` samples, without copying it."""
        return self.each(lambda t: t.expand(batch, *[-1] * (t.dim() - 1)))

    @staticmethod
    def cat(parts: list[Conditioning]) -> Conditioning:
        """Batches of the same size one behind the other."""
        modulation = [
            (torch.cat([p.modulation[i][0] for p in parts]), torch.cat([p.modulation[i][1] for p in parts]))
            for i in range(len(parts[0].modulation))
        ]
        style, picture = (
            torch.cat(found) if (found := [t for t in tensors if t is not None]) else None
            for tensors in ([p.style for p in parts], [p.picture for p in parts])
        )
        return Conditioning(torch.cat([p.entry for p in parts]), modulation, parts[0].size, style, picture)


class SemanticUNet(nn.Module):
    """Noisy image, noise level and label map in; the prediction (eps, v or x_0, as trained) out.

    `cond = net.encode(index_map)` once a label map, then `net(x_t, noise_level, cond)` at every step.
    `net.in_style(cond, codes)` asks for styles. Any height and width; it is padded inside.
    """

    def __init__(self, config: UNetConfig, num_classes: int):
        super().__init__()
        self.config, self.num_classes = config, num_classes
        first, patch = config.channels[0], config.patch
        self.embedding = NoiseLevelEmbedding(config.noise_dim // 2, config.noise_dim)
        self.style = StyleEmbedding(config.noise_dim) if config.style else None

        # The label's part of the first convolution is a convolution of its own: it can be computed once.
        if config.label_channels:
            self.label_embedding = nn.Conv2d(num_classes, config.label_channels, 1, bias=False)
            self.label_entry = nn.Conv2d(config.label_channels * patch**2, first, 3, padding=1, bias=False)
        self.image_entry = nn.Conv2d(3 * patch**2, first, 3, padding=1)

        width = self._add_trunk()
        self.out_norm = normalisation(config.norm, width)
        self.out = zero_init(nn.Conv2d(width, 3 * patch**2, 3, padding=1))
        self._add_modulation()

    def _add_trunk(self) -> int:
        """What lies between the entry and the last norm; returns its channels."""
        config, channels, last = self.config, self.config.channels, len(self.config.channels) - 1

        def block(in_channels: int, channels: int, spade: bool = False) -> ResBlock:
            return ResBlock(in_channels, channels, config.noise_dim, config.dropout, int(spade), config.norm)

        self.encoder = nn.ModuleList()
        width = channels[0]
        for level, (c, n) in enumerate(zip(channels, config.encoder_blocks, strict=True)):
            stage = nn.ModuleList()
            for _ in range(n):
                stage.append(block(width, c))
                width = c
                if config.attention[level]:
                    stage.append(SelfAttention(c, config.head_dim))
            self.encoder.append(stage)

        self.middle = nn.ModuleList(
            [
                block(width, width, spade=True),
                *([SelfAttention(width, config.head_dim)] if config.middle_attention else []),
                block(width, width, spade=True),
            ]
        )

        self.decoder, self.narrow = nn.ModuleList(), nn.ModuleList()
        for level in range(last, -1, -1):
            c, spade = channels[level], config.spade[level]
            # Narrowed before it is enlarged: a quarter of the positions.
            self.narrow.append(nn.Identity() if width == c else nn.Conv2d(width, c, 1))
            width = c if config.join == "sum" else 2 * c
            stage = nn.ModuleList()
            for _ in range(config.decoder_blocks[level]):
                stage.append(block(width, c, spade))
                width = c
                if config.attention[level]:
                    stage.append(SelfAttention(c, config.head_dim))
            self.decoder.append(stage)
        return width

    def _add_modulation(self) -> None:
        """What turns label maps into the scales and shifts of the SPADE norms."""
        config, last = self.config, len(self.config.channels) - 1
        used = {last} | {level for level in range(last + 1) if config.spade[level]}
        self.level_features = nn.ModuleDict(
            {str(level): LevelFeatures(self.num_classes, config.spade_hidden) for level in sorted(used)}
        )
        self.modulation = nn.ModuleList(
            Modulation(config.spade_hidden, block.norm1.num_channels, config.spade_kernel)
            for _, block in self._spade_blocks()
        )

    @property
    def ends(self) -> list[nn.Module]:
        """The layers that touch images and label maps themselves."""
        labels = [self.label_embedding, self.label_entry] if self.config.label_channels else []
        return [*labels, self.image_entry, self.out]

    def _spade_blocks(self) -> list[tuple[int, ResBlock]]:
        """(level, block) of every SPADE block, in the order of the forward pass."""
        last = len(self.config.channels) - 1
        stages = [(last, self.middle), *((last - i, stage) for i, stage in enumerate(self.decoder))]
        return [(lv, b) for lv, stage in stages for b in stage.children() if isinstance(b, ResBlock) and b.spade]

    def _pad(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        m = self.config.multiple
        return (0, -size[1] % m, 0, -size[0] % m)

    def encode(self, index_map: Tensor) -> Conditioning:
        """Label maps as indices uint8 [B, H, W] (255 or any value not below K: no label), `label_detail` times as fine
        as the images, to their `Conditioning`."""
        detail, patch = self.config.label_detail, self.config.patch
        size = (index_map.shape[-2] // detail, index_map.shape[-1] // detail)
        index_map = F.pad(index_map, [detail * n for n in self._pad(size)], value=IGNORE_INDEX)
        shares = class_shares(index_map, self.num_classes, self.image_entry.weight.dtype, patch * detail)
        if self.config.label_channels:
            entry = self.label_entry(self._embedded(index_map))
        else:
            entry = shares.new_zeros(len(shares), self.config.channels[0], 1, 1)
        return self.in_style(Conditioning(entry, self._modulation(shares), size), None)

    def _modulation(self, shares: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Scale and shift of every SPADE norm, in the order of the forward pass; shares [B, K, h, w], of the finest
        level."""
        levels = pyramid(shares, len(self.config.channels))
        features = {int(k): f(levels[int(k)]) for k, f in self.level_features.items()}
        return [m(features[level]) for m, (level, _) in zip(self.modulation, self._spade_blocks(), strict=True)]

    def _embedded(self, index_map: Tensor) -> Tensor:
        """`label_embedding` of the shares of classes in each pixel of the image, then space to depth: [B, H, W] to
        [B, C patch^2, h, w]. Where a pixel has one class, it is looked up."""
        if (detail := self.config.label_detail) > 1:
            pixels = class_shares(index_map, self.num_classes, self.label_embedding.weight.dtype, detail)
            return F.pixel_unshuffle(self.label_embedding(pixels), self.config.patch)
        table = F.pad(self.label_embedding.weight[:, :, 0, 0].t(), (0, 0, 0, 1))  # a row of zeros: no label
        embedded = F.embedding(cells(index_map, self.num_classes, self.config.patch), table)  # [B, h, w, patch^2, C]
        return embedded.transpose(3, 4).flatten(3).permute(0, 3, 1, 2)

    def in_style(self, cond: Conditioning, codes: Tensor | None) -> Conditioning:
        """`cond` with the style codes float [B, 7] of `models/style.py`; NaN, or None for all: any style.

        A network without styles leaves `cond` as it is.
        """
        if self.style is None:
            return cond
        if codes is None:
            codes = cond.entry.new_full((len(cond.entry), STYLE_DIMENSION), torch.nan)
        return replace(cond, style=self.style(codes))

    def condition(self, index_map: Tensor, style: Tensor | None, *more: Tensor) -> Conditioning:
        """All that the network is told, at once: label maps (`encode`), styles (`in_style`), and what else a network of
        another kind is told."""
        return self.in_style(self.encode(index_map), style)

    def forward(self, x_t: Tensor, noise_level: Tensor, cond: Conditioning) -> Tensor:
        """x_t float [B, 3, H, W]; noise_level = sqrt(alpha_bar) [B]; the prediction [B, 3, H, W]."""
        height, width = cond.size
        x = F.pixel_unshuffle(F.pad(x_t, self._pad(cond.size)), self.config.patch)
        h = self.image_entry(x) + cond.entry
        e = self.embedding(noise_level)
        if cond.style is not None:
            e = e + cond.style
        modulation = iter(cond.modulation)

        def run(stage: nn.Module, h: Tensor) -> Tensor:
            for block in stage.children():
                h = block(h, e, *islice(modulation, block.spade)) if isinstance(block, ResBlock) else block(h)
            return h

        h = self._through(h, run)
        h = F.pixel_shuffle(self.out(F.silu(self.out_norm(h))), self.config.patch)
        return h[:, :, :height, :width]

    def _through(self, h: Tensor, run: Callable[[nn.Module, Tensor], Tensor]) -> Tensor:
        """The trunk; run(stage, h): the blocks of a stage, one after the other."""
        skips = []
        for level, stage in enumerate(self.encoder):
            h = run(stage, halved(h) if level else h)
            skips.append(h)
        h = run(self.middle, h)
        for i, (narrow, stage) in enumerate(zip(self.narrow, self.decoder, strict=True)):
            h = narrow(h)
            if i:
                h = doubled(h)
            skip = skips.pop() * INV_SQRT2
            h = h * INV_SQRT2 + skip if self.config.join == "sum" else torch.cat([h, skip], dim=1)
            h = run(stage, h)
        return h


def conditioned(
    net: SemanticUNet,
    cond: Conditioning,
    device: torch.device,
    dtype: torch.dtype | None,
    on_step: Callable[[], None] = lambda: None,
) -> Callable[[Tensor, Tensor], Tensor]:
    """`net(x_t, noise_level)` for label maps and styles that stay; computed in `dtype` (None: as it is).

    on_step: called before every evaluation.
    """

    def network(x_t: Tensor, noise_level: Tensor) -> Tensor:
        on_step()
        with autocast(device, dtype):
            return net(x_t, noise_level, cond)

    return network
