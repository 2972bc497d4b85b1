"""FLOP of both procedures at a size, counted by torch on the meta device: no weights, no GPU.

Every organ is run once with empty tensors of its true shapes under torch's own counter (2 FLOP for
a multiplication with addition, matrix products and attention only), and multiplied by its number of
calls. Tracked frames are counted with memory full, as they are from the seventh on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import DynamicCache

from scripts.benchmark.plain_loop import Memory, condition
from scripts.benchmark.procedures import ANSWER
from scripts.benchmark.random_model import WordTokenizer
from scripts.benchmark.sizes import config_values
from submission.models.checkpoint import move_tables
from submission.models.sa2va.internvl.config import Sa2VAConfig, parse_config
from submission.models.sa2va.internvl.prompt import IMAGE_END, build_prompt
from submission.models.sa2va.network import Network, lay_out
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sam2.policy import TrackerPolicy
from submission.models.sam2.tracker import Tracker

META = torch.device("meta")
FULL_MEMORY = 8  # tracked frames until memory is full
SENTENCE = "the thing that moves from left to right and stops"


@dataclass(frozen=True)
class Stage:
    """FLOP that a stage costs for a video and all its sentences."""

    name: str
    public: float
    ours: float


def count(size: str, *, frames: int, key_frames: int, sentences: int) -> list[Stage]:
    """FLOP per stage of the procedure "sa2va" for one video, public and ours."""
    tracked, asked = frames - key_frames, sentences
    image = _image_flop(size)
    read, apart, packed = _language_flop(size, key_frames, asked)
    alone, batch = _follow_flop(size, key_frames, 1), _follow_flop(size, key_frames, asked)
    return [
        Stage("vision encoder", image.vision * key_frames * asked, image.vision * key_frames),
        Stage("language model, frames", read * asked, read),
        Stage("language model, sentences", apart * asked, packed),
        Stage("image encoder", image.encoder * (frames + key_frames) * asked,
              image.encoder * frames),
        Stage("memory attention", alone.public_memory * tracked * asked, batch.memory * tracked),
        Stage("mask decoder, memory encoder",
              (alone.prompt * key_frames + alone.heads * tracked) * asked,
              batch.prompt * key_frames + batch.heads * tracked),
    ]  # fmt: skip


def total(stages: list[Stage]) -> Stage:
    """All stages together."""
    return Stage("together", sum(s.public for s in stages), sum(s.ours for s in stages))


@cache
def _network(size: str) -> tuple[Network, Sa2VAConfig]:
    values = config_values(size)
    # Dynamic scaling looks at positions, which have no values here; it is idle in short prompts.
    values = {**values, "llm_config": {**values["llm_config"], "rope_scaling": None}}
    config = parse_config(values, has_tuned_decoder=False)
    network = lay_out(config)
    for parameter in network.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    move_tables(network, META)
    return network, config


@torch.inference_mode()
def _count(call: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    return float(counter.get_total_flops())


def _empty(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device=META, dtype=torch.bfloat16)


@dataclass(frozen=True)
class _ImageFlop:
    vision: float  # a key frame
    encoder: float  # a frame


@cache
def _image_flop(size: str) -> _ImageFlop:
    network, config = _network(size)
    small, large = config.image_size, config.grounding.image_size
    return _ImageFlop(
        _count(lambda: network.vision(_empty(1, 3, small, small))),
        _count(lambda: network.grounding.encode_images(_empty(1, 3, large, large))),
    )


@cache
def _language_flop(size: str, key_frames: int, sentences: int) -> tuple[float, float, float]:
    """The frames' tokens; one sentence and its answer behind them; all sentences, packed."""
    network, config = _network(size)
    llm, tokenizer = network.language, WordTokenizer()
    prompt = build_prompt(
        config.template, PROCEDURES["sa2va"].question(SENTENCE), key_frames,
        config.tokens_per_frame,
    )  # fmt: skip
    ids = tokenizer.encode(prompt)
    end = tokenizer.find(IMAGE_END)
    prefix = len(ids) - ids[::-1].index(end)  # type: ignore[arg-type]
    answer = len(tokenizer.encode(ANSWER))
    width = int(config.llm.hidden_size)
    cache = DynamicCache(config=config.llm)

    def read(tokens: int) -> float:
        return _count(
            lambda: llm.model(
                inputs_embeds=_empty(1, tokens, width), past_key_values=cache, use_cache=True
            )
        )

    choices = _count(lambda: llm.lm_head(_empty(answer, width)))
    frames = read(prefix)
    own = len(ids) - prefix + answer
    alone = read(own)
    cache.crop(-own)  # minus: tokens to remove
    return frames, alone + choices, read(own * sentences) + choices * sentences


@dataclass(frozen=True)
class _FollowFlop:
    prompt: float  # a prompted frame: decode and remember
    memory: float  # a tracked frame: look at memory, and project what is remembered
    heads: float  # a tracked frame: decode, and encode what is remembered
    public_memory: float  # a tracked frame: project and look at all memory, with SAM 2's module


@cache
def _follow_flop(size: str, key_frames: int, objects: int) -> _FollowFlop:
    network = _network(size)[0].grounding
    config = network.config
    features = network.encode_images(_empty(1, 3, config.image_size, config.image_size))[0]
    language = _empty(objects, config.hidden_size)
    tracker = Tracker(network, TrackerPolicy(), frame_size=(480, 854))
    prompt = _count(lambda: tracker.prompt(0, features, language))
    full = key_frames + FULL_MEMORY
    with torch.inference_mode():  # without the counter, which is slow
        for time in range(1, key_frames):
            tracker.prompt(time, features, language)
        for time in range(key_frames, full):
            tracker.track(time, features)
    tracked = _count(lambda: tracker.track(full, features))
    conditioned = features.stride16.expand(objects, -1, -1, -1)
    heads = _count(
        lambda: network.encode_memory(
            features, network.decode_tracked(features, conditioned).logits
        )
    )
    return _FollowFlop(
        prompt, tracked - heads, heads, _public_memory(size, key_frames)
    )  # fmt: skip


@cache
def _public_memory(size: str, key_frames: int) -> float:
    network = _network(size)[0].grounding
    side = network.config.image_size
    features = network.encode_images(_empty(1, 3, side, side))[0]
    found = network.decode_language(features, _empty(1, network.config.hidden_size))
    kept = (network.encode_memory(features, found.logits), found.pointer)
    memory = Memory(
        prompted=dict.fromkeys(range(key_frames), kept),
        tracked=dict.fromkeys(range(key_frames, key_frames + FULL_MEMORY), kept),
    )
    now = key_frames + FULL_MEMORY
    return _count(lambda: condition(network, memory, now, features))
