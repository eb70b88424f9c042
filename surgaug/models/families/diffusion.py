"""Semantic diffusion models: our own (`models/unet.py`), and two published ones (`models/sr3.py`) as presets."""

from __future__ import annotations

from dataclasses import replace

from surgaug.models.sr3 import SR3UNet
from surgaug.models.unet import SemanticUNet
from surgaug.models.unet import UNetConfig as Config

__all__ = ["PRESETS", "Config", "build"]

# The thesis: SR3's U-Net with SPADE in the decoder. Where it is silent, these decide:
# - SR3 (appendix A): three blocks a level, dropout 0.2, attention where 16 rows are left;
# - SPADE (appendix A): a hidden layer of 128 channels and 3x3 kernels; here on the first norm of every decoder block;
# - SR3 (section 2): the condition joins at the entry; as many channels as classes lose none of it.
THESIS = Config(
    patch=1,
    channels=(64, 128, 256, 512, 512),
    encoder_blocks=(3, 3, 3, 3, 3),
    decoder_blocks=(4, 4, 4, 4, 4),
    attention=(False, False, False, False, True),
    spade=(True, True, True, True, True),
    spade_hidden=128,
    spade_kernel=3,
    label_channels=64,
    join="concat",
    head_dim=512,
    noise_dim=256,
    dropout=0.2,
    skips="block",
)
# SDM (Wang et al. 2022, section 3.2): the network of ADM for 256x256 (Dhariwal & Nichol 2021), the label map in the
# middle and the decoder alone, on both norms of every block. Sums are scaled by 1 / sqrt(2), as in all of our blocks,
# and the variance is not learnt.
SDM = Config(
    patch=1,
    channels=(256, 256, 512, 512, 1024, 1024),
    encoder_blocks=(2, 2, 2, 2, 2, 2),
    decoder_blocks=(3, 3, 3, 3, 3, 3),
    attention=(False, False, False, True, True, True),
    spade=(True, True, True, True, True, True),
    spade_hidden=128,
    spade_kernel=3,
    label_channels=0,
    join="concat",
    head_dim=64,
    noise_dim=1024,
    skips="block",
    spade_norms=2,
)

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
    "thesis": THESIS,
    # With as many weights as `tiny`, for comparisons at small sizes.
    "thesis-tiny": replace(
        THESIS,
        channels=(32, 48, 64, 96),
        encoder_blocks=(1, 1, 1, 1),
        decoder_blocks=(2, 2, 2, 2),
        attention=(False, False, False, True),
        spade=(True, True, True, True),
        spade_hidden=32,
        noise_dim=128,
    ),
    "sdm": SDM,
    "sdm-tiny": replace(
        SDM,
        channels=(32, 48, 64, 96),
        encoder_blocks=(1, 1, 1, 1),
        decoder_blocks=(2, 2, 2, 2),
        attention=(False, False, True, True),
        spade=(True, True, True, True),
        spade_hidden=32,
        head_dim=32,
        noise_dim=128,
    ),
}


def build(config: Config, num_classes: int) -> SemanticUNet:
    """The network, with fresh weights from torch's random state."""
    return (SR3UNet if config.skips == "block" else SemanticUNet)(config, num_classes)
