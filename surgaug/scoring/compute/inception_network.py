"""The Inception network that defines FID, of torchvision's blocks (Szegedy et al. 2016, version of 5 December 2015)."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.inception import (
    BasicConv2d,
    Inception3,
    InceptionA,
    InceptionAux,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)


class _PoolBranch(BasicConv2d):
    """A branch behind an average pool that counted the padding as zeros. TensorFlow's pool does not, so that is undone
    first."""

    def forward(self, x: Tensor) -> Tensor:
        # In place, as the pool's output is nobody else's: 6 of 9 pixels were counted rightly at an edge, 4 in a corner.
        for edge in (x[:, :, 0], x[:, :, -1], x[..., 0], x[..., -1]):
            edge.mul_(1.5)
        return super().forward(x)


def _with_pool_branch(block: type[nn.Module]) -> type[nn.Module]:
    """A block of torchvision's with `_PoolBranch` as its last branch."""

    class Block(block):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            conv = self.get_submodule("branch_pool.conv")
            self.branch_pool: nn.Module = _PoolBranch(conv.in_channels, conv.out_channels, kernel_size=1)

    return Block


class _LastBlock(InceptionE):
    """With a max pool in the pool branch."""

    def _forward(self, x: Tensor) -> list[Tensor]:
        return [*super()._forward(x)[:-1], self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1))]


class InceptionV3(Inception3):
    """[B, 3, 299, 299] in [-1, 1) to logits [B, 1008].

    It differs from torchvision's: a classifier of 1008 classes, average pools that do not count the padding, and a max
    pool in the last block. Attributes are named as in the published weight file.
    """

    def __init__(self) -> None:
        a, c, e = map(_with_pool_branch, (InceptionA, InceptionC, InceptionE))
        blocks = [BasicConv2d, a, InceptionB, c, InceptionD, e, InceptionAux]
        super().__init__(1008, aux_logits=False, inception_blocks=blocks, init_weights=False)
        self.Mixed_7c = _LastBlock(2048)

    def features(self) -> nn.Module:
        """This network without its classifier, [B, 2048], for inference: normalisations folded into convolutions."""
        self.fc = nn.Identity()
        self.eval().requires_grad_(False)
        for module in self.modules():
            if isinstance(module, BasicConv2d):
                module.conv, module.bn = fuse_conv_bn_eval(module.conv, module.bn), nn.Identity()
        return self
