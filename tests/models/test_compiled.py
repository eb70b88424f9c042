"""`--compile`: in place, the same but for rounding, and never in the way. Real kernels in the first test, other
backends elsewhere.
"""

from __future__ import annotations

import copy

import pytest
import torch
from heard import Heard
from torch import nn

from surgaug.models import compiled
from surgaug.models.compiled import Compiler
from surgaug.models.unet import SemanticUNet, UNetConfig
from surgaug.runtime.feedback import Silent

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SMALL = UNetConfig(
    channels=(8, 16), encoder_blocks=(1, 1), decoder_blocks=(1, 1), attention=(False, True), spade=(True, True),
    spade_hidden=8, label_channels=4, head_dim=16, noise_dim=16,
)  # fmt: skip


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(compiled, "OFTEN", 0)


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = SemanticUNet(SMALL, 5).eval()
    for p in net.parameters():
        nn.init.normal_(p, std=0.1)
    return net


def picture(net, b=2):
    generator = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 5, (b, 13, 18), dtype=torch.uint8, generator=generator)
    with torch.inference_mode():
        return net(torch.randn(b, 3, 13, 18, generator=generator), torch.full((b,), 0.5), net.encode(maps))


@pytest.mark.slow
def test_the_same_pictures_and_the_same_names(net):
    heard, expected, names = Heard(), [picture(net, b) for b in (2, 3)], list(net.state_dict())
    compiler = Compiler("on", net, CPU, heard)
    for b, wanted in zip((2, 3), expected, strict=True):
        torch.testing.assert_close(picture(net, b), wanted, rtol=1e-4, atol=1e-4)
    assert compiler.compiled and not heard.warnings
    assert list(net.state_dict()) == names


def test_where_torch_cannot_compile_the_work_goes_on_with_one_line(net, monkeypatch):
    def broken(graph, inputs):
        raise OSError("no compiler found\nand much more")

    monkeypatch.setattr(compiled, "BACKEND", broken)
    heard, expected = Heard(), picture(net)
    compiler = Compiler("on", net, CPU, heard)
    assert torch.equal(picture(net), expected) and torch.equal(picture(net), expected)
    assert not compiler.compiled
    assert heard.warnings == ["--compile: torch cannot compile here (OSError: no compiler found); going on without it"]


def test_a_shape_that_comes_seldom_is_not_compiled(net, monkeypatch):
    shapes = []

    def backend(graph, inputs):
        shapes.append(len(inputs))
        return graph.forward

    monkeypatch.setattr(compiled, "BACKEND", backend)
    monkeypatch.setattr(compiled, "OFTEN", 2)
    Compiler("on", net, CPU, Silent())
    counts = [len(shapes) for b in (2, 3, 2, 2, 2) if picture(net, b) is not None]
    assert counts == [0, 0, 0, 1, 1]


def test_errors_of_the_network_itself_pass(net, monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    Compiler("on", net, CPU, Silent())
    with pytest.raises(RuntimeError), torch.inference_mode():
        net(torch.zeros(1, 4, 13, 18), torch.zeros(1), net.encode(torch.zeros(1, 13, 18, dtype=torch.uint8)))


@pytest.mark.parametrize(
    ("mode", "device", "seconds", "expected"),
    [
        ("auto", CPU, 1e6, False), ("auto", CUDA, 1e6, True), ("auto", CUDA, 60, False),
        ("off", CUDA, 1e6, False), ("on", CPU, 0, True),
    ],
)  # fmt: skip
def test_when(mode, device, seconds, expected):
    module = nn.Linear(2, 2)
    before = copy.deepcopy(module)
    compiler = Compiler(mode, module, device, Silent())
    compiler.consider(seconds)
    assert compiler.compiled is expected and (module.forward.__qualname__ != before.forward.__qualname__) is expected
