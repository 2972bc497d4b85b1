"""Every organ keeps to the device and precision of its weights: no table stays behind on the CPU.

The meta device stands in for a GPU: an operation that mixes it with the CPU fails, and nothing is
computed, so that even the 26B size is run through at its true shapes.
"""

import pytest
import torch
from models.released import config_json

from submission.models.checkpoint import move_tables
from submission.models.sa2va.internvl.config import parse_config
from submission.models.sa2va.language import _PackedAnswers, read_prefix
from submission.models.sa2va.network import Network, lay_out
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sam2.tracker import Tracker

ELSEWHERE = torch.device("meta")
KEY_FRAMES, OBJECTS = 3, 2
SIZES = ["Sa2VA-1B", "Sa2VA-4B", "Sa2VA-8B", "Sa2VA-26B"]


def elsewhere(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device=ELSEWHERE, dtype=torch.bfloat16)


@pytest.fixture(scope="module", params=SIZES)
def network(request) -> Network:
    values = config_json(request.param)
    # Dynamic scaling looks at positions, which have no values here; it is idle in short prompts.
    values["llm_config"]["rope_scaling"] = None
    network = lay_out(parse_config(values, has_tuned_decoder=True))
    for parameter in network.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    move_tables(network, ELSEWHERE)
    return network


# SAM 2 is the same in every size.
smallest = pytest.mark.parametrize("network", ["Sa2VA-1B"], indirect=True)


@torch.inference_mode()
def test_vision_and_language(network):
    size = network.language.config.hidden_size
    tokens = network.vision(elsewhere(KEY_FRAMES, 3, 448, 448))
    assert tokens.shape == (KEY_FRAMES, 256, size)
    prefix = read_prefix(network.language, tokens.flatten(0, 1))
    packed = _PackedAnswers(network.language, prefix)
    packed.step([1, 2, 3, 4, 5], [0, 0, 0, 1, 1])
    states = packed.step([6, 7], [0, 1])
    assert states.shape == (2, size)
    language = network.seg_projector(states)
    assert language.shape == (2, 256)
    assert {tokens.dtype, states.dtype, language.dtype} == {torch.bfloat16}
    assert language.device == ELSEWHERE


@smallest
@pytest.mark.parametrize("procedure", ["sa2va", "sa2va-i"])
@torch.inference_mode()
def test_grounding(network, procedure):
    grounding = network.grounding
    features = grounding.encode_images(elsewhere(2, 3, 1024, 1024))[1]
    tracker = Tracker(grounding, PROCEDURES[procedure].policy, frame_size=(480, 854))
    for time in range(KEY_FRAMES):
        tracker.prompt(time, features, elsewhere(OBJECTS, 256))
    for time in range(KEY_FRAMES, KEY_FRAMES + 8):
        logits = tracker.track(time, features).logits
    assert logits.shape == (OBJECTS, 1, 256, 256)
    assert (logits.device, logits.dtype) == (ELSEWHERE, torch.float32)
    assert features.stride16.dtype == torch.bfloat16
    kept = tracker.memory
    assert (len(kept.prompted_maps), len(kept.recent_maps)) == (KEY_FRAMES, 6)


@smallest
@torch.inference_mode()
def test_what_is_left_behind_is_noticed(network):
    """The negative control: a vector on the CPU makes the decoder fail."""
    grounding = network.grounding
    features = grounding.encode_images(elsewhere(1, 3, 1024, 1024))[0]
    kept = grounding.no_mem_embed
    left = torch.zeros(kept.shape, dtype=torch.bfloat16)
    grounding.no_mem_embed = torch.nn.Parameter(left, requires_grad=False)
    try:
        with pytest.raises(RuntimeError):
            grounding.decode_language(features, elsewhere(OBJECTS, 256))
    finally:
        grounding.no_mem_embed = kept


def test_a_network_for_a_cpu_leaves_a_gpu_alone(monkeypatch):
    """SAM 2's rotary attention asks whether there is a GPU, and not which device is meant."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    network = lay_out(parse_config(config_json("Sa2VA-1B"), has_tuned_decoder=True))
    assert torch.cuda.is_available()
    for layer in network.grounding.memory_attention.layers:
        assert layer.self_attn.freqs_cis.device.type == "cpu"


def test_the_language_model_keeps_off_the_kernel_that_plans_for_every_length(sa2va, frames):
    allowed = []
    hook = sa2va.network.language.model.layers[0].register_forward_pre_hook(
        lambda *_: allowed.append(torch.backends.cuda.cudnn_sdp_enabled())
    )
    before = torch.backends.cuda.cudnn_sdp_enabled()
    sa2va.segment(frames, ["which one?"], answers=["It is [SEG].<|im_end|>"])
    hook.remove()
    assert set(allowed) == {False}
    assert torch.backends.cuda.cudnn_sdp_enabled() == before
