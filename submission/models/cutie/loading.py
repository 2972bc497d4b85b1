"""Open a file of Cutie's weights, onto a device."""

from pathlib import Path

import torch

from submission.device import settle_for_model
from submission.models.cutie.model import Cutie
from submission.models.cutie.network import EVERY, compare, read_network
from submission.models.pth_file import read_names, read_without_values
from submission.models.single_file import files_of_weights, weights_file


def recognises(path: Path) -> bool:
    """Tell whether `path` is a file of Cutie's weights, or a folder with that file alone.

    Raises InputError for a file of weights that cannot be read.
    """
    files = files_of_weights(path)
    return len(files) == 1 and EVERY in read_names(files[0])


def open_checkpoint(path: Path) -> None:
    """Compare names and shapes of a file, or of the folder that holds it; no value is read.

    Raises InputError, or FaultyInput with all that differ.
    """
    compare(read_without_values(file := weights_file(path, "Cutie")), file)


def load(
    path: str | Path, device: str | torch.device = "auto", dtype: str | torch.dtype = "auto"
) -> Cutie:
    """Load a released file (.pth or .safetensors), or the folder that holds it.

    `device` "auto" is the GPU when there is one; `dtype` "auto" is bfloat16 on a GPU that has it,
    else float32. Weights are float32 always: bfloat16 is torch's autocast. Raises InputError for a
    file of anything else, or a damaged one.
    """
    file = weights_file(Path(path), "Cutie")
    place, precision = settle_for_model(device, dtype)
    network, size = read_network(file, place)
    return Cutie(network, size, place, precision)
