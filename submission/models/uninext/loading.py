"""Open a UNINEXT checkpoint file: sizes, names, vocabulary, weights, onto a device."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from submission.device import settle_for_model
from submission.errors import InputError
from submission.models.checkpoint import check_shapes, move_tables, place
from submission.models.pth_file import read_names, read_weights, read_without_values
from submission.models.single_file import files_of_weights, weights_file
from submission.models.uninext.config import TRANSFORMER, read_config
from submission.models.uninext.model import Uninext
from submission.models.uninext.network import UninextNetwork, lay_out_network
from submission.models.uninext.tensor_names import ALIAS, needed, tensor_names
from submission.models.uninext.tokenizer import SentenceTokenizer, find_vocabulary

SENTENCES_AT_ONCE = {"cpu": 4, "cuda": 16}  # 0.3 GB each at 480 x 854, for deformable attention
MARK = f"{TRANSFORMER}encoder.vl_layers.0."  # no other family has a tensor named like this


def recognises(path: Path) -> bool:
    """Tell whether `path` is a UNINEXT file, or a folder with that file alone.

    Raises InputError for a file of weights that cannot be read.
    """
    files = files_of_weights(path)
    return len(files) == 1 and any(key.startswith(MARK) for key in read_names(files[0]))


def load(
    path: str | Path,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    *,
    vocabulary: str | Path | None = None,
    sentences_at_once: int = 0,
) -> Uninext:
    """Load a video model of UNINEXT (R50, ConvNeXt-L or ViT-H) from its file.

    `path` is model_final.pth as released, the same tensors as safetensors, or a folder with one of
    them. `device` "auto" is the GPU when there is one; `dtype` "auto" is bfloat16 on a GPU that has
    it, else float32. In bfloat16 the image backbone computes in it; the rest stays float32, as in
    the published mixed precision. `vocabulary` is bert-base-uncased's vocab.txt; by default it is
    looked for beside the file and in the folder bert-base-uncased next to the file's.
    `sentences_at_once` look at a frame together (0: what the device bears). Raises InputError, with
    all faults, when something does not fit.
    """
    file = weights_file(Path(path), "UNINEXT")
    target, precision = settle_for_model(device, dtype)
    stored = read_weights(file)
    network, tokenizer = _lay_out(stored, file, vocabulary)
    fill(network, stored, target, precision, file)
    return Uninext(network, tokenizer, target, sentences_at_once or SENTENCES_AT_ONCE[target.type])


def open_checkpoint(path: Path, vocabulary: str | Path | None = None) -> None:
    """Compare a file, or that of a folder, and its vocabulary; no value is read.

    Arguments as of `load`. Raises InputError, or FaultyInput with all that differ.
    """
    file = weights_file(path, "UNINEXT")
    stored = read_without_values(file)
    network, _ = _lay_out(stored, file, vocabulary)
    _compare(network, stored, file)


def _lay_out(
    stored: Mapping[str, Tensor], file: Path, vocabulary: str | Path | None
) -> tuple[UninextNetwork, SentenceTokenizer]:
    """Return the network without values, and what reads sentences for it."""
    config = read_config({key: tuple(value.shape) for key, value in stored.items()}, file)
    words = Path(vocabulary) if vocabulary else find_vocabulary(file)
    return lay_out_network(config), SentenceTokenizer(words, config.text.vocabulary)


def fill(
    network: UninextNetwork,
    stored: Mapping[str, Tensor],
    device: torch.device,
    backbone_dtype: torch.dtype,
    where: object,
) -> None:
    """Fill a network without values from UNINEXT's table of tensors; every one has its use.

    Raises FaultyInput, before a value is read, when names or shapes do not fit.
    """
    names, tensors = _compare(network, stored, where)
    _check_aliases(stored, where)
    for name, key in names.items():
        dtype = backbone_dtype if name.startswith("backbone.") else torch.float32
        place(network, name, tensors[key].to(device), dtype)
    move_tables(network, device)


def _compare(
    network: UninextNetwork, stored: Mapping[str, Tensor], where: object
) -> tuple[Mapping[str, str], dict[str, Tensor]]:
    """Return where each parameter lies, and the tensors that are needed."""
    ours = {name: tuple(value.shape) for name, value in network.named_parameters()}
    names = tensor_names(list(ours), network.config)
    tensors = needed(stored, names)
    check_shapes(
        {key: tuple(value.shape) for key, value in tensors.items()},
        {names[name]: shape for name, shape in ours.items()},
        f"{where}: the weights are not those of UNINEXT's video models:",
    )
    return names, tensors


def _check_aliases(stored: Mapping[str, Tensor], where: object) -> None:
    """Heads that the training model holds under two names must be equal under both."""
    for key, value in stored.items():
        alias = ALIAS.match(key)
        first = stored.get(f"detr.detr.{alias[1]}") if alias else None
        if first is not None and not torch.equal(first, value):
            raise InputError(
                f"{where}: {key} and detr.detr.{alias[1] if alias else ''} should be the same "
                "tensor and differ; take the file from UNINEXT's model zoo"
            )
