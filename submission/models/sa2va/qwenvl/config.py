"""Read a Qwen-VL checkpoint's config.json, image settings and chat template into one record."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from transformers import (
    PreTrainedModel,
    Qwen2_5_VLTextModel,
    Qwen3VLTextModel,
    Qwen3VLVisionModel,
)
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import (
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLVisionConfig,
)
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import (
    Qwen2_5_VisionTransformerPretrainedModel,
)
from transformers.models.qwen3_vl.configuration_qwen3_vl import (
    Qwen3VLTextConfig,
    Qwen3VLVisionConfig,
)

from submission.errors import InputError
from submission.files.strict_json import read_object
from submission.models.sa2va.config_file import read_values
from submission.models.sa2va.qwenvl.images import nested
from submission.models.sa2va.qwenvl.language import Language
from submission.models.sa2va.qwenvl.prompt import read_template
from submission.models.sa2va.tokenizer_files import MOST_BYTES
from submission.models.sam2.sizes import GroundingConfig, read_grounding

TEXT = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "hidden_act", "rms_norm_eps", "max_position_embeddings",
)  # fmt: skip
VISION = (
    "depth", "hidden_size", "hidden_act", "intermediate_size", "num_heads", "patch_size",
    "spatial_merge_size", "temporal_patch_size", "out_hidden_size",
)  # fmt: skip
OF_QWEN2_5 = ("window_size", "fullatt_block_indexes")
OF_QWEN3 = ("num_position_embeddings", "deepstack_visual_indexes")


@dataclass(frozen=True)
class QwenVLConfig:
    """All that the network's construction, its images and its prompts need to know."""

    values: Mapping[str, Any]  # config.json as it stands
    vision: Qwen2_5_VLVisionConfig | Qwen3VLVisionConfig
    llm: Qwen2_5_VLTextConfig | Qwen3VLTextConfig
    grounding: GroundingConfig
    tie_word_embeddings: bool
    has_tuned_decoder: bool
    mean: tuple[float, ...]  # of each channel, of values from 0 to 1
    std: tuple[float, ...]
    template: str  # Jinja, of the checkpoint's folder

    @property
    def is_qwen3(self) -> bool:
        """Qwen3-VL, else Qwen2.5-VL."""
        return isinstance(self.vision, Qwen3VLVisionConfig)

    @property
    def patch(self) -> int:
        """Side of a patch, pixels."""
        return int(self.values["vision_config"]["patch_size"])

    @property
    def merge(self) -> int:
        """Patches along a side of what becomes one visual token."""
        return int(self.values["vision_config"]["spatial_merge_size"])

    @property
    def ends(self) -> tuple[int, ...]:
        """Ids of the tokens that config.json says end an answer."""
        stated = self.values.get("eos_token_id")
        if stated is None:
            stated = self.values["text_config"].get("eos_token_id")
        return tuple(stated) if isinstance(stated, list) else () if stated is None else (stated,)

    def modules(self) -> tuple[nn.Module, PreTrainedModel]:
        """Build the vision encoder and the language model, with random values."""
        # "sdpa" is the one attention of transformers that takes our packed mask on every device.
        self.llm._attn_implementation = "sdpa"
        self.vision._attn_implementation = "sdpa"
        if isinstance(self.vision, Qwen3VLVisionConfig):
            vision: nn.Module = Qwen3VLVisionModel(self.vision)
        else:
            vision = Qwen2_5_VisionTransformerPretrainedModel(self.vision)
        if isinstance(self.llm, Qwen3VLTextConfig):
            return vision, Language(self.llm, Qwen3VLTextModel(self.llm))
        return vision, Language(self.llm, Qwen2_5_VLTextModel(self.llm))


def read_config(folder: Path, *, has_tuned_decoder: bool) -> QwenVLConfig:
    """Read config.json, preprocessor_config.json and the chat template of a folder.

    Raises InputError for a missing or broken file and for a kind of model that this kit does not
    build, naming file and key.
    """
    path = folder / "config.json"
    values = nested(read_values(folder))
    seen = folder / "preprocessor_config.json"
    if not seen.is_file():
        raise InputError(f"{seen}: missing; fetch all files of the checkpoint")
    colours = read_object(seen, most=MOST_BYTES)
    template = read_template(folder)
    try:
        return parse_config(
            values, has_tuned_decoder=has_tuned_decoder, colours=colours, template=template
        )
    except KeyError as error:
        where = seen if str(error.args[0]).startswith("image_") else path
        raise InputError(f"{where}: the key {error} is missing") from None
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: {error}") from None


def parse_config(
    values: Mapping[str, Any], *, has_tuned_decoder: bool, colours: Mapping[str, Any],
    template: str,
) -> QwenVLConfig:  # fmt: skip
    """Turn the content of config.json and preprocessor_config.json into a QwenVLConfig.

    Raises KeyError for a missing key and ValueError for a value that this kit does not support.
    """
    text, vision = values["text_config"], values["vision_config"]
    if text.get("use_sliding_window"):
        raise ValueError("text_config.use_sliding_window is true; only full attention is supported")
    sizes = {key: text[key] for key in TEXT}
    sizes |= {"rope_parameters": _rope_parameters(text), "tie_word_embeddings": False}
    sizes |= {"bos_token_id": None, "eos_token_id": None}  # an answer ends where `ends` says
    shown = {key: vision[key] for key in VISION}
    if shown["temporal_patch_size"] != 2:
        raise ValueError("vision_config.temporal_patch_size must be 2")
    if "deepstack_visual_indexes" in vision:
        sizes |= {"head_dim": text["head_dim"], "attention_bias": bool(text.get("attention_bias"))}
        shown |= {key: vision[key] for key in OF_QWEN3}
        kinds: Any = Qwen3VLVisionConfig, Qwen3VLTextConfig
    else:
        shown |= {key: vision[key] for key in OF_QWEN2_5}
        kinds = Qwen2_5_VLVisionConfig, Qwen2_5_VLTextConfig
    return QwenVLConfig(
        values=values, vision=kinds[0](**shown), llm=kinds[1](**sizes),
        grounding=read_grounding(values),
        tie_word_embeddings=bool(
            values.get("tie_word_embeddings", text.get("tie_word_embeddings", False))
        ),
        has_tuned_decoder=has_tuned_decoder, template=template,
        mean=tuple(colours["image_mean"]), std=tuple(colours["image_std"]),
    )  # fmt: skip


def _rope_parameters(text: Mapping[str, Any]) -> dict[str, Any]:
    """Frequencies by three axes; newer configs name the key rope_parameters."""
    stated = dict(text.get("rope_parameters") or text.get("rope_scaling") or {})
    if "mrope_section" not in stated:
        raise ValueError("text_config has no rope_scaling with mrope_section")
    theta = stated.get("rope_theta") or text["rope_theta"]
    # Older exports say "mrope" for what the library now calls "default" with sections.
    kept = {key: stated[key] for key in ("mrope_section", "mrope_interleaved") if key in stated}
    return {"rope_type": "default", "rope_theta": float(theta), **kept}
