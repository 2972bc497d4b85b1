"""Every released size, laid out without values, has the reference's tensors and shapes."""

import math
from functools import cache

import pytest
from models.cases import REFERENCE
from models.released import RELEASED, Shapes, config_json, stored_shapes

from submission.models.sa2va.internvl.config import Sa2VAConfig, parse_config
from submission.models.sa2va.internvl.tensor_names import expected_shapes, tensor_sources
from submission.models.sa2va.network import Network, lay_out
from submission.models.sam2.sizes import GroundingConfig

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


@pytest.mark.parametrize(
    ("name", "billions"),
    [("Sa2VA-1B", 1.2), ("Sa2VA-4B", 3.9), ("Sa2VA-8B", 8.3), ("Sa2VA-26B", 25.8)],
)
def test_sizes_are_what_the_names_say(name, billions):
    values = sum(math.prod(shape) for shape in our_shapes(name).values())
    assert values / 1e9 == pytest.approx(billions, abs=0.2)


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
