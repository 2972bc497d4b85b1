"""Read a checkpoint's config.json into frozen records; nothing is guessed from a name.

What a checkpoint says of SAM 2, or leaves unsaid, is read in submission/models/sam2/sizes.py.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from transformers import (
    InternVLVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from submission.errors import InputError
from submission.models.sa2va.config_file import read_values
from submission.models.sa2va.internvl.llm_config import (
    architecture_of,
    language_config,
    template_of,
)
from submission.models.sa2va.internvl.prompt import TEMPLATES
from submission.models.sa2va.internvl.vision import VisionTokenizer
from submission.models.sam2.sizes import GroundingConfig, read_grounding

LLM_CONFIGS: dict[str, type[PretrainedConfig]] = {
    "InternLM2ForCausalLM": LlamaConfig,  # a Llama whose q, k and v are stored fused
    "Qwen2ForCausalLM": Qwen2Config,
    "Qwen3ForCausalLM": Qwen3Config,
}
LLM_CLASSES: dict[str, type[PreTrainedModel]] = {
    "InternLM2ForCausalLM": LlamaForCausalLM,
    "Qwen2ForCausalLM": Qwen2ForCausalLM,
    "Qwen3ForCausalLM": Qwen3ForCausalLM,
}
LLM_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "rms_norm_eps",
    "max_position_embeddings",
)


@dataclass(frozen=True)
class Sa2VAConfig:
    """All that the network's construction and its prompts need to know."""

    template: str
    llm_architecture: str
    vision: InternVLVisionConfig
    llm: PretrainedConfig
    grounding: GroundingConfig
    tie_word_embeddings: bool  # the input embedding doubles as the output layer
    has_tuned_decoder: bool  # Sa2VA-i: a second, fine-tuned mask decoder for prompted frames

    @property
    def image_size(self) -> int:
        """Side of the square frames that the vision encoder reads, in pixels."""
        return int(self.vision.image_size[0])  # type: ignore[index]

    @property
    def tokens_per_frame(self) -> int:
        """Visual tokens of one frame after the 2 x 2 pixel shuffle."""
        return (self.image_size // int(self.vision.patch_size[0]) // 2) ** 2  # type: ignore[index]

    def modules(self) -> tuple[nn.Module, PreTrainedModel]:
        """Build the vision encoder and the language model, with random values."""
        # "sdpa" is the one attention of transformers that takes our packed mask on every device.
        self.llm._attn_implementation = "sdpa"
        self.vision._attn_implementation = "sdpa"
        vision = VisionTokenizer(self.vision, self.llm.hidden_size)
        return vision, LLM_CLASSES[self.llm_architecture](self.llm)


def read_config(folder: Path, *, has_tuned_decoder: bool, template: str = "") -> Sa2VAConfig:
    """Read `folder/config.json`; `template` goes before the one that it states.

    Raises InputError for a missing or broken file and for a kind of model that this kit does not
    build, naming the key.
    """
    path = folder / "config.json"
    values = read_values(folder)
    try:
        return parse_config(values, has_tuned_decoder=has_tuned_decoder, template=template)
    except KeyError as error:
        raise InputError(f"{path}: the key {error} is missing") from None
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None


def parse_config(
    values: Mapping[str, Any], *, has_tuned_decoder: bool, template: str = ""
) -> Sa2VAConfig:
    """Turn the content of config.json into a Sa2VAConfig.

    Raises KeyError for a missing key and ValueError for a value that this kit does not support.
    """
    _refuse_unsupported(values)
    llm = language_config(values)
    architecture = architecture_of(llm, LLM_CONFIGS)
    return Sa2VAConfig(
        template=template_of(values, TEMPLATES, template),
        llm_architecture=architecture,
        vision=_vision_config(values["vision_config"]),
        llm=_llm_config(architecture, llm),
        grounding=read_grounding(values),
        tie_word_embeddings=bool(llm.get("tie_word_embeddings", False)),
        has_tuned_decoder=has_tuned_decoder,
    )


def _refuse_unsupported(values: Mapping[str, Any]) -> None:
    if values.get("samurai_mode"):
        warnings.warn(
            "samurai_mode is true in config.json; it is ignored, as SaSaSa2VA's evaluator does",
            stacklevel=2,
        )
    required = {"downsample_ratio": 0.5, "ps_version": "v2", "select_layer": -1}
    for key, value in required.items():
        if values.get(key, value) != value:
            raise ValueError(f"{key} is {values[key]!r}; only {value!r} is supported")
    for key in ("use_backbone_lora", "use_llm_lora"):
        if values.get(key, 0):
            raise ValueError(f"{key} is {values[key]!r}; merge the LoRA weights before loading")


def _vision_config(values: Mapping[str, Any]) -> InternVLVisionConfig:
    return InternVLVisionConfig(
        hidden_size=values["hidden_size"],
        num_hidden_layers=values["num_hidden_layers"],
        num_attention_heads=values["num_attention_heads"],
        intermediate_size=values["intermediate_size"],
        attention_bias=values["qkv_bias"],
        use_qk_norm=values["qk_normalization"],
        norm_type=values["norm_type"],
        hidden_act=values.get("hidden_act", "gelu"),
        layer_norm_eps=values["layer_norm_eps"],
        image_size=values["image_size"],
        patch_size=values["patch_size"],
        use_mean_pooling=True,  # the projector reads the last layer without a final norm
    )


def _llm_config(architecture: str, values: Mapping[str, Any]) -> PretrainedConfig:
    settings = {key: values[key] for key in LLM_SIZES}
    if architecture == "InternLM2ForCausalLM":
        settings |= {"attention_bias": bool(values.get("bias", False)), "mlp_bias": False}
    if architecture == "Qwen3ForCausalLM":
        settings["attention_bias"] = bool(values.get("attention_bias", False))
    if values.get("head_dim"):
        settings["head_dim"] = values["head_dim"]
    if values.get("use_sliding_window"):
        raise ValueError("llm_config.use_sliding_window is true; only full attention is supported")
    settings["rope_parameters"] = _rope_parameters(values)
    settings["tie_word_embeddings"] = False  # a tied output layer is filled twice instead
    return LLM_CONFIGS[architecture](**settings)


def _rope_parameters(values: Mapping[str, Any]) -> dict[str, Any]:
    # Newer configs say rope_parameters, older ones rope_theta and rope_scaling {"type", "factor"}.
    scaling = dict(values.get("rope_parameters") or values.get("rope_scaling") or {})
    kind = scaling.pop("rope_type", None) or scaling.pop("type", None) or "default"
    scaling.pop("type", None)
    theta = scaling.pop("rope_theta", None) or values["rope_theta"]
    return {"rope_type": kind, "rope_theta": float(theta), **scaling}
