"""Qwen-VL checkpoints with tiny random weights, plain and as a Sa2VA, by the library's classes."""

import json
from pathlib import Path
from typing import Any

import torch
from models.checkpoints import TINY, random_values
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from submission.models.sa2va.network import lay_out
from submission.models.sa2va.qwenvl.config import read_config
from submission.models.sa2va.qwenvl.tensor_names import tensor_sources
from submission.models.sa2va.tensor_names import expected_shapes

WEIGHTS = "model.safetensors"
SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|image_pad|>", "[SEG]",
)  # fmt: skip
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6,
    "hidden_act": "silu",
}  # fmt: skip
VISION: dict[str, Any] = {
    "depth": 3, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2,
    "spatial_merge_size": 2, "temporal_patch_size": 2, "out_hidden_size": 32,
}  # fmt: skip


def write_plain(
    folder: Path, family: str = "qwen3", seed: int = 0, *, old: bool = False, vocabulary: int = 300
) -> PreTrainedModel:
    """Write a folder as the authors' are laid out and return the library's model.

    `family` is "qwen3" or "qwen2_5"; `old` the layout of the first exports of Qwen2.5-VL, with
    other names of tensors and the language model's keys at the top of config.json.
    """
    folder.mkdir(parents=True)
    tokens = _write_tokenizer(folder)
    torch.manual_seed(seed)
    model = _model(family, vocabulary, tokens).eval()
    for parameter in model.parameters():  # the library draws them so small that all odds are equal
        if parameter.ndim > 1:
            parameter.data.normal_(std=parameter[0].numel() ** -0.5)
    model.save_pretrained(folder)
    tensors = {key: value.contiguous() for key, value in model.state_dict().items()}
    del tensors["lm_head.weight"]  # tied, and so not stored
    if old:
        tensors = {_old_name(key): value for key, value in tensors.items()}
        _age(folder)
    save_file(tensors, folder / WEIGHTS, {"format": "pt"})
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    colours = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(colours))
    return model


def write_sa2va(folder: Path, family: str = "qwen3", seed: int = 0) -> PreTrainedModel:
    """Write a Sa2VA on such a model, with a small SAM 2, and return the library's model."""
    model = write_plain(folder, family, seed)
    config = json.loads((folder / "config.json").read_text())
    sam2 = json.loads((TINY / "config.json").read_text())["grounding_config"]
    config |= {"grounding_config": sam2, "model_type": "sa2va_chat"}
    (folder / "config.json").write_text(json.dumps(config))
    read = read_config(folder, has_tuned_decoder=False)
    network = lay_out(read)
    shapes = expected_shapes(network, tensor_sources(network, read))
    own = {key: shape for key, shape in shapes.items() if not key.startswith("model.")}
    tensors = {f"model.{key}": value for key, value in load_file(folder / WEIGHTS).items()}
    tensors["model.lm_head.weight"] = model.lm_head.weight.detach().clone()
    save_file({**tensors, **random_values(own, seed)}, folder / WEIGHTS)
    return model


def _model(family: str, vocabulary: int, tokens: dict[str, int]) -> PreTrainedModel:
    named: dict[str, Any] = {
        "image_token_id": tokens["<|image_pad|>"],
        "vision_start_token_id": tokens["<|vision_start|>"],
        "vision_end_token_id": tokens["<|vision_end|>"],
        "tie_word_embeddings": True,
    }
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}
    text = TEXT | {"vocab_size": vocabulary, "rope_parameters": rope, "tie_word_embeddings": True}
    if family == "qwen3":
        vision = VISION | {"patch_size": 16, "num_position_embeddings": 64,
                           "hidden_act": "gelu_pytorch_tanh",
                           "deepstack_visual_indexes": [0, 1, 2]}  # fmt: skip
        rope |= {"mrope_interleaved": True}
        config = Qwen3VLConfig(
            text_config=text | {"head_dim": 16}, vision_config=vision, **named
        )  # fmt: skip
        return Qwen3VLForConditionalGeneration(config)
    vision = VISION | {"patch_size": 14, "window_size": 112, "fullatt_block_indexes": [1],
                       "hidden_act": "silu"}  # fmt: skip
    return Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(text_config=text, vision_config=vision, **named)
    )


def _write_tokenizer(folder: Path) -> dict[str, int]:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    return {token: tokenizer.token_to_id(token) for token in SPECIAL}


def _age(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    text = config.pop("text_config")
    rope = text.pop("rope_parameters")
    text |= {"rope_theta": rope["rope_theta"],
             "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]}}  # fmt: skip
    (folder / "config.json").write_text(json.dumps({**text, **config}))


def _old_name(key: str) -> str:
    if key.startswith("model.language_model."):
        return key.replace("model.language_model.", "model.")
    return key.removeprefix("model.")
