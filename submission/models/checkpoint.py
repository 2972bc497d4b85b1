"""Fill a network from safetensors files: every tensor is used or explained, none is guessed.

All names and shapes are compared before a value is read, so that a wrong checkpoint costs a second;
then tensors go to the device one at a time, so that the peak is the model plus one shard.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from submission.errors import Fault, FaultyInput, InputError
from submission.models.finite import not_finite
from submission.models.quantized import Int8Linear
from submission.models.sa2va.network import Config, Speaker
from submission.models.sa2va.tensor_names import (
    TRACKING_DECODER,
    TUNED_DECODER,
    Rows,
    Source,
    expected_shapes,
)
from submission.models.weight_files import Shapes, open_tensors

# A table that some exports store although it is computed: read past, never used.
COMPUTED = re.compile(r"\.rotary_emb\.inv_freq$")
OUTPUT_LAYER, INPUT_EMBEDDING = "language.lm_head.weight", "language.model.embed_tokens.weight"
ANY_GROUNDING = "grounding_encoder."  # how the names of what finds masks begin
DECODER, OUR_TRACKING_DECODER = "sam_mask_decoder.", "grounding.sam_mask_decoder."
# Tensors of SAM 2.1 that SAM 2.0 does not have; its decoder would fit in shape and be wrong.
SAM21_MARKS = ("no_obj_embed_spatial", "obj_ptr_tpos_proj.weight")


@dataclass(frozen=True)
class Filling:
    """Where each parameter's value comes from, with all names and shapes compared."""

    files: tuple[Path, ...]
    sources: Mapping[str, Source]
    decoder: Mapping[str, Tensor]  # SAM 2's original one, given beside a Sa2VA checkpoint


def has_tuned_decoder(headers: Mapping[Path, Shapes]) -> bool:
    """Tell from the stored names whether this is a Sa2VA-i checkpoint (two mask decoders)."""
    return any(key.startswith(TUNED_DECODER) for shapes in headers.values() for key in shapes)


def prepare_filling(
    network: Speaker,
    config: Config,
    sources: Mapping[str, Source],
    headers: Mapping[Path, Shapes],
    original_sam2: Path | None = None,
) -> Filling:
    """Compare a network that was laid out without values with the headers of its files.

    `sources` is its backbone's table of where each parameter lies. With `original_sam2` (SAM 2.0
    large as Meta released it) a Sa2VA checkpoint fills a Sa2VA-i network: its fine-tuned decoder
    reads the prompts, the original one tracks. No value is read. Raises FaultyInput when names or
    shapes do not fit.
    """
    decoder: dict[str, Tensor] = {}
    if original_sam2 is not None:
        decoder = _read_original_decoder(original_sam2, network)
        sources = _without_tracking_decoder(sources)
    sources = _checked_sources(network, config, sources, headers)
    return Filling(tuple(headers), sources, decoder)


def fill(network: Speaker, filling: Filling, device: torch.device, dtype: torch.dtype) -> None:
    """Read the weights into a network that was laid out without values.

    Values are converted to `dtype`; the position table of SAM 2's prompt encoder stays float32.
    A layer that keeps eight bits rounds its weight as soon as it is read.
    """
    for key, value in filling.decoder.items():
        place(network, f"grounding.{key}", value.to(device), dtype)
    users: dict[str, list[tuple[str, Rows | None]]] = {}
    for name, source in filling.sources.items():
        users.setdefault(source.key, []).append((name, source.rows))
    for key, value in read_tensors(filling.files, device):
        for name, rows in users.get(key, []):
            place(network, name, value if rows is None else rows(value), dtype)
    move_tables(network, device)


def _checked_sources(
    network: Speaker, config: Config, sources: Mapping[str, Source],
    headers: Mapping[Path, Shapes],
) -> Mapping[str, Source]:  # fmt: skip
    """Compare all names and shapes with the files; let a tied output layer be filled twice."""
    folder = next(iter(headers)).parent
    found: dict[str, tuple[int, ...]] = {}
    twice: list[Fault] = []
    for file, shapes in headers.items():
        twice += [Fault(key, f"is in {file.name} and in an earlier shard") for key in shapes
                  if key in found]  # fmt: skip
        found |= shapes
    if twice:
        raise FaultyInput(f"{folder}: tensors are stored twice:", twice)
    expected = expected_shapes(network, sources)
    if config.tie_word_embeddings and sources[OUTPUT_LAYER].key not in found:
        del expected[sources[OUTPUT_LAYER].key]
        sources = {**sources, OUTPUT_LAYER: sources[INPUT_EMBEDDING]}
    _refuse_other_names(found, expected, folder)
    check_shapes(found, expected, f"{folder}: the weights do not fit config.json:")
    return sources


