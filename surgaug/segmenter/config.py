"""Settings of a segmenter, as data."""

from __future__ import annotations

from dataclasses import dataclass

TRUST = 1.25  # how many times its class's mean cross-entropy a pixel may have (FreeMask, Yang et al. 2023)


@dataclass(frozen=True)
class SegmenterConfig:
    """What is trained and for how long: all that a segmenter's weights depend on besides the frames.

    size: (H, W) of the frames. steps: batches of `batch` frames. lr: peak of Muon's learning rate, for the weights of
    convolutions. adam_lr: that of AdamW (Loshchilov and Hutter 2019), for all other weights. Both rates are reached
    after a tenth of the steps and then fall to 0 (one cycle, Smith and Topin 2018). init: a file of weights to start
    from (see `weights.initialize`).
    """

    network: str = "unet"
    size: tuple[int, int] = (128, 128)
    steps: int = 800
    batch: int = 8
    lr: float = 0.06
    adam_lr: float = 2e-3
    seed: int = 0
    init: str | None = None
