"""Open a checkpoint folder: configuration, tokenizer, weights, onto a device."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from submission.device import settle_for_model
from submission.errors import Fault, InputError, join_errors
from submission.models.checkpoint import Filling, fill, has_tuned_decoder, prepare_filling
from submission.models.quantized import keep_in_int8
from submission.models.sa2va.backbone import Prompting
from submission.models.sa2va.config_file import read_values
from submission.models.sa2va.fused_norms import fuse_norms
from submission.models.sa2va.grouped_heads import group_heads
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.network import Network, lay_out
from submission.models.sa2va.procedures import decoder_faults
from submission.models.sa2va.registry import Kind, kind_of
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tokenizer import SEG, Tokenizer, find_tokens, load_tokenizer
from submission.models.sam2.attention_kernel import choose_kernels
from submission.models.sam2.fixed_parts import WANTED, fixed_parts
from submission.models.single_file import sam2_file
from submission.models.weight_files import read_headers, shard_files
from submission.models.workload import Limits

QUANTIZE = ("none", "int8")
Result = TypeVar("Result")


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
    compile: str = "off",
    template: str = "",
) -> Sa2VA:
    """Load a Sa2VA or Sa2VA-i checkpoint from a folder of released files.

    `device` "auto" is the GPU when there is one; `dtype` "auto" is bfloat16 on a GPU that has it,
    else float32. `sam2`, Meta's SAM 2.0 large (a file or its folder), beside a Sa2VA checkpoint
    makes a model that can do "sa2va" and "sa2va-i". `quantize` "int8" is an approximation: the
    language model's layers keep their weights in eight bits, rounded while they are read
    (quantized.py).
    `attention` names the kernel of memory attention on a GPU: "auto", "flash", "cudnn" or "fa3".
    `compile` "parts" records parts of fixed shape as CUDA graphs (fixed_parts.py); where that
    cannot be, the model's `parts.words` say why, and they run as they are called.
    `template` names the chat template of a checkpoint whose config.json states none.
    Raises InputError when the folder is not a complete, consistent checkpoint, or the device has
    no such kernel.
    """
    folder = Path(folder)
    place, precision = settle_for_model(device, dtype)
    if quantize not in QUANTIZE:
        raise InputError(f"quantize is {quantize!r}; known: {', '.join(QUANTIZE)}")
    if compile not in WANTED:
        raise InputError(f"compile is {compile!r}; known: {', '.join(WANTED)}")
    opened = open_checkpoint(folder, sam2=sam2, template=template)
    network, config = opened.network, opened.config
    if attention != "auto":  # one that is not there is refused before the weights are read
        keys = torch.empty(config.grounding.hidden_size, dtype=precision, device=place)
        choose_kernels(keys, config.grounding, attention)
        network.grounding.attention = attention
    if quantize == "int8":
        keep_in_int8(network.language.model)
    fill(network, opened.filling, place, precision)
    if place.type == "cuda":
        fuse_norms(network)
        group_heads(network.language)
    backbone = opened.module.Backbone(network, config, opened.tokenizer, place, precision)
    return Sa2VA(backbone, limits, fixed_parts(compile, place))


@dataclass(frozen=True)
class Opened:
    """A checkpoint folder of which everything was read but the values of its weights."""

    module: Any  # its backbone's
    config: Any
    tokenizer: Tokenizer
    network: Network  # without values
    filling: Filling

    @property
    def prompting(self) -> Prompting:
        """What its model is asked with."""
        prompting: Prompting = self.module.Prompting(self.config, self.tokenizer)
        return prompting

    def faults(self, settings: Settings) -> Iterator[Fault]:
        """The settings that contradict the checkpoint."""
        yield from self.prompting.faults(settings)
        yield from decoder_faults(
            settings.procedure, has_tuned_decoder=self.config.has_tuned_decoder
        )


def open_checkpoint(folder: Path, *, sam2: str | Path | None = None, template: str = "") -> Opened:
    """Read what lies in a checkpoint folder, but no value: a second, whatever its size.

    Arguments as of `load`. Raises InputError, or FaultyInput with everything that is wrong, in
    config.json, tokenizer, index and headers together.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such checkpoint folder")
    wrong: list[InputError] = []
    headers = _try(wrong, lambda: read_headers(shard_files(folder)))
    if headers is None and not (folder / "config.json").exists():
        raise wrong[0]  # no checkpoint at all: what it is instead is said
    kind = _try(wrong, lambda: kind_of(read_values(folder)))
    module: Any = kind and kind.network()
    tuned = headers is not None and has_tuned_decoder(headers)
    original = None
    if sam2 is not None and tuned:
        words = "a Sa2VA-i checkpoint already holds SAM 2's decoder; drop sam2"
        wrong.append(InputError(f"{folder}: {words}"))
    elif sam2 is not None:
        original = _try(wrong, sam2_file, Path(sam2))
    config = kind and _try(
        wrong, _read_config, kind, folder, template, tuned=tuned or sam2 is not None
    )
    tokenizer = _try(wrong, load_tokenizer, folder, module.TOKENS if module else (SEG,))
    if config and tokenizer:
        vocabulary = int(config.llm.vocab_size)
        _try(wrong, _refuse_foreign_tokenizer, folder, tokenizer, module.TOKENS, vocabulary)
    network = _try(wrong, _lay_out, folder, config) if config else None
    filling = None
    if network and headers:
        sources = module.tensor_sources(network, config)
        filling = _try(wrong, prepare_filling, network, config, sources, headers, original)
    if wrong or tokenizer is None or network is None or filling is None:
        raise join_errors(wrong, f"{folder}: this checkpoint has faults:")
    return Opened(module, config, tokenizer, network, filling)


def _try(
    wrong: list[InputError], step: Callable[..., Result], *args: Any, **named: Any
) -> Result | None:
    """Do a step; keep what is wrong, so that it is told with the faults of others."""
    try:
        return step(*args, **named)
    except InputError as error:
        wrong.append(error)
    return None


def _lay_out(folder: Path, config: Any) -> Network:
    """The network without values; sizes that contradict each other are told by whoever meets them.

    Raises InputError for these.
    """
    try:
        return lay_out(config)
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError,
            RuntimeError) as error:  # fmt: skip
        what = f"{type(error).__name__}: {error}".strip(": ")
        raise InputError(
            f"{folder / 'config.json'}: no network can be made of these sizes ({what}); fetch the "
            "file again"
        ) from error


def _read_config(kind: Kind, folder: Path, template: str, *, tuned: bool) -> Any:
    if template and not kind.templates:
        raise InputError(f"{folder}: this model has no chat template to choose; drop template")
    named = {"template": template} if template else {}
    return kind.network().read_config(folder, has_tuned_decoder=tuned, **named)


def _refuse_foreign_tokenizer(
    folder: Path, tokenizer: Tokenizer, tokens: Sequence[str], vocabulary: int
) -> None:
    token, largest = max(find_tokens(tokenizer, tokens).items(), key=lambda item: item[1])
    if largest >= vocabulary:
        raise InputError(
            f"{folder}: {token} is token {largest}, but the language model of config.json has "
            f"{vocabulary} tokens; fetch all files of one checkpoint"
        )
