"""The Inception network that defines FID, and its published weights.

Szegedy et al. 2016 in the version of 5 December 2015, as Heusel et al. 2017 used it. It differs from torchvision's
Inception v3: a classifier of 1008 classes, average pools that do not count the padding, and a max pool in the pool
branch of the last block. The weights are those of the TensorFlow graph, converted in the pytorch-fid project: one file
of 566 tensors, identified here by its checksum. Other weights give other numbers, and those are not FID.
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
from torch.nn.utils.fusion import fuse_conv_bn_eval

from surgaug.errors import ModelError, UsageError
from surgaug.feedback import Feedback

FILE_NAME = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{FILE_NAME}"
DIMENSION = 2048
INPUT_SIZE = 299
RESIZES = {
    "legacy": "bilinear without antialiasing, corner-aligned grid (TensorFlow 1, as torch-fidelity)",
    "clean": "bicubic with antialiasing in float, clipped to 0..255 (as clean-fid)",
}


class Extractor:
    """Images to Inception's 2048 pooled features.

    Args:
        network: as `load` returns it.
        resize: "legacy" or "clean", see `RESIZES`.
        device: where to compute.
    """

    def __init__(self, network: InceptionV3, resize: str, device: torch.device) -> None:
        if resize not in RESIZES:
            raise UsageError(f"unknown Inception resize {resize!r}; there are: {', '.join(RESIZES)}")
        self._resize = resize_legacy if resize == "legacy" else resize_clean
        self._network = fold(network).to(device, memory_format=torch.channels_last)
        self._device = device

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 [B, H, W, 3] RGB to float32 [B, 2048]."""
        batch = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2).float()
        batch = self._resize(batch).contiguous(memory_format=torch.channels_last)
        return self._network((batch - 128) / 128).cpu().numpy()


def load(path: Path) -> InceptionV3:
    """The network with the weights of a file of the published layout, ready for inference.

    Raises:
        ModelError: no such file, not a file of that layout.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; Inception's weights are at {URL}") from None
    except Exception as reason:
        raise ModelError(f"{path}: not a file of PyTorch weights ({_first_line(reason)})") from reason
    network = InceptionV3()
    try:
        network.load_state_dict(state)
    except Exception as reason:
        raise ModelError(f"{path}: not the FID Inception network's weights ({_first_line(reason)})") from reason
    return network.eval().requires_grad_(False)


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def verified(path: Path) -> Path:
    """`path` when it holds the published weights; ModelError otherwise, for then the result is not FID."""
    if not path.is_file():
        raise ModelError(f"{path}: no such file; Inception's weights are at {URL}")
    found = checksum(path)
    if found != SHA256:
        raise ModelError(f"{path}: sha256 is {found}, FID's weights have {SHA256}; get them from {URL}")
    return path


def cache_folder() -> Path:
    """Where downloaded weights lie: $SURGAUG_CACHE, or the user's cache folder."""
    if "SURGAUG_CACHE" in os.environ:
        return Path(os.environ["SURGAUG_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "surgaug"


def download(folder: Path, feedback: Feedback, url: str = URL, sha256: str = SHA256) -> Path:
    """The weights (95 MB) in `folder`, downloaded unless they are there already; the checksum is verified either way.

    Raises:
        ModelError: no connection, or what came has another checksum (and is not kept).
    """
    path = folder / FILE_NAME
    if path.is_file() and checksum(path) == sha256:
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


def fold(network: nn.Module) -> nn.Module:
    """The network with every batch normalisation folded into its convolution (in place; for inference only)."""
    for module in network.modules():
        if isinstance(module, ConvNormRelu) and module.bn is not None:
            module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), None
    return network


class ConvNormRelu(nn.Module):
    def __init__(self, inputs: int, outputs: int, **options: object) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, bias=False, **options)
        self.bn: nn.BatchNorm2d | None = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return F.relu(x if self.bn is None else self.bn(x), inplace=True)


def _one(inputs: int, outputs: int) -> ConvNormRelu:
    return ConvNormRelu(inputs, outputs, kernel_size=1)


