"""The Inception network that defines FID: Szegedy et al. 2016 in the version of 5 December 2015.

It differs from torchvision's Inception v3: a classifier of 1008 classes, average pools that do not count the padding,
and a max pool in the pool branch of the last block. Attributes are named as in the published weight file.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold(network: nn.Module) -> nn.Module:
    """The network with every batch normalisation folded into its convolution (in place; for inference only)."""
    for module in network.modules():
        if isinstance(module, ConvNormRelu) and module.bn is not None:
            module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), None
    return network


class ConvNormRelu(nn.Module):
    def __init__(self, inputs: int, outputs: int, **options: Any) -> None:
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
