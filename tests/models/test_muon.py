"""Muon: its step against closed forms and against PyTorch's own, where there is one."""

from __future__ import annotations

import pytest
import torch

from surgaug.models.muon import ITERATION, ITERATIONS, MOMENTUM, Muon


@pytest.mark.parametrize("shape", [(16, 12, 3, 3), (48, 16, 1, 1)], ids=["wide", "tall"])
def test_muon_steps_in_every_direction_alike(shape):
    """Whatever the gradient: singular values of the step are all about the learning rate (taller ones by shape)."""
    torch.manual_seed(0)
    weight = torch.zeros(shape, requires_grad=True)
    scales = torch.logspace(-2, 0, shape[0]).view(-1, 1, 1, 1)
    weight.grad = scales * torch.randn(shape)
    Muon([weight], lr=0.5, weight_decay=0.1).step()
    steps = torch.linalg.svdvals(weight.detach().flatten(1))
    taller = max(1, shape[0] / weight[0].numel()) ** 0.5
    assert 0.5 * 0.6 < float(steps.min() / taller) < float(steps.max() / taller) < 0.5 * 1.3
    assert (weight.detach() * weight.grad).sum() < 0


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch has it from 2.9 on")
@pytest.mark.parametrize("shape", [(6, 20), (20, 6)], ids=["wide", "tall"])
def test_steps_of_matrices_are_pytorchs(shape):
    """Its matrices are in bfloat16, hence the tolerance; its gradients' running mean is ours times 1 - momentum."""
    torch.manual_seed(0)
    ours = torch.randn(shape, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    mine = Muon([ours], 0.1, weight_decay=0.3)
    peer = torch.optim.Muon(
        [theirs], 0.1, weight_decay=0.3, momentum=MOMENTUM, ns_coefficients=ITERATION, ns_steps=ITERATIONS
    )
    for _ in range(5):
        ours.grad = torch.randn(shape)
        theirs.grad = ours.grad.clone()
        mine.step()
        peer.step()
    assert torch.allclose(ours, theirs, atol=0.03)
    assert not torch.allclose(ours, torch.zeros(shape), atol=0.03)
