"""The features that define FID, and the published weights that they need.

The weights are those of the TensorFlow graph of Heusel et al. 2017, converted in the pytorch-fid project: one file of
566 tensors, identified here by its checksum. Other weights give other numbers, and those are not FID.
"""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surgaug.errors import ModelError, UsageError
from surgaug.models.checkpoint import file_hash
from surgaug.models.foreign_weights import first_line, read_state
from surgaug.runtime.feedback import Feedback
from surgaug.scoring.config import Weights
from surgaug.scoring.features import Feature, in_batches

DEEP, GENERAL, PREFERENCE = True, True, 4
FILE_NAME = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE_NAME}"
DIMENSION = 2048
INPUT_SIZE = 299
RESIZES = {
    "legacy": "bilinear without antialiasing, corner-aligned grid (TensorFlow 1, as torch-fidelity)",
    "clean": "bicubic with antialiasing in float, clipped to 0..255 (as clean-fid)",
}


def available(weights: Weights) -> str | None:
    """Where its file was given. UsageError for an unknown way to resize."""
    _check_resize(weights.resize)
    return None if weights.inception is None else "inception"


def title(weights: Weights) -> str:
    """What stands behind the titles of measures."""
    return weights.resize


def convention(weights: Weights) -> str:
    """For the report."""
    return f"FID Inception network, resize {weights.resize}: {RESIZES[weights.resize]}"


def load(weights: Weights, device: torch.device) -> Feature:
    """The network with the published weights. ModelError where the file holds others."""
    assert weights.inception is not None  # or it is not available
    extractor = Extractor(read_network(weights.inception), weights.resize, device)
    facts = {"dimension": DIMENSION, "weights": FILE_NAME, "sha256": SHA256, "resize": weights.resize}
    return in_batches(extractor, f"inception {weights.resize} {SHA256}", device, facts)


class Extractor:
    """Images to Inception's 2048 pooled features.

    Args:
        network: as `read_network` returns it.
        resize: "legacy" or "clean", see `RESIZES`.
        device: where to compute.
    """

    def __init__(self, network: nn.Module, resize: str, device: torch.device) -> None:
        _check_resize(resize)
        self._resize = resize_legacy if resize == "legacy" else resize_clean
        self._network = network.to(device).to(memory_format=torch.channels_last)
        self._device = device

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [B, H, W, 3] RGB to float32 [B, 2048]."""
        batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float()
        batch = self._resize(batch).contiguous(memory_format=torch.channels_last)
        return self._network((batch - 128) / 128).cpu().numpy()


def read_network(path: Path) -> nn.Module:
    """The network with the weights of a file of the published layout, ready for inference and without its classifier.

    It takes [B, 3, 299, 299] in [-1, 1) to [B, 2048].

    Raises:
        ModelError: no such file, not a file of that layout.
    """
    if not path.is_file():
        raise _absent(path)
    # Not at the top: torchvision takes seconds to import, and this file is asked whether it has weights.
    from surgaug.scoring.compute.inception_network import InceptionV3

    state = read_state(path)
    network = InceptionV3()
    try:
        network.load_state_dict(state)
    except Exception as reason:
        raise ModelError(f"{path}: not the FID Inception network's weights ({first_line(reason)})") from reason
    return network.features()


def verified(path: Path) -> Path:
    """`path` when it holds the published weights; ModelError otherwise, for then the result is not FID."""
    if not path.is_file():
        raise _absent(path)
    found = file_hash(path)
    if found != SHA256:
        raise ModelError(f"{path}: sha256 is {found}, FID's weights have {SHA256}; get them from {URL}")
    return path


def download(folder: Path, feedback: Feedback, url: str = URL, sha256: str = SHA256) -> Path:
    """The weights (95 MB) in `folder`, downloaded unless they are there already; the checksum is verified either way.

    Raises:
        ModelError: no connection, or what came has another checksum (and is not kept).
    """
    path = folder / FILE_NAME
    if path.is_file() and file_hash(path) == sha256:
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{FILE_NAME}.tmp-{os.getpid()}"
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=30) as response, part.open("wb") as file:
            length = int(response.headers.get("Content-Length") or 0)
            with feedback.task("Downloading Inception's weights", length / 1e6 or None, "MB") as task:
                while block := response.read(1 << 20):
                    file.write(block)
                    digest.update(block)
                    task.advance(len(block) / 1e6)
        if digest.hexdigest() != sha256:
            raise ModelError(f"{url}: what was sent has sha256 {digest.hexdigest()}, not {sha256}; nothing was kept")
        part.replace(path)
    except (urllib.error.URLError, OSError) as reason:
        raise ModelError(
            f"{url}: cannot be downloaded ({reason}); get it elsewhere and give --inception-weights FILE"
        ) from reason
    finally:
        part.unlink(missing_ok=True)
    return path


def resize_legacy(images: Tensor) -> Tensor:
    """TensorFlow 1's bilinear resize to 299x299: source = target * scale, no half-pixel offset, no antialiasing.

    Args:
        images: float [B, 3, H, W].
    """
    return _resize_axis(_resize_axis(images, 3), 2)


def resize_clean(images: Tensor) -> Tensor:
    """Pillow's bicubic resize to 299x299 on float planes, clipped to [0, 255] (Parmar et al. 2022).

    Args:
        images: float [B, 3, H, W] in 0..255.
    """
    return F.interpolate(images, (INPUT_SIZE, INPUT_SIZE), mode="bicubic", antialias=True).clamp(0, 255)


def _resize_axis(images: Tensor, axis: int) -> Tensor:
    size = images.shape[axis]
    position = torch.arange(INPUT_SIZE, dtype=images.dtype, device=images.device) * torch.tensor(size / INPUT_SIZE)
    low = position.long()
    high = (low + 1).clamp_max(size - 1)
    share = (position - low).view(-1, *[1] * (3 - axis))
    first = images.index_select(axis, low)
    return first + (images.index_select(axis, high) - first) * share


def _check_resize(resize: str) -> None:
    if resize not in RESIZES:
        raise UsageError(f"unknown Inception resize {resize!r}; there are: {', '.join(RESIZES)}")


def _absent(path: Path) -> ModelError:
    return ModelError(f"{path}: no such file; Inception's weights are at {URL}")
