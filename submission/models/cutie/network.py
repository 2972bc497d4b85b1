"""Cutie's network from the package rf-cutie: laid out without the internet, filled strictly.

The package reads a checkpoint with wrong names without a word, and its constructor fetches weights
of two ResNets that the checkpoint replaces at once. Neither happens here.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from submission.errors import Fault, FaultyInput, InputError
from submission.models.pth_file import read_weights

Size = Literal["base", "small"]

BASE_ONLY = "pixel_encoder.res2.0.conv3.weight"  # ResNet-50 has three convolutions in a block
EVERY = "pixel_encoder.res2.0.conv2.weight"
_BUILDING = threading.Lock()  # one thread at a time replaces the package's functions


def read_network(file: Path, device: torch.device) -> tuple[nn.Module, Size]:
    """Return the network that a released file fills, in float32 on `device`, and its size.

    Base and small are told apart by the names in the file. Raises InputError when the file cannot
    be read or is of something else, FaultyInput when names or shapes differ.
    """
    tensors = read_weights(file)
    network, size = compare(tensors, file)
    # Copies: what was read may still be the file itself, mapped into memory.
    values = {key: value.to(device, copy=True) for key, value in tensors.items()}
    network.load_state_dict(values, strict=True, assign=True)
    return network.to(device).requires_grad_(False).eval(), size


def compare(tensors: Mapping[str, Tensor], file: Path) -> tuple[Any, Size]:
    """Return the network without values that a file's tensors are for, and its size.

    Raises InputError for those of another model, FaultyInput when names or shapes differ.
    """
    size = size_of(tensors, file)
    network = lay_out(size)
    check(tensors, network.state_dict(), file)
    return network, size


def size_of(tensors: Mapping[str, Tensor], file: Path) -> Size:
    """Tell base from small; raise InputError for a file of another model."""
    if EVERY not in tensors:
        raise InputError(
            f"{file}: these are not weights of Cutie (there is no {EVERY}); take "
            "cutie-base-mega.pth or cutie-small-mega.pth as their authors released them"
        )
    return "base" if BASE_ONLY in tensors else "small"


def lay_out(size: Size) -> Any:
    """Return the network without values, on the meta device."""
    from omegaconf import OmegaConf

    with _BUILDING, _without_fetching(), torch.device("meta"):
        from cutie.model.cutie import CUTIE

        return CUTIE(OmegaConf.create({"model": model_table(size)}))


def model_table(size: Size) -> dict[str, Any]:
    """Return the sizes of the network, as the package's own files state them."""
    from omegaconf import OmegaConf

    folder = files("cutie.config") / "model"
    tables = [OmegaConf.create((folder / "base.yaml").read_text())]
    if size == "small":
        tables.append(OmegaConf.create((folder / "small.yaml").read_text()))
    merged = OmegaConf.create({"model": OmegaConf.merge(*tables)})
    container = OmegaConf.to_container(merged, resolve=True)
    assert isinstance(container, dict)
    return dict(container["model"])


@contextmanager
def _without_fetching() -> Iterator[None]:
    """Let the package lay out its ResNets without asking for ImageNet weights."""
    try:
        from cutie.model.utils import resnet
    except ImportError as error:
        raise InputError(
            f"the package rf-cutie is missing ({error}); another package named cutie takes its "
            "place where both are installed: pip uninstall cutie, then pip install rf-cutie"
        ) from None
    originals = {name: getattr(resnet, name) for name in ("resnet18", "resnet50")}

    def bare(original: Any) -> Any:
        return lambda pretrained=True, extra_dim=0, model_dir=None: original(False, extra_dim)

    try:
        for name, original in originals.items():
            setattr(resnet, name, bare(original))
        yield
    finally:
        for name, original in originals.items():
            setattr(resnet, name, original)


def check(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], file: Path) -> None:
    """Compare names and shapes; raise FaultyInput with all that differ."""
    faults = [Fault(key, "is missing") for key in expected.keys() - found.keys()]
    faults += [Fault(key, "is not a tensor of Cutie") for key in found.keys() - expected.keys()]
    faults += [
        Fault(key, f"has shape {tuple(found[key].shape)}, not {tuple(expected[key].shape)}")
        for key in found.keys() & expected.keys()
        if found[key].shape != expected[key].shape
    ]
    if faults:
        raise FaultyInput(
            f"{file}: these weights do not fit Cutie:", sorted(faults),
            "Take cutie-base-mega.pth or cutie-small-mega.pth as their authors released them.",
        )  # fmt: skip
