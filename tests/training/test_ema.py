from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from surgaug.training import ema


def test_agrees_with_torch_averaged_model():
    """`AveragedModel` with the same decay is the oracle. It copies at its first update; so does decay 0 at step 1."""
    torch.manual_seed(0)
    net, power = nn.Linear(4, 3), 16.0
    own = nn.Linear(4, 3)

    def mix(average, new, n):
        kept = ema.decay(int(n) + 1, power)
        return kept * average + (1 - kept) * new

    oracle = AveragedModel(net, avg_fn=mix)
    for step in range(1, 200):
        with torch.no_grad():
            for p in net.parameters():
                p.add_(torch.randn_like(p))
        ema.update(own, net, step, power)
        oracle.update_parameters(net)
    for a, b in zip(own.parameters(), oracle.module.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_the_first_weights_are_forgotten():
    """The weight of what stood before step s is (s/n)^power-like: after 100 steps nothing of the start is left."""
    kept = 1.0
    for step in range(1, 101):
        kept *= ema.decay(step, 16.0)
    assert kept == 0.0
    late = 1.0
    for step in range(51, 101):
        late *= ema.decay(step, 16.0)
    assert abs(late - 0.5**16) < 2e-6


def test_a_constant_share_is_that_of_the_published_models_after_a_short_start():
    """Of weights that grow by one a step, an average that keeps the share d lags behind by d / (1 - d)."""
    assert ema.decay(1, 16.0, 0.9) == 2 / 11
    net, own = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    for step in range(1, 400):
        nn.init.constant_(net.weight, step)
        ema.update(own, net, step, 16.0, 0.9)
    assert abs(net.weight.item() - own.weight.item() - 9) < 1e-3
