"""The environment that tells a process its place, and what becomes of one that is left over."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest
import torch

from surgaug.errors import UsageError
from surgaug.runtime import distributed
from surgaug.runtime.distributed import ProcessGroup, join, torchrun_group
from surgaug.runtime.feedback import Silent
from surgaug.training import run
from surgaug.training.presets import preset

CPU = torch.device("cpu")


@pytest.fixture
def environment(monkeypatch):
    places = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    for name in (*places, "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    return lambda **given: [monkeypatch.setenv(name, str(value)) for name, value in given.items()]


def test_alone_without_variables_or_with_half_of_them(environment):
    assert torchrun_group() == ProcessGroup(0, 1, 0) and torchrun_group().is_main
    environment(WORLD_SIZE=4)
    assert join(CPU) == ProcessGroup(0, 1, 0)


def test_a_place_among_others(environment):
    environment(RANK=3, WORLD_SIZE=4, LOCAL_RANK=1)
    assert torchrun_group() == ProcessGroup(3, 4, 1, 2) and not torchrun_group().is_main
    assert torchrun_group().part(8) == slice(6, 8)
    with pytest.raises(UsageError, match="--batch 6"):
        torchrun_group().part(6)
    environment(LOCAL_WORLD_SIZE=4)
    assert torchrun_group().local_size == 4


@pytest.mark.parametrize("given", [{"RANK": "a"}, {"RANK": "4"}, {"RANK": "-1"}, {"LOCAL_RANK": ""}])
def test_no_place(environment, given):
    environment(**{"RANK": 0, "WORLD_SIZE": 4, **given})
    with pytest.raises(UsageError, match="no place among processes; start it by torchrun, or unset"):
        torchrun_group()


@pytest.mark.parametrize("rank", [0, 1])
def test_others_that_never_come_are_not_waited_for_for_ever(environment, monkeypatch, rank):
    monkeypatch.setattr(distributed, "PATIENCE", 4.0)  # a first try may take more than a second on a busy machine
    monkeypatch.setattr(distributed, "_TRY_SECONDS", 0.2)
    environment(RANK=rank, WORLD_SIZE=2)
    with pytest.raises(UsageError, match="MASTER_ADDR"):
        join(CPU)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment(MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    said: list[str] = []
    monkeypatch.setattr(Silent, "info", lambda self, message: said.append(message))
    begun = time.monotonic()
    with pytest.raises(UsageError, match=f"RANK={rank} and WORLD_SIZE=2 .* unset RANK"):
        join(CPU)
    assert time.monotonic() - begun < 15
    assert len(said) == 1 and "waiting for 2 processes" in said[0]


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:0"])
def test_processes_without_a_device_of_their_own_are_refused_before_they_meet(environment, monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(run, "join", lambda *_: pytest.fail("met"))
    for rank in range(2):
        environment(RANK=rank, WORLD_SIZE=2, LOCAL_RANK=rank, LOCAL_WORLD_SIZE=2)
        with pytest.raises(UsageError, match="2 processes"):
            run.train(preset("tiny", device=device))


def test_torch_is_not_imported_for_the_rank():
    code = "import sys; from surgaug.runtime.distributed import torchrun_group as g; g(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False"
