"""The adversarial term of the second stage's loss: its estimates of x_0 should look like windows of real frames.

The squared error alone asks for the mean of all details that might be there, which is blurred; only many steps at
little noise would make one of them of it. A discriminator that judges the estimate at every noise level asks for one
of them at once (adversarial diffusion distillation, Sauer et al. 2023, section 3; SRGAN, Ledig et al. 2017), so that
few steps are enough. The squared error stays and keeps colours and labels where they belong.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from surgaug.models.gan import PatchDiscriminator
from surgaug.runtime.device import FUSED, autocast
from surgaug.runtime.distributed import ProcessGroup
from surgaug.training.adversarial import frozen, hinge
from surgaug.training.diffusion_step import Batch, apply

CHANNELS, LAYERS = 32, 3
RATE, BETAS, CLIP = 1e-3, (0.0, 0.99), 10.0
RAMP = 0.05  # of the training: in it the term grows from nothing, while the discriminator learns its task


class AdversarialTerm:
    """A discriminator of windows [B, 3, H, W], its optimizer, and what it adds to the loss.

    It judges the half of a batch with the most noise: with little, estimates and frames are alike, and it would learn
    slowly. For the same reason it has no instance normalisation, which hides how strong a texture is, and is not shown
    the label maps: that image and labels belong together is the squared error's task.

    share: the norm of the term's gradient over that of the squared error (as VQGAN, Esser et al. 2021, equation 7,
    balances the two), both taken with respect to what the network itself puts out: at little noise, where the estimate
    is nearly known, the term weighs as little as there is to decide. start: how much of the training, in [0, 1], comes
    before.
    """

    def __init__(
        self,
        share: float,
        start: float,
        device: torch.device,
        dtype: torch.dtype | None,
        group: ProcessGroup,
    ):
        self.share, self.start, self.device, self.dtype = share, start, device, dtype
        self.net = PatchDiscriminator(3, CHANNELS, LAYERS, spectral=True, norm=False).to(device)
        self.optimizer = torch.optim.Adam(self.net.parameters(), RATE, BETAS, fused=device.type in FUSED)
        self._model: nn.Module = self.net
        if group.size > 1:
            self._model = DistributedDataParallel(self.net, [device.index] if device.type == "cuda" else None)
        self._progress = 0.0
        self._seen: list[tuple[Tensor, Tensor]] = []

    @property
    def parts(self) -> dict[str, nn.Module | torch.optim.Optimizer]:
        """What a run's state holds of it."""
        return {"discriminator": self.net, "discriminator_optimizer": self.optimizer}

    def at(self, progress: float) -> bool:
        """Whether there is a term at this `progress` of the training, in [0, 1], which is remembered."""
        self._progress = progress
        return progress >= self.start

    def __call__(self, out: Tensor, batch: Batch, value: Tensor) -> Tensor:
        """The term, a scalar to add to the loss `value` of the estimates `out` [b, 3, H, W]."""
        noisy = batch.noise_level.argsort()[: (len(out) + 1) // 2]
        estimate = out.detach()[noisy].float().requires_grad_()
        with frozen(self.net), autocast(self.device, self.dtype):
            answer = self.net(estimate)[-1]
        (asked,) = torch.autograd.grad(-answer.float().mean(), estimate)
        wanted = torch.zeros_like(batch.target).index_copy_(0, noisy, asked)
        (known,) = torch.autograd.grad(value, out, retain_graph=True)
        unit = 1.0 if batch.weight is None else batch.weight.rsqrt()[:, None, None, None]
        ramp = min(1.0, (self._progress - self.start) / RAMP)
        factor = ramp * self.share * (known * unit).norm() / (wanted * unit).norm().clamp(min=1e-12)
        self._seen.append((estimate.detach(), batch.target[noisy]))
        return (out * (factor * wanted).to(out.dtype)).sum()

    def step(self, scaler: torch.amp.GradScaler) -> Tensor:
        """One step of the discriminator on what the term has seen since the last one; its loss (hinge)."""
        total = self._seen[0][0].new_zeros(())
        for synthetic, real in self._seen:
            with autocast(self.device, self.dtype):
                # Together: under torchrun the gradients of one forward pass are summed.
                answers = self._model(torch.cat([real, synthetic]))[-1]
            of_real, of_synthetic = answers.chunk(2)
            value = 0.5 * (hinge(of_real, True) + hinge(of_synthetic, False)) / len(self._seen)
            scaler.scale(value).backward()
            total += value.detach()
        self._seen = []
        apply(self.net, [self.optimizer], scaler, CLIP)
        return total
