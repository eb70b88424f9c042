"""The semantic diffusion model: our own (`models/unet.py`) and, as preset `thesis`, the published one."""

from __future__ import annotations

from surgaug.models.unet import SemanticUNet as build
from surgaug.models.unet import UNetConfig as Config

__all__ = ["PRESETS", "Config", "build"]

# Sizes of the network by name. What is measured of them stands in docs/method.md.
PRESETS: dict[str, Config] = {
    # For CPUs and small frames.
    "tiny": Config(
        channels=(32, 80, 160),
        encoder_blocks=(1, 1, 1),
        decoder_blocks=(2, 2, 1),
        attention=(False, False, True),
        style=True,
    ),
    # For one small GPU or a long night on a CPU.
    "small": Config(
        channels=(64, 128, 256, 256),
        encoder_blocks=(1, 2, 2, 2),
        decoder_blocks=(2, 2, 2, 2),
        attention=(False, False, True, True),
        spade=(True, True, True, True),
        style=True,
    ),
    # For one workstation GPU at 256x448 and above.
    "base": Config(
        channels=(128, 256, 384, 512, 512),
        encoder_blocks=(2, 2, 3, 3, 3),
        decoder_blocks=(3, 3, 3, 3, 3),
        attention=(False, False, False, True, True),
        spade=(True, True, True, True, True),
        spade_hidden=128,
        join="concat",
        head_dim=64,
        noise_dim=512,
        dropout=0.1,
        style=True,
    ),
    # As published: SR3's network at full resolution with SPADE (hidden layer and 3x3 projections) in the decoder.
    "thesis": Config(
        patch=1,
        channels=(64, 128, 256, 512, 512),
        encoder_blocks=(3, 3, 3, 3, 3),
        decoder_blocks=(3, 3, 3, 3, 3),
        attention=(False, False, False, False, True),
        spade=(True, True, True, True, True),
        spade_hidden=128,
        spade_kernel=3,
        join="concat",
        head_dim=512,
        noise_dim=256,
        dropout=0.2,
    ),
}
