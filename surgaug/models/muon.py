"""Muon (Jordan et al. 2024): steps of a convolution's weights are made orthogonal, so that every direction is learnt.

PyTorch has it from 2.9 on and for matrices only; here a convolution [out, in, h, w] counts as a matrix [out, in*h*w].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
ITERATION = 3.4445, -4.7750, 2.0315  # of the polynomial a x + b x^3 + c x^5, which takes singular values to about 1
ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """Of weights with two dimensions or more. lr: spectral norm of a step, for weights no taller than wide."""

    def __init__(self, weights: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """One step along the gradients, with Nesterov's momentum; a `closure` is not heeded."""
        for group in self.param_groups:
            for weight in (w for w in group["params"] if w.grad is not None):
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].mul_(MOMENTUM).add_(weight.grad)
                direction = orthogonal((weight.grad + MOMENTUM * momentum).flatten(1))
                taller = max(1.0, direction.shape[0] / direction.shape[1]) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(direction.view(weight.shape), alpha=group["lr"] * taller)


def rest(net: nn.Module, chosen: Iterable[Tensor]) -> list[Tensor]:
    """The weights of `net` that are none of `chosen`: another optimizer's."""
    ids = {id(w) for w in chosen}
    return [w for w in net.parameters() if id(w) not in ids]


def orthogonal(matrix: Tensor) -> Tensor:
    """A matrix [n, m] with the same singular vectors and singular values of about 1 (0.7 to 1.2), by Newton-Schulz."""
    a, b, c = ITERATION
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if matrix.shape[0] > matrix.shape[1] else x
