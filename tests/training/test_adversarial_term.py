"""The adversarial term of the second stage's loss: its balance, its start, and what a discriminator learns."""

from __future__ import annotations

import pytest
import torch

from surgaug.diffusion.loss import loss
from surgaug.runtime.distributed import ProcessGroup
from surgaug.training.adversarial_term import RAMP, AdversarialTerm
from surgaug.training.diffusion_step import Batch

CLASSES, SIZE = 3, (24, 32)
CPU = torch.device("cpu")


def a_batch(n: int = 4, weights: tuple[float, ...] = (1.0, 4.0, 100.0, 0.25)) -> Batch:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(0, CLASSES, (n, *SIZE), generator=generator, dtype=torch.uint8)
    target = torch.randn(n, 3, *SIZE, generator=generator)
    levels = torch.tensor([0.1, 0.9, 0.2, 0.8])[:n]
    return Batch(target, levels, (maps,), target, torch.tensor(weights[:n]))


def a_term(share: float = 0.5, start: float = 0.25) -> AdversarialTerm:
    torch.manual_seed(0)
    return AdversarialTerm(share, start, CPU, None, ProcessGroup())


@pytest.mark.parametrize(("progress", "ramp"), [(0.25 + RAMP / 4, 0.25), (0.25 + RAMP, 1.0), (0.9, 1.0)])
def test_its_gradient_is_a_share_of_that_of_the_squared_error(progress, ramp):
    term, batch = a_term(), a_batch()
    assert term.at(progress)
    out = (batch.target + 0.1 * torch.randn(batch.target.shape)).requires_grad_()
    value = loss(out, batch.target, batch.weight).sum() / len(out)
    (known,) = torch.autograd.grad(value, out, retain_graph=True)
    (added,) = torch.autograd.grad(term(out, batch, value), out)
    # In units of what the network puts out, whose error counts alike at every level.
    unit = batch.weight.rsqrt()[:, None, None, None]
    asked = ramp * 0.5 * float((known * unit).norm())
    assert float((added * unit).norm()) == pytest.approx(asked, rel=1e-4)
    assert not any(p.grad is not None for p in term.net.parameters())


def test_there_is_none_before_its_start():
    term = a_term(start=0.25)
    assert [term.at(progress) for progress in (0.0, 0.24, 0.25, 1.0)] == [False, False, True, True]


def test_the_discriminator_tells_flat_windows_from_textured_ones_and_the_term_asks_for_texture():
    """Real windows are noise, the estimates begin flat: what follows the term's gradient becomes as rough."""
    term, scaler = a_term(start=0.0), torch.amp.GradScaler("cpu", enabled=False)
    term.at(0.5)
    batch = a_batch()
    out = (0.05 * torch.randn(batch.target.shape)).requires_grad_()
    optimizer = torch.optim.Adam([out], 0.02)
    losses, noisy = [], batch.noise_level < 0.5
    for step in range(120):
        real = torch.randn(batch.target.shape, generator=torch.Generator().manual_seed(step))
        seen = Batch(real, batch.noise_level, batch.condition, real, None)
        value = loss(out, real).sum() / len(out)
        if step == 30:  # the discriminator first
            assert losses[0] == pytest.approx(1.0, abs=0.1)  # hinge: an answer of 0 to all
            assert losses[-1] < 0.5
        (out.grad,) = torch.autograd.grad(term(out, seen, value), out)
        if step >= 30:
            optimizer.step()
        losses.append(float(term.step(scaler)))
    assert out[noisy].std() > 0.5 and out[~noisy].std() < 0.1  # the half with little noise is let alone


def test_pieces_of_a_batch_count_together():
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    batch = a_batch()
    losses = []
    for pieces in (1, 2):
        term = a_term()
        term.at(0.9)
        for piece in batch.pieces(pieces):
            out = (piece.target * 0.5).requires_grad_()
            term(out, piece, loss(out, piece.target, piece.weight).sum() / len(batch.target))
        losses.append(float(term.step(scaler)))
    # Spectral norms are estimated a little better with each forward pass, hence not the same to the last digit.
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
