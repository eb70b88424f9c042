"""The second stage of a cascade (`models/upsampler.py`), which makes small pictures large."""

from __future__ import annotations

from typing import Any

from surgaug.models.unet import UNetConfig as Config
from surgaug.models.upsampler import Upsampler as build

__all__ = ["PRESETS", "Config", "build"]

# No attention and no statistics over space, in any of them: an image may be made in tiles.
SHARED: dict[str, Any] = {
    "attention": (False, False, False),
    "style": True,
    "norm": "channel",
    "middle_attention": False,
}
PRESETS: dict[str, Config] = {
    "tiny": Config(channels=(32, 64, 128), encoder_blocks=(1, 1, 1), decoder_blocks=(2, 2, 1), **SHARED),
    "small": Config(channels=(64, 128, 256), encoder_blocks=(1, 2, 2), decoder_blocks=(2, 2, 2), **SHARED),
    "base": Config(
        channels=(96, 192, 384),
        encoder_blocks=(2, 2, 3),
        decoder_blocks=(3, 3, 3),
        spade_hidden=128,
        noise_dim=512,
        **SHARED,
    ),
}
