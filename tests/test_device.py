"""Which device and precision a run settles on, on machines that are made up."""

import re

import pytest
import torch

from submission.dataset.selection import Selection
from submission.device import Place, settle_device, settle_dtype, settle_for_model, why_no_gpu
from submission.errors import InputError
from submission.pipeline.submit import Run
from submission.recipes.find import read_recipe
from submission.terminal.progress import Reporter


@pytest.fixture
def gpus(monkeypatch):
    """Pretend GPUs, by their compute capability."""

    def pretend(*capabilities: tuple[int, int]) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(capabilities))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
        monkeypatch.setattr(
            torch.cuda, "get_device_capability", lambda device: capabilities[device.index or 0]
        )

    return pretend


def test_auto_is_the_gpu_where_there_is_one(gpus):
    gpus()
    assert settle_device("auto") == settle_device("cpu") == "cpu"
    gpus((9, 0))
    assert settle_device("auto") == "cuda"
    assert settle_device("cpu") == "cpu"


@pytest.mark.parametrize("device", ["gpu", "mps", "xpu", "meta", "cuda:x"])
def test_other_devices_are_refused(gpus, device):
    gpus((9, 0))
    with pytest.raises(InputError, match=f"device is '{device}'; known: auto, cpu, cuda"):
        settle_device(device)


def test_gpus_that_are_not_there_are_refused(gpus):
    gpus((9, 0), (8, 0))
    assert settle_device("cuda:1") == "cuda:1"
    with pytest.raises(InputError, match="device is cuda:2, but there are 2 GPUs, counted from"):
        settle_device("cuda:2")
    gpus()
    with pytest.raises(InputError, match="finds no usable GPU"):
        settle_device("cuda")


def test_bfloat16_where_the_gpu_multiplies_in_it(gpus):
    gpus((9, 0), (7, 5))
    assert settle_dtype("auto", "cuda") == "bfloat16"
    assert settle_dtype("auto", "cuda:1") == "float32"  # Turing
    assert settle_dtype("bfloat16", "cuda:1") == "bfloat16"  # as asked
    assert settle_dtype("auto", "cpu") == "float32"
    with pytest.raises(InputError, match="dtype is 'half'"):
        settle_dtype("half", "cpu")


@pytest.mark.parametrize(("capability", "dtype"), [((7, 5), "float32"), ((9, 0), "bfloat16")])
def test_a_run_plans_with_the_precision_that_its_gpu_gets(
    gpus, monkeypatch, tmp_path, capability, dtype
):
    gpus(capability)
    gpu = Place("some GPU", 15e9, 16e9)
    monkeypatch.setattr("submission.pipeline.prepare.gpu_at_hand", lambda device: gpu)
    monkeypatch.setattr("submission.pipeline.prepare.memory_of", lambda device: 15e9)
    run = Run(read_recipe("sample"), Selection(limit=1), tmp_path, Reporter("quiet"))
    assert run._prepare().compute.dtype == dtype


def test_a_model_asks_the_gpu_that_is_named_for_its_precision(gpus, monkeypatch):
    gpus((9, 0), (7, 5))
    current = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert settle_for_model("cuda:0", "auto") == (torch.device("cuda:0"), torch.bfloat16)
    assert torch.backends.cudnn.allow_tf32
    assert settle_for_model(torch.device("cuda:1"), "auto") == (current[1], torch.float32)
    assert current == [torch.device("cuda:0"), torch.device("cuda:1")]
    assert not torch.backends.cudnn.allow_tf32  # float32 is float32
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert settle_for_model("cuda", "auto")[0] == torch.device("cuda:1")  # and stays there
    assert settle_for_model("cpu", torch.bfloat16) == (torch.device("cpu"), torch.bfloat16)


@pytest.mark.parametrize(
    ("kernel", "cuda", "says"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12", "13.0",
         "the NVIDIA driver found is 535.183.01; torch .* needs driver 580 or newer$"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release", "13.0",
         "580.65.06; .* 580 or newer .it is.; look at nvidia-smi and at CUDA_VISIBLE_DEVICES"),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.1  Sun May 12", None,
         "570.1, and torch .* is built without CUDA"),
        (None, "13.0", "no NVIDIA driver was found; "),
    ],
)  # fmt: skip
def test_what_a_gpu_would_need_is_named(tmp_path, monkeypatch, kernel, cuda, says):
    file = tmp_path / "version"
    if kernel:
        file.write_text(kernel)
    monkeypatch.setattr("submission.device.DRIVER", file)
    monkeypatch.setenv("PATH", str(tmp_path))  # no nvidia-smi
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(torch.version, "cuda", cuda)
    assert re.search(says, why_no_gpu())
