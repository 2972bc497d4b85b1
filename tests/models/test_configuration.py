"""config.json: what is read from it, and what is refused by name."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from models.checkpoints import TINY, copy_checkpoint

from submission.cost.released import KNOWN, config_json
from submission.errors import FaultyInput, InputError
from submission.experts.sa2va.cost import Cost
from submission.models.sa2va.config_bounds import faults
from submission.models.sa2va.config_file import read_values
from submission.models.sa2va.internvl.config import read_config
from submission.models.sa2va.loading import load, open_checkpoint
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sam2.sizes import GroundingConfig, HieraConfig


def read_sizes(folder):
    """The sizes of a folder, as a dry run reads them."""
    return Cost(read_values(folder), folder / "config.json", PROCEDURES["sa2va"], "none").sizes


def test_sizes_of_sam2_under_both_names(sa2va, sa2va_i):
    assert sa2va.config.grounding == GroundingConfig(
        image_size=64, hidden_size=64, memory_size=16, memory_layers=1, memory_ffn=32,
        decoder_ffn=32, iou_head_size=32,
        hiera=HieraConfig(8, 1, (1, 1, 2, 1), (3,), (7, 7), (8, 4, 16, 8)),
    )  # fmt: skip
    assert sa2va_i.config.grounding == GroundingConfig(
        image_size=256, hidden_size=64, memory_size=16, memory_layers=2, memory_ffn=128,
        hiera=HieraConfig(16, 1, (1, 2, 3, 1), (4,), (7, 7), (8, 4, 16, 8)),
    )  # fmt: skip


def test_the_folder_name_decides_nothing(tmp_path):
    folder = copy_checkpoint(TINY, tmp_path / "Sa2VA-i-26B-internlm2")
    one, other = (read_config(path, has_tuned_decoder=False) for path in (TINY, folder))
    assert one.llm.to_dict() == other.llm.to_dict()
    assert (one.template, one.grounding) == (other.template, other.grounding)


def test_every_norm_of_the_vision_encoder_has_the_stated_epsilon(tmp_path):
    def change(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        config["vision_config"]["layer_norm_eps"] = 1e-3

    encoder = load(copy_checkpoint(TINY, tmp_path / "eps", change), "cpu").network.vision.encoder
    norms = [module for module in encoder.modules() if hasattr(module, "variance_epsilon")]
    assert {module.variance_epsilon for module in norms} == {1e-3}
    assert len(norms) >= 4 * encoder.config.num_hidden_layers  # two in a layer, and q and k


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", r"config\.json: broken JSON at line 1, column 2"),
        ("[]", r"config\.json: it holds a list; it must be a JSON object"),
        ("{}", r"config\.json: the key 'llm_config' is missing"),
    ],
)
def test_a_broken_config(tmp_path, text, says):
    folder = copy_checkpoint(TINY, tmp_path / "changed")
    (folder / "config.json").write_text(text)
    with pytest.raises(InputError, match=says):
        load(folder, "cpu", "float32")


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("llm_config.architectures", ["Phi3ForCausalLM"], "known: InternLM2ForCausalLM, Qwen2"),
        ("llm_config.architectures", [], r"architectures is \[\]; known: InternLM2ForCausalLM"),
        ("llm_config.architectures", None, r"architectures is None; known: InternLM2ForCausalLM"),
        ("llm_config", None, r"llm_config is null; it must be an object"),
        ("llm_config.use_sliding_window", True, "only full attention"),
        ("template", "vicuna", "known: internlm2_chat, qwen_chat, phi3_chat"),
        ("template", None, r"names no template.*in the recipe: template = one of internlm2_chat"),
        ("template", 3, "template is 3; known: internlm2_chat"),
        ("use_llm_lora", 64, "merge the LoRA weights"),
        ("use_backbone_lora", 16, "merge the LoRA weights"),
        ("ps_version", "v1", "only 'v2' is supported"),
        ("select_layer", -4, "only -1 is supported"),
        ("downsample_ratio", 1.0, r"only 0\.5 is supported"),
        ("grounding_config.image_size", 100, "not a multiple of 32"),
        ("grounding_config.memory_size", 48, "not a multiple of"),
        ("grounding_config.colour", "red", "colour"),
        ("grounding_config.hiera.global_att_blocks", [1], r"blocks \[1\] begin a stage"),
        ("vision_config", {}, "the key 'hidden_size' is missing"),
    ],
)
def test_configs_that_this_kit_does_not_build(tmp_path, path, value, says):
    def change(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        *parents, key = path.split(".")
        for parent in parents:
            config = config[parent]
        config[key] = value

    with pytest.raises(InputError, match=says) as error:
        load(copy_checkpoint(TINY, tmp_path / "changed", change), "cpu", "float32")
    assert "config.json" in str(error.value)


def test_numbers_that_no_model_has_are_told_together_before_anything_is_made(tmp_path):
    odd = {
        "llm_config.hidden_size": 1e308, "llm_config.vocab_size": None,
        "llm_config.rms_norm_eps": float("nan"), "llm_config.num_hidden_layers": "2",
        "vision_config.layer_norm_eps": {}, "vision_config.hidden_act": "gleu",
        "vision_config.qkv_bias": 1, "vision_config.image_size": [64] * 200,
        "grounding_config.iou_head_size": None, "grounding_config.memory_ffn": 2**31,
        "grounding_config.image_size": 1_000_128, "grounding_config.memory_layers": True,
        "grounding_config.hiera.stages": [1, 2, 3, 10**29],
        "grounding_config.hiera.global_att_blocks": [-1],
    }  # fmt: skip

    def change(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        for path, value in odd.items():
            *parents, key = path.split(".")
            table = config
            for parent in parents:
                table = table[parent]
            table[key] = value

    folder = copy_checkpoint(TINY, tmp_path / "odd", change)
    for read in (partial(read_config, has_tuned_decoder=False), read_sizes):
        with pytest.raises(FaultyInput, match=r"config\.json: no model is like that") as caught:
            read(folder)
        assert {fault.where for fault in caught.value.faults} == odd.keys()


def test_what_every_released_config_says_is_within_bounds():
    for name in KNOWN:
        assert list(faults(config_json(name))) == []


@pytest.mark.parametrize("heads", [5, 64])
def test_sizes_that_contradict_each_other_are_a_fault_of_the_file(tmp_path, heads):
    def change(config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        config["llm_config"] |= {"num_attention_heads": heads, "num_key_value_heads": 3}
        config["llm_config"]["rope_scaling"] = {"type": "nobody knows", "factor": 2.0}

    folder = copy_checkpoint(TINY, tmp_path / "odd", change)
    with pytest.raises(InputError, match=r"config\.json: "):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"text_config": {"model_type": "qwen2_5_vl_text"},
          "vision_config": {"model_type": "qwen2_5_vl"}}, "a Sa2VA on a Qwen-VL that is neither"),
        ({"vision_config": {"model_type": "clip_vision_model"}}, "a Sa2VA on LLaVA"),
        ({"architectures": ["LlavaForConditionalGeneration"]}, "a Sa2VA on LLaVA"),
        ({"llm_config": {}, "sam3_config": {}}, "a Sa2VA with SAM 3 in place of SAM 2"),
    ],
)  # fmt: skip
def test_families_that_are_not_built_are_named(tmp_path, values, says):
    (tmp_path / "config.json").write_text(json.dumps(values))
    for read in (partial(read_config, has_tuned_decoder=False), read_sizes):
        with pytest.raises(InputError, match=says) as error:
            read(tmp_path)
        assert "config.json" in str(error.value)


# --- oddities of the released files: what is learnt of another becomes a row -------------------
QWEN_EOS, LLM_EOS = "<|im_end|>", 151643
ROPE = {"factor": 2.0, "rope_type": "dynamic", "type": "dynamic"}
Values = dict[str, Any]


def _newer_dump(config: Values, tensors: Values) -> None:
    """As transformers 4.56 writes it, on InternVL3: defaults are left out, names are doubled."""
    llm = config["llm_config"]
    llm |= {"layer_types": ["full_attention"] * llm["num_hidden_layers"], "rope_scaling": ROPE,
            "max_window_layers": 70, "sliding_window": None, "moe_config": None,
            "use_bfloat16": True, "dtype": "bfloat16"}  # fmt: skip
    del llm["tie_word_embeddings"]
    config |= {"image_fold": None, "system_message": None, "pad2square": False}


def _experts_that_are_none(config: Values, tensors: Values) -> None:
    config["vision_config"] |= {"model_type": "intern_vit_6b", "moe_coeff_ratio": 0.5,
                                "moe_intermediate_size": 768, "num_experts": 8,
                                "num_routed_experts": 4, "use_moe": False}  # fmt: skip


def _another_end(config: Values, tensors: Values) -> None:
    config["llm_config"] |= {"bos_token_id": LLM_EOS, "eos_token_id": LLM_EOS}


def _two_precisions(config: Values, tensors: Values) -> None:
    for key, value in tensors.items():
        narrow = torch.bfloat16 if key.startswith("vision_model.") else torch.float32
        tensors[key] = value.to(narrow)


def _no_template(config: Values, tensors: Values) -> None:
    del config["template"]


def _null_template(config: Values, tensors: Values) -> None:
    config["template"] = None


def _with_mark(folder: Path) -> None:
    content = (folder / "config.json").read_bytes()
    (folder / "config.json").write_bytes(b"\xef\xbb\xbf" + content)


def _no_generation_config(folder: Path) -> None:
    (folder / "generation_config.json").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("change", "spoil", "asked"),
    [
        (_newer_dump, None, {}),
        (_experts_that_are_none, None, {}),
        (_another_end, None, {}),
        (_two_precisions, None, {}),
        (_no_template, None, {"template": "phi3_chat"}),
        (_null_template, None, {"template": "phi3_chat"}),
        (None, _with_mark, {}),
        (None, _no_generation_config, {}),
    ],
)
def test_oddities_of_the_released_files(tmp_path, sa2va, change, spoil, asked):
    folder = copy_checkpoint(TINY, tmp_path / "odd", change)
    if spoil is not None:
        spoil(folder)
    model = load(folder, "cpu", "float32", **asked)
    assert model.config.template == asked.get("template", sa2va.config.template)
    assert model.tokenizer.eos_id == sa2va.tokenizer.find(QWEN_EOS) != LLM_EOS
    assert model.config.llm.rope_parameters["rope_theta"] == 1e6
    if change is _newer_dump:
        assert model.config.llm.rope_parameters == {"rope_theta": 1e6} | _without(ROPE, "type")
    for name, value in model.network.state_dict().items():
        narrow = change is _two_precisions and name.startswith("vision.")
        wanted = sa2va.network.state_dict()[name]
        assert value.dtype == wanted.dtype, name
        assert torch.equal(value, wanted.bfloat16().float() if narrow else wanted), name


def _without(values: Values, key: str) -> Values:
    return {name: value for name, value in values.items() if name != key}
