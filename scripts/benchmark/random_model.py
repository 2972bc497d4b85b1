"""A model to time: of a true size with random weights, or a small checkpoint that comes along."""

from collections.abc import Sequence
from typing import Any

import torch

from scripts.benchmark.sizes import CARRIED, config_values
from submission.models.checkpoint import move_tables, place
from submission.models.sa2va.fused_norms import fuse_norms
from submission.models.sa2va.grouped_heads import group_heads
from submission.models.sa2va.internvl import backbone as internvl
from submission.models.sa2va.internvl.config import parse_config
from submission.models.sa2va.internvl.prompt import IMAGE_CONTEXT, IMAGE_END, IMAGE_START
from submission.models.sa2va.loading import load
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.network import lay_out
from submission.models.sa2va.qwenvl import backbone as qwenvl
from submission.models.sa2va.qwenvl.config import parse_config as parse_qwenvl
from submission.models.sa2va.qwenvl.countable import NO_COLOURS
from submission.models.sa2va.qwenvl.images import recognises
from submission.models.sa2va.tokenizer import SEG

END = "<|im_end|>"
SPECIAL = (IMAGE_START, IMAGE_END, IMAGE_CONTEXT, SEG, END, *qwenvl.TOKENS[:-1])
TEMPLATE = (  # of Qwen-VL, whose checkpoints bring their own
    "<|im_start|>user\n{% for part in messages[0]['content'] %}{% if part['type'] == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n<|im_start|>assistant\n"
)


class WordTokenizer:
    """One token a word; enough to give prompts a realistic length."""

    eos_id = SPECIAL.index(END)
    added = frozenset(SPECIAL)

    def encode(self, text: str) -> list[int]:
        for token in SPECIAL:
            text = text.replace(token, f" {token} ")
        return [self.find(word) or len(SPECIAL) for word in text.split()]

    encode_answer = encode

    def decode(self, ids: Sequence[int]) -> str:
        return " ".join(SPECIAL[index] if index < len(SPECIAL) else "word" for index in ids)

    def find(self, token: str) -> int | None:
        return SPECIAL.index(token) if token in SPECIAL else None


def make_model(size: str, device: torch.device, dtype: torch.dtype) -> Sa2VA:
    """Return the model of a name: random weights, or the checkpoint's where one comes along."""
    if size in CARRIED:
        return load(CARRIED[size], device, dtype)
    return random_model(size, device, dtype)


def random_model(size: str, device: torch.device, dtype: torch.dtype, seed: int = 0) -> Sa2VA:
    """Build a model of a named size, tensor by tensor on the device, from a seed."""
    config, backbone = _config(config_values(size))
    network = lay_out(config)
    generator = torch.Generator(device).manual_seed(seed)
    for name, value in network.state_dict().items():
        drawn = torch.randn(value.shape, generator=generator, device=device, dtype=dtype)
        if value.ndim > 1:
            drawn *= value[0].numel() ** -0.5
        elif "norm" in name and name.endswith("weight"):
            drawn = 1 + 0.1 * drawn
        else:
            drawn *= 0.1
        place(network, name, drawn, dtype)
    move_tables(network, device)
    if device.type == "cuda":
        fuse_norms(network)
        group_heads(network.language)
    return Sa2VA(backbone(network, config, WordTokenizer(), device, dtype))


def _config(values: dict[str, Any]) -> tuple[Any, Any]:
    """What the network is made from, and its kind of backbone."""
    if not recognises(values):
        return parse_config(values, has_tuned_decoder=True), internvl.Backbone
    config = parse_qwenvl(
        values, has_tuned_decoder=True, colours=NO_COLOURS, template=TEMPLATE
    )  # fmt: skip
    return config, qwenvl.Backbone