def _row(inputs: int, outputs: int, width: int) -> ConvNormRelu:
    return ConvNormRelu(inputs, outputs, kernel_size=(1, width), padding=(0, width // 2))


def _column(inputs: int, outputs: int, height: int) -> ConvNormRelu:
    return ConvNormRelu(inputs, outputs, kernel_size=(height, 1), padding=(height // 2, 0))


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _maximum(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=1, padding=1)


class Mixed5(nn.Module):
    """35x35: 1x1, 5x5, two 3x3, pool."""

    def __init__(self, inputs: int, pool_outputs: int) -> None:
        super().__init__()
        self.branch1x1 = _one(inputs, 64)
        self.branch5x5_1 = _one(inputs, 48)
        self.branch5x5_2 = ConvNormRelu(48, 64, kernel_size=5, padding=2)
        self.branch3x3dbl_1 = _one(inputs, 64)
        self.branch3x3dbl_2 = ConvNormRelu(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = ConvNormRelu(96, 96, kernel_size=3, padding=1)
        self.branch_pool = _one(inputs, pool_outputs)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(_average(x))], 1)


class Mixed6a(nn.Module):
    """35x35 to 17x17."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = ConvNormRelu(inputs, 384, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = _one(inputs, 64)
        self.branch3x3dbl_2 = ConvNormRelu(64, 96, kernel_size=3, padding=1)
        self.branch3x3dbl_3 = ConvNormRelu(96, 96, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, stride=2)], 1)


class Mixed6(nn.Module):
    """17x17: 1x1, 7x7, two 7x7, pool; the 7x7 as rows and columns."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.branch1x1 = _one(inputs, 192)
        self.branch7x7_1 = _one(inputs, width)
        self.branch7x7_2 = _row(width, width, 7)
        self.branch7x7_3 = _column(width, 192, 7)
        self.branch7x7dbl_1 = _one(inputs, width)
        self.branch7x7dbl_2 = _column(width, width, 7)
        self.branch7x7dbl_3 = _row(width, width, 7)
        self.branch7x7dbl_4 = _column(width, width, 7)
        self.branch7x7dbl_5 = _row(width, 192, 7)
        self.branch_pool = _one(inputs, 192)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(_average(x))], 1)


class Mixed7a(nn.Module):
    """17x17 to 8x8."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1 = _one(inputs, 192)
        self.branch3x3_2 = ConvNormRelu(192, 320, kernel_size=3, stride=2)
        self.branch7x7x3_1 = _one(inputs, 192)
        self.branch7x7x3_2 = _row(192, 192, 7)
        self.branch7x7x3_3 = _column(192, 192, 7)
        self.branch7x7x3_4 = ConvNormRelu(192, 192, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([three, seven, F.max_pool2d(x, 3, stride=2)], 1)


class Mixed7(nn.Module):
    """8x8: branches that widen into a row and a column."""

    def __init__(self, inputs: int, *, max_pool: bool) -> None:
        super().__init__()
        self._pool = _maximum if max_pool else _average
        self.branch1x1 = _one(inputs, 320)
        self.branch3x3_1 = _one(inputs, 384)
        self.branch3x3_2a = _row(384, 384, 3)
        self.branch3x3_2b = _column(384, 384, 3)
        self.branch3x3dbl_1 = _one(inputs, 448)
        self.branch3x3dbl_2 = ConvNormRelu(448, 384, kernel_size=3, padding=1)
        self.branch3x3dbl_3a = _row(384, 384, 3)
        self.branch3x3dbl_3b = _column(384, 384, 3)
        self.branch_pool = _one(inputs, 192)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double), self.branch_pool(self._pool(x))]
        return torch.cat(parts, 1)


class InceptionV3(nn.Module):
    """[B, 3, 299, 299] in [-1, 1) to [B, 2048], the last average pool. Attributes are named as in the weight file."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvNormRelu(3, 32, kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = ConvNormRelu(32, 32, kernel_size=3)
        self.Conv2d_2b_3x3 = ConvNormRelu(32, 64, kernel_size=3, padding=1)
        self.Conv2d_3b_1x1 = _one(64, 80)
        self.Conv2d_4a_3x3 = ConvNormRelu(80, 192, kernel_size=3)
        self.Mixed_5b = Mixed5(192, 32)
        self.Mixed_5c = Mixed5(256, 64)
        self.Mixed_5d = Mixed5(288, 64)
        self.Mixed_6a = Mixed6a(288)
        self.Mixed_6b = Mixed6(768, 128)
        self.Mixed_6c = Mixed6(768, 160)
        self.Mixed_6d = Mixed6(768, 160)
        self.Mixed_6e = Mixed6(768, 192)
        self.Mixed_7a = Mixed7a(768)
        self.Mixed_7b = Mixed7(1280, max_pool=False)
        self.Mixed_7c = Mixed7(2048, max_pool=True)
        self.fc = nn.Linear(2048, 1008)  # in the file; the features come from before it

    def forward(self, x: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))
        x = F.max_pool2d(x, 3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))


def _first_line(reason: Exception) -> str:
    return " ".join(str(reason).split())[:160]
