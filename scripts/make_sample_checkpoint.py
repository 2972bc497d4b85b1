"""Make the small Sa2VA checkpoint that the project carries: real layout, random weights.

    python -m scripts.make_sample_checkpoint [OUT]

Everything is as in a released checkpoint (config.json, tokenizer files, safetensors with the
reference names), only small. The weights are drawn from a seed, so its masks mean nothing; only the
output layer is set, so that every answer is "[SEG]" and ends. It shows the way, not quality.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from submission.model.configuration import Sa2VAConfig, parse_config
from submission.model.network import Network, lay_out
from submission.model.prompt import SEG, build_prompt
from submission.model.tensor_names import expected_shapes, tensor_sources
from submission.model.tokenizer import load_tokenizer

SEED = 20285  # one of a few whose masks are neither empty nor full
OUT = Path("submission/samples/checkpoint")
SENTENCES = Path("submission/samples/mevis/valid_u/meta_expressions.json")
END = "<|im_end|>"
# The special tokens of a released Qwen2-type checkpoint, in their order.
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", END, "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>",
    "<ref>", "</ref>", "<box>", "</box>", SEG, "<p>", "</p>", "<vp>", "</vp>",
]  # fmt: skip
VISION = {
    "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96,
    "norm_type": "layer_norm", "qkv_bias": True, "qk_normalization": False, "hidden_act": "gelu",
    "layer_norm_eps": 1e-6, "image_size": 112, "patch_size": 14,
}  # fmt: skip
LANGUAGE = {
    "architectures": ["Qwen2ForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128,
    "hidden_act": "silu", "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "rope_scaling": None,
    "max_position_embeddings": 32768, "tie_word_embeddings": False,
}  # fmt: skip
GROUNDING = {
    "image_size": 128, "hidden_size": 64, "memory_size": 32, "memory_layers": 2, "memory_ffn": 128,
    "decoder_ffn": 128, "iou_head_size": 64,
    "hiera": {
        "embed_dim": 16, "num_heads": 1, "stages": [1, 2, 3, 1], "global_att_blocks": [4],
        "window_pos_embed_bkg_spatial_size": [7, 7], "window_spec": [8, 4, 8, 4],
    },
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", nargs="?", type=Path, default=OUT)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    vocabulary = write_tokenizer(out)
    values = write_config(out, vocabulary)
    config = parse_config(values, has_tuned_decoder=False)
    network = lay_out(config)
    tensors = draw_weights(network, config)
    torch.nn.Module.load_state_dict(network, named_values(network, config, tensors), assign=True)
    tensors["language_model.lm_head.weight"] = answer_with_seg(network, config, out)
    save_file({key: value.to(torch.bfloat16) for key, value in tensors.items()},
              out / "model.safetensors", metadata={"format": "pt"})  # fmt: skip
    size = (out / "model.safetensors").stat().st_size
    print(f"{out}: {sum(v.numel() for v in tensors.values()):,} values, {size / 1e6:.2f} MB")


def write_tokenizer(out: Path) -> int:
    """Train a byte-level BPE on the sample's sentences; return the size of the vocabulary."""
    videos = json.loads(SENTENCES.read_text(encoding="utf-8"))["videos"]
    texts = [e["exp"] for video in videos.values() for e in video["expressions"].values()]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [f"Please segment {text}." for text in texts],
        trainers.BpeTrainer(vocab_size=480, initial_alphabet=alphabet, show_progress=False),
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in SPECIAL])
    tokenizer.save(str(out / "tokenizer.json"))
    added = {
        str(tokenizer.token_to_id(token)): {"content": token, "special": True} for token in SPECIAL
    }
    settings = {
        "add_bos_token": False, "added_tokens_decoder": added, "eos_token": END,
        "pad_token": SPECIAL[0], "tokenizer_class": "Qwen2Tokenizer",
    }  # fmt: skip
    write_json(out / "tokenizer_config.json", settings)
    return tokenizer.get_vocab_size()


def write_config(out: Path, vocabulary: int) -> dict[str, Any]:
    """Write config.json and return its values."""
    values = {
        "architectures": ["Sa2VAChatModel"], "model_type": "sa2va_chat", "template": "qwen_chat",
        "downsample_ratio": 0.5, "ps_version": "v2", "select_layer": -1,
        "force_image_size": VISION["image_size"], "use_backbone_lora": 0, "use_llm_lora": 0,
        "vision_config": VISION, "llm_config": LANGUAGE | {"vocab_size": vocabulary},
        "grounding_config": GROUNDING,
    }  # fmt: skip
    write_json(out / "config.json", values)
    return values


def draw_weights(network: Network, config: Sa2VAConfig) -> dict[str, Tensor]:
    """Draw every tensor of the checkpoint from the seed, at a scale that keeps signals alive."""
    generator = torch.Generator().manual_seed(SEED)
    shapes = expected_shapes(network, tensor_sources(network, config))
    tensors = {}
    for key, shape in shapes.items():
        noise = torch.randn(shape, generator=generator)
        fan_in = max(1, noise[0].numel()) if len(shape) > 1 else 1
        if len(shape) > 1:
            tensors[key] = noise / fan_in**0.5
        else:  # norms near one, biases near zero
            tensors[key] = 0.1 * noise + (1.0 if "norm" in key and key.endswith("weight") else 0.0)
    return tensors


def named_values(
    network: Network, config: Sa2VAConfig, tensors: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The same values under the network's own names."""
    sources = tensor_sources(network, config)
    return {
        name: tensors[s.key].clone() if s.rows is None else s.rows(tensors[s.key]).clone()
        for name, s in sources.items()
    }


@torch.no_grad()
def answer_with_seg(network: Network, config: Sa2VAConfig, out: Path) -> Tensor:
    """An output layer that says [SEG] at the end of a prompt and ends after [SEG].

    Both states differ clearly even in a random network; their difference is the direction.
    """
    tokenizer = load_tokenizer(out)
    ids = tokenizer.encode(build_prompt(config.template, "the shapes", 3, 16, "sa2va"))
    seg, end = tokenizer.find(SEG), tokenizer.find(END)
    assert seg is not None
    assert end is not None
    states = network.language.model(input_ids=torch.tensor([[*ids, seg]])).last_hidden_state[0]
    direction = states[-2] - states[-1]
    weight = torch.zeros_like(network.language.lm_head.weight)
    weight[seg], weight[end] = direction, -direction
    return weight


def write_json(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
