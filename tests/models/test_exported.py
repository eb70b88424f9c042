"""`torch.export`: both networks are one graph, with nothing in it that depends on a value."""

from __future__ import annotations

import pytest
import torch
from torch.export import export

from surgaug.models import families
from surgaug.models.upsampler import Window
from surgaug.training.diffusion_step import NetWithLabels

SIZES = {
    "channels": (8, 16), "encoder_blocks": (1, 1), "decoder_blocks": (1, 1), "spade": (True, True), "spade_hidden": 8,
    "label_channels": 4, "head_dim": 16, "noise_dim": 16, "style": True,
}  # fmt: skip
OF_UPSAMPLER = {"attention": (False, False), "norm": "channel", "middle_attention": False}


@pytest.mark.parametrize("family", families.STAGES)
def test_the_graph_gives_the_same_images(family):
    module = families.get(family)
    more = OF_UPSAMPLER if family == families.UPSAMPLER else {"attention": (False, True)}
    torch.manual_seed(0)
    net = module.build(module.Config(**SIZES, **more), 5).eval()
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)

    def given(seed: int) -> tuple[torch.Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(2, 3, 16, 24, generator=generator)
        maps = torch.randint(0, 5, (2, 16, 24), dtype=torch.uint8, generator=generator)
        told = (x, torch.rand(2, generator=generator), maps, torch.randn(2, 7, generator=generator))
        if family == families.UPSAMPLER:
            places = net.places([Window.whole((16, 24))] * 2)
            told += (torch.randn(2, 3, 16, 24, generator=generator), torch.rand(2, generator=generator), places)
        return told

    with torch.no_grad():
        whole = NetWithLabels(net)
        graph = export(whole, given(0)).module()
        for seed in (0, 1):
            torch.testing.assert_close(graph(*given(seed)), whole(*given(seed)), rtol=1e-4, atol=1e-5)
