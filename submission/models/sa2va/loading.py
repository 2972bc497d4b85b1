"""Open a checkpoint folder: configuration, tokenizer, weights, onto a device."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from submission.device import settle_for_model
from submission.errors import InputError
from submission.models.checkpoint import fill, has_tuned_decoder
from submission.models.quantized import keep_in_int8
from submission.models.sa2va.config_file import read_values
from submission.models.sa2va.internvl import backbone as internvl
from submission.models.sa2va.model import Limits, Sa2VA
from submission.models.sa2va.network import lay_out
from submission.models.sa2va.qwenvl import backbone as qwenvl
from submission.models.sa2va.tokenizer import Tokenizer, find_tokens, load_tokenizer
from submission.models.sam2.attention_kernel import choose_kernel
from submission.models.weight_files import shard_files

# One folder for each kind of vision-language model, in the order of asking.
BACKBONES: tuple[Any, ...] = (qwenvl, internvl)
QUANTIZE = ("none", "int8")


def recognises(path: Path) -> bool:
    """Tell whether `path` is for this family: a folder; its reader names what is wrong in it."""
    return path.is_dir()


def load(
    folder: str | Path,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    *,
    sam2: str | Path | None = None,
    limits: Limits | None = None,
    quantize: str = "none",
    attention: str = "auto",
    template: str = "",
) -> Sa2VA:
    """Load a Sa2VA or Sa2VA-i checkpoint from a folder of released files.

    `device` "auto" is the GPU when there is one; `dtype` "auto" is bfloat16 on a GPU that has it,
    else float32. `sam2`, Meta's SAM 2.0 large (a file or its folder), beside a Sa2VA checkpoint
    makes a model that can do "sa2va" and "sa2va-i". `quantize` "int8" is an approximation: the
    language model's layers keep their weights in eight bits, rounded while they are read
    (quantized.py).
    `attention` names the kernel of memory attention on a GPU: "auto", "flash" or "cudnn".
    `template` names the chat template of a checkpoint whose config.json states none.
    Raises InputError when the folder is not a complete, consistent checkpoint, or the device has
    no such kernel.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such checkpoint folder")
    place, precision = settle_for_model(device, dtype)
    if quantize not in QUANTIZE:
        raise InputError(f"quantize is {quantize!r}; known: {', '.join(QUANTIZE)}")
    files = shard_files(folder)
    tuned = has_tuned_decoder(files)
    if sam2 is not None and tuned:
        raise InputError(f"{folder}: a Sa2VA-i checkpoint already holds SAM 2's decoder; drop sam2")
    backbone = find_backbone(folder)
    config = _read_config(backbone, folder, template, tuned=tuned or sam2 is not None)
    tokenizer = load_tokenizer(folder, backbone.TOKENS)
    _refuse_foreign_tokenizer(folder, tokenizer, backbone.TOKENS, int(config.llm.vocab_size))
    network = lay_out(config)
    if attention != "auto":  # one that is not there is refused before the weights are read
        keys = torch.empty(config.grounding.hidden_size, dtype=precision, device=place)
        choose_kernel(keys, attention)
        network.grounding.attention = attention
    if quantize == "int8":
        keep_in_int8(network.language.model)
    original = None if sam2 is None else _sam2_file(Path(sam2))
    sources = backbone.tensor_sources(network, config)
    fill(network, config, sources, files, place, precision, original)
    return Sa2VA(backbone.Backbone(network, config, tokenizer, place, precision), limits)


def find_backbone(folder: Path) -> Any:
    """Return the module of the first backbone that recognises the folder's config.json.

    Raises InputError where that is missing or no JSON object.
    """
    values = read_values(folder)
    return next(module for module in BACKBONES if module.recognises(values))


def _read_config(backbone: Any, folder: Path, template: str, *, tuned: bool) -> Any:
    if template and not getattr(backbone, "TEMPLATES", ()):
        raise InputError(f"{folder}: this model has no chat template to choose; drop template")
    named = {"template": template} if template else {}
    return backbone.read_config(folder, has_tuned_decoder=tuned, **named)


def _refuse_foreign_tokenizer(
    folder: Path, tokenizer: Tokenizer, tokens: Sequence[str], vocabulary: int
) -> None:
    token, largest = max(find_tokens(tokenizer, tokens).items(), key=lambda item: item[1])
    if largest >= vocabulary:
        raise InputError(
            f"{folder}: {token} is token {largest}, but the language model of config.json has "
            f"{vocabulary} tokens; fetch all files of one checkpoint"
        )


def _sam2_file(path: Path) -> Path:
    if path.is_dir():
        path = path / "sam2_hiera_large.pt"
    if not path.is_file():
        raise InputError(f"{path}: no such file with SAM 2.0 large weights")
    return path
