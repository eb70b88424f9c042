"""The styles of the training frames, kept in the model file: what there is to choose from when painting."""

from __future__ import annotations

from typing import Any

import numpy as np

from surgaug.models.style import style_code
from surgaug.runtime.device import to_tensor
from surgaug.training.frames import Frames

MOST = 1024  # frames; their codes take 100 bytes each in the model file


def style_bank(frames: Frames) -> list[dict[str, Any]]:
    """Name, video (or None) and style code of the frames; of `MOST` evenly spaced ones where there are more."""
    bank = []
    for i in np.linspace(0, len(frames) - 1, min(MOST, len(frames))).round().astype(int):
        item, (image, _) = frames.paired.items[i], frames.view(i)
        code = style_code(to_tensor(image[None], "cpu"))[0]
        bank.append({"name": item.name, "video": item.video, "code": [round(v, 4) for v in code.tolist()]})
    return bank
