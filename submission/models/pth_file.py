"""The tensors of a .pth file, read without running the code that a pickle can hold.

Older checkpoints are pickles, and a pickle is a program. torch's reader for weights builds tensors,
numbers and containers and refuses everything else; nothing here opens a file in another way.
"""

import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from submission.errors import InputError
from submission.models.checkpoint import read_tensors, refuse_not_finite
from submission.models.finite import not_finite
from submission.models.weight_files import read_shapes

# Training states keep numbers of numpy beside the weights; these build arrays and nothing else.
# numpy 2 moved the functions to another module, so each has two names.
_BUILDERS: tuple[Any, ...] = (np.ones(1).__reduce__()[0], np.float64(1).__reduce__()[0])
_NUMBERS: list[Any] = [
    np.ndarray,
    np.dtype,
    *{type(np.dtype(kind)) for kind in ("?", "i1", "u1", "i4", "i8", "f2", "f4", "f8")},
    *((build, f"numpy.{core}.multiarray.{build.__name__}")
      for build in _BUILDERS for core in ("core", "_core")),
]  # fmt: skip
FOREIGN = re.compile(r"GLOBAL ([\w.]+)")


def read_names(path: Path) -> Iterable[str]:
    """Names of the tensors in a .pth or .safetensors file; raises InputError as read_weights."""
    return read_shapes(path) if path.suffix == ".safetensors" else _read_table(path)


def read_without_values(path: Path) -> dict[str, Tensor]:
    """The same table as `read_weights`, without looking at values: a header's worth of reading."""
    if path.suffix == ".safetensors" and path.is_file():
        shapes = read_shapes(path)
        return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    return _read_table(path)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return name to tensor (CPU, mapped where the format allows) of a .pth or .safetensors file.

    The table may lie under "model", "model_state_dict" or "state_dict", as training scripts keep
    it beside the optimizer's state. Raises InputError for a file that is not there, not whole, not
    a table of tensors, that holds code, or a value that is no finite number.
    """
    if path.suffix == ".safetensors" and path.is_file():
        return dict(read_tensors([path], torch.device("cpu")))
    tensors = _read_table(path)
    refuse_not_finite(path, [fault for item in tensors.items() if (fault := not_finite(*item))])
    return tensors


def _read_table(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    content = _open(path)
    for key in ("model", "model_state_dict", "state_dict"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path}: holds no table of tensors, so it is no checkpoint")
    tensors = {str(key): torch.as_tensor(value) for key, value in content.items()
               if isinstance(value, Tensor | np.ndarray)}  # fmt: skip
    if len(tensors) != len(content):
        other = next(str(key) for key in content if str(key) not in tensors)
        raise InputError(f"{path}: {other} is no tensor, so this is no table of weights")
    return tensors


def _open(path: Path) -> Any:
    mapped = zipfile.is_zipfile(path)  # files of before torch 1.6 cannot be mapped
    try:
        with torch.serialization.safe_globals(_NUMBERS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the age of the format
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch raises many kinds for a file that is no checkpoint
        foreign = FOREIGN.search(str(error))
        if isinstance(error, pickle.UnpicklingError) and foreign:
            raise InputError(
                f"{path}: wants to run {foreign[1]} when it is opened; weights need no code, so it "
                "was not opened. Take the file from its authors' page"
            ) from None
        raise InputError(f"{path}: not a whole .pth file of weights; fetch it again") from None