def _refuse_other_names(found: Iterable[str], expected: Iterable[str], folder: Path) -> None:
    """Say in a sentence why thousands of names would be missing, where that is known."""
    wanted, there = set(expected), set(found)
    longest = max(wanted, key=len)
    wrapped = next((key for key in there if key.endswith(longest) and key != longest), None)
    if wrapped and not wanted & there:
        raise InputError(
            f"{folder}: all tensors have {wrapped.removesuffix(longest)!r} in front of their "
            "names, as a wrapped model saves them: take it off and save them again"
        )
    others = sorted(key for key in there - wanted if key.startswith(ANY_GROUNDING))
    grounding = {key for key in wanted if key.startswith(ANY_GROUNDING)}
    if others and len(grounding & there) < len(grounding) / 2:
        raise InputError(
            f"{folder}: its masks come from another model than SAM 2 (it has {others[0]}); Sa2VA "
            "with SAM 3 is not read: take one of weights.lock"
        )


def check_shapes(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], summary: str
) -> None:
    faults = [Fault(key, "is missing") for key in sorted(expected.keys() - found.keys())]
    faults += [
        Fault(key, "is not a tensor of this model")
        for key in sorted(found.keys() - expected.keys())
        if not COMPUTED.search(key)
    ]
    faults += [
        Fault(key, f"has shape {found[key]} and should have {expected[key]}")
        for key in sorted(found.keys() & expected.keys())
        if found[key] != expected[key]
    ]
    if faults:
        advice = "Fetch the checkpoint again, or check that all its files are of one revision."
        raise FaultyInput(summary, faults, advice)


def _without_tracking_decoder(sources: Mapping[str, Source]) -> dict[str, Source]:
    """Let the fine-tuned decoder's values come from where Sa2VA stores its only decoder."""
    return {
        name: Source(source.key.replace(TUNED_DECODER, TRACKING_DECODER), source.rows)
        for name, source in sources.items()
        if not name.startswith(OUR_TRACKING_DECODER)
    }


def _read_original_decoder(path: Path, network: Speaker) -> dict[str, Tensor]:
    """Mask decoder of Meta's SAM 2.0 file (.pt, opened without running code, or .safetensors)."""
    if path.suffix == ".safetensors":
        tensors: Mapping[str, Any] = dict(read_tensors([path], torch.device("cpu")))
    else:
        try:
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except Exception as error:  # torch raises several kinds for a file that is no checkpoint
            raise InputError(f"{path}: cannot be opened as SAM 2 weights: {error}") from None
        inner = content.get("model", content) if isinstance(content, dict) else None
        tensors = inner if isinstance(inner, dict) else {}
    if any(mark in tensors for mark in SAM21_MARKS):
        raise InputError(f"{path}: these are SAM 2.1 weights; Sa2VA-i needs SAM 2.0 large")
    decoder = {key: value for key, value in tensors.items() if key.startswith(DECODER)}
    if not decoder:
        raise InputError(
            f"{path}: no {DECODER}* in it; take sam2_hiera_large.pt as Meta released it"
        )
    expected = {
        name.removeprefix("grounding."): tuple(value.shape)
        for name, value in network.state_dict().items()
        if name.startswith(OUR_TRACKING_DECODER)
    }
    found = {key: tuple(value.shape) for key, value in decoder.items()}
    check_shapes(found, expected, f"{path}: not the decoder of SAM 2.0 large:")
    return decoder


def read_tensors(files: Iterable[Path], device: torch.device) -> Iterator[tuple[str, Tensor]]:
    """Yield name and tensor of safetensors files, one at a time, on `device`.

    Raises FaultyInput at the end of a file in which values are NaN or infinite, naming all tensors.
    """
    for file in files:
        faults: list[Fault] = []
        with open_tensors(file, device) as tensors:
            for key in tensors.keys():  # noqa: SIM118
                value = tensors.get_tensor(key)
                if fault := not_finite(key, value):
                    faults.append(fault)
                yield key, value
        refuse_not_finite(file, faults)


def refuse_not_finite(file: Path, faults: Sequence[Fault]) -> None:
    """Raise FaultyInput for what `not_finite` found in a file, if anything."""
    if faults:
        raise FaultyInput(
            f"{file}: weights that are no finite numbers make every mask empty:",
            faults,
            "Fetch the file again; if it stays so, the training that wrote it overflowed: take an "
            "earlier checkpoint of it.",
        )


def place(network: nn.Module, name: str, value: Tensor, dtype: torch.dtype) -> None:
    """Put a copy of `value` where a parameter or stored buffer of the network belongs."""
    owner_name, _, leaf = name.rpartition(".")
    owner = network.get_submodule(owner_name)
    if isinstance(owner, Int8Linear) and leaf == "weight":
        owner.take(value.to(dtype))
    elif leaf in owner._buffers:
        owner._buffers[leaf] = value.to(torch.float32, copy=True)
    else:
        value = value.to(dtype, copy=True).contiguous()
        owner._parameters[leaf] = nn.Parameter(value, requires_grad=False)


def move_tables(network: nn.Module, device: torch.device) -> None:
    """Move the computed tables (buffers that no checkpoint stores) to `device`."""
    for module in network.modules():
        for leaf, value in module._buffers.items():
            module._buffers[leaf] = None if value is None else value.to(device)
