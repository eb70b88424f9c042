"""Devices, precisions and full memories, told without a GPU."""

from __future__ import annotations

import pytest
import torch

from surgaug.errors import UsageError
from surgaug.runtime.device import is_out_of_memory, pick_device, pick_precision


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_process_of_a_machine_has_a_device_of_its_own(two_gpus, name):
    assert [pick_device(name, rank, 2).index for rank in range(2)] == [0, 1]
    for rank in range(3):  # all of them say so, not the last alone, which the others would wait for
        with pytest.raises(UsageError, match="3 processes on this machine, but torch sees 2 CUDA devices"):
            pick_device(name, rank, 3)
    with pytest.raises(UsageError, match="3 processes"):
        pick_device(name, 2)


def test_a_device_with_a_number_is_of_one_process(two_gpus):
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UsageError, match="--device cuda:1: 2 processes cannot share it"):
        pick_device("cuda:1", 0, 2)
    with pytest.raises(UsageError, match="there are 2 CUDA devices"):
        pick_device("cuda:2")


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 139 GiB",
        "CUDA error: out of memory\nCompile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "MPS backend out of memory (MPS allocated: 8 GB, max allowed: 9 GB). Tried to allocate 256 MB on shared pool.",
        "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 4096 bytes.",
    ],
)
def test_full_memories_are_told_from_other_errors(message):
    assert is_out_of_memory(RuntimeError(message)) and is_out_of_memory(torch.OutOfMemoryError(""))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


@pytest.fixture
def tf32():
    """As torch has it, before and after; pytest's `monkeypatch` cannot undo such attributes."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def test_fp32_on_cuda_is_without_tf32_and_nothing_else_is(tf32):
    for name, device in (("fp32", "cpu"), ("bf16", "cuda")):
        pick_precision(name, torch.device(device))
        assert torch.backends.cudnn.allow_tf32
    assert pick_precision("fp32", torch.device("cuda")) is None
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
