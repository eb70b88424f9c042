"""The second stage of a cascade (`models/upsampler.py`), which makes small pictures large."""

from __future__ import annotations

from surgaug.models.unet import UNetConfig as Config
from surgaug.models.upsampler import Upsampler as build

__all__ = ["PRESETS", "Config", "build"]

# No attention and no statistics over space, in any of them: an image may be made in tiles.
PRESETS: dict[str, Config] = {
    "tiny": Config(
        channels=(32, 64, 128),
        encoder_blocks=(1, 1, 1),
        decoder_blocks=(2, 2, 1),
        attention=(False, False, False),
        style=True,
        norm="channel",
        middle_attention=False,
    ),
    "small": Config(
        channels=(64, 128, 256),
        encoder_blocks=(1, 2, 2),
        decoder_blocks=(2, 2, 2),
        attention=(False, False, False),
        style=True,
        norm="channel",
        middle_attention=False,
    ),
    "base": Config(
        channels=(96, 192, 384),
        encoder_blocks=(2, 2, 3),
        decoder_blocks=(3, 3, 3),
        attention=(False, False, False),
        spade_hidden=128,
        noise_dim=512,
        style=True,
        norm="channel",
        middle_attention=False,
    ),
}
