"""Every released size, laid out without values, has the reference's tensors and shapes."""

import json
import math
from functools import cache

import pytest
from models.cases import REFERENCE
from models.released import RELEASED, Shapes, config_json, stored_shapes

from submission.models.sa2va.internvl.config import Sa2VAConfig, parse_config
from submission.models.sa2va.internvl.tensor_names import tensor_sources
from submission.models.sa2va.network import Network, lay_out
from submission.models.sa2va.tensor_names import expected_shapes
from submission.models.sam2.sizes import GroundingConfig
from submission.weights.expected import expected_files
from submission.weights.lock_file import default_lock, read_lock

SAM2 = "grounding_encoder.sam2_model."


@cache
def laid_out(name: str) -> tuple[Network, Sa2VAConfig]:
    config = parse_config(config_json(name), has_tuned_decoder=RELEASED[name][2])
    return lay_out(config), config


def our_shapes(name: str) -> Shapes:
    network, config = laid_out(name)
    return expected_shapes(network, tensor_sources(network, config))


@pytest.mark.parametrize("name", RELEASED)
def test_tensors_of_a_released_checkpoint(name):
    ours, stored = our_shapes(name), stored_shapes(name)
    assert sorted(ours.keys() ^ stored.keys()) == []
    assert {key: (ours[key], stored[key]) for key in stored if ours[key] != stored[key]} == {}


@pytest.mark.parametrize("name", RELEASED)
def test_no_parameter_takes_memory_and_tables_are_real(name):
    network, config = laid_out(name)
    assert {value.device.type for value in network.parameters()} == {"meta"}
    stored = network.state_dict().keys()
    tables = [value for key, value in network.named_buffers() if key not in stored]
    assert tables
    assert {value.device.type for value in tables} == {"cpu"}
    assert config.grounding == GroundingConfig()
    assert (config.image_size, config.tokens_per_frame) == (448, 256)
    assert config.template in ("qwen_chat", "phi3_chat", "internlm2_chat")


# Parameters, tensors and bytes of data (InternViT in bfloat16, all else in float32) as they were
# counted on the released files; the one buffer (2 x 128 values) is a tensor and no parameter.
PUBLISHED = {
    "Sa2VA-1B": (1_163_665_714, 1541, 4_046_638_280),
    "Sa2VA-4B": (3_941_809_714, 1685, 15_159_214_280),
    "Sa2VA-8B": (8_317_666_866, 1477, 32_662_642_888),
    "Sa2VA-26B": (25_778_005_938, 1838, 92_039_031_752),
    "Sa2VA-InternVL3-2B": (2_316_157_234, 1589, 8_656_605_384),
    "Sa2VA-InternVL3-8B": (8_182_606_130, 1589, 32_122_400_968),
    "Sa2VA-InternVL3-14B": (15_369_268_530, 1829, 60_869_050_568),
}
BUFFER = f"{SAM2}sam_prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"


def stored_bytes(key: str, shape: tuple[int, ...]) -> int:
    return math.prod(shape) * (2 if key.startswith("vision_model.") else 4)


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_tensors_and_bytes_are_those_counted_on_the_released_files(name):
    shapes = our_shapes(name)
    values = sum(math.prod(shape) for shape in shapes.values())
    assert math.prod(shapes[BUFFER]) == 256
    # The count of the InternVL3 types leaves the buffer out.
    parameters = values - (256 if "InternVL3" in name else 0)
    data = sum(stored_bytes(key, shape) for key, shape in shapes.items())
    assert (parameters, len(shapes), data) == PUBLISHED[name]


# The order in which the reference's classes register what they hold: parameters before modules.
PARTS = """
class_embedding position_embedding patch_embedding embed_tokens tok_embeddings layers ls1 ls2
self_attn attn attention q_proj k_proj v_proj o_proj wqkv wo qkv q_norm k_norm proj mlp feed_forward
fc1 fc2 gate_proj up_proj down_proj w1 w3 w2 norm1 norm2 input_layernorm post_attention_layernorm
attention_norm ffn_norm norm lm_head output weight bias
""".split()  # noqa: SIM905
MODULES = ("vision_model", "language_model", "mlp1", "grounding_encoder", "text_hidden_fcs")
LARGEST_SHARD = 5e9  # bytes of tensors, where the exporting library begins another file


def place_in_the_reference(key: str) -> tuple[int, ...]:
    module, *parts = key.split(".")
    if module not in MODULES[:2]:
        return (MODULES.index(module),)
    named = [part for part in parts if part not in ("model", "embeddings", "encoder")]
    return (
        MODULES.index(module),
        *(int(part) if part.isdigit() else PARTS.index(part) for part in named),
    )


def file_bytes(shapes: Shapes, keys: list[str]) -> int:
    """Bytes of a safetensors file: its length field, its header in JSON, and the tensors."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for key in sorted(keys, key=lambda key: (key.startswith("vision_model."), key)):
        stop = start + stored_bytes(key, shapes[key])
        kind = "BF16" if key.startswith("vision_model.") else "F32"
        header[key] = {"dtype": kind, "shape": shapes[key], "data_offsets": [start, stop]}
        start = stop
    length = len(json.dumps(header, separators=(",", ":")))
    return 8 + length + -length % 8 + start


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_sizes_of_all_weight_files_follow_from_the_shapes(name):
    shapes = our_shapes(name)
    shards: list[list[str]] = [[]]
    filled = 0
    for key in sorted(shapes, key=place_in_the_reference):
        size = stored_bytes(key, shapes[key])
        if filled + size > LARGEST_SHARD:
            shards.append([])
            filled = 0
        shards[-1].append(key)
        filled += size
    expected = expected_files(read_lock(default_lock()).take(name))
    listed = [file.bytes for file in expected if file.path.endswith(".safetensors")]
    assert [file_bytes(shapes, keys) for keys in shards] == listed


@pytest.mark.parametrize(
    ("name", "tensors", "values"),
    [("Sa2VA-1B", 900, 224_430_386), ("Sa2VA-i-1B", 1031, 228_645_495)],
)
def test_sam2_is_hiera_large_of_sam_2_0(name, tensors, values):
    shapes = {key: shape for key, shape in our_shapes(name).items() if key.startswith(SAM2)}
    assert len(shapes) == tensors
    assert sum(math.prod(shape) for shape in shapes.values()) == values
    assert not any("no_obj_embed_spatial" in key for key in shapes)  # that would be SAM 2.1


def test_the_packed_list_is_the_dump_of_the_reference_classes():
    """Where the full lists lie beside the project, every line of them is in ours."""
    facts = REFERENCE.parents[2] / "shared" / "facts"
    if not facts.is_dir():
        pytest.skip("no ../shared/facts beside the project: only the packed list was compared")
    packed = set((REFERENCE / "sam2_tensors.txt").read_text().splitlines())
    for name, tuned in (("sam2_keys_sa2va.txt", False), ("sam2_keys_sa2vai.txt", True)):
        lines = (facts / name).read_text().splitlines()
        dumped = {line for line in lines if not line.startswith("#")}
        assert dumped == {line for line in packed if tuned or "_decoder_modified." not in line}
