"""config.json: what is read from it, and what is refused by name."""

from typing import Any

import pytest
import torch
from models.checkpoints import TINY, copy_checkpoint

from submission.errors import InputError
from submission.models.sa2va.internvl.config import read_config
from submission.models.sa2va.loading import load
from submission.models.sam2.sizes import GroundingConfig, HieraConfig


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
        ("{", r"config\.json: not valid JSON: .*line 1 column 2"),
        ("[]", r"config\.json: "),
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
        ("llm_config.architectures", [], r"config\.json: "),
        ("llm_config.use_sliding_window", True, "only full attention"),
        ("template", "vicuna", "known: internlm2_chat, qwen_chat, phi3_chat"),
        ("template", None, r"config\.json: "),
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
