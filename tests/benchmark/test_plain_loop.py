"""The public procedure as a plain loop: what it counts, draws and costs, beside ours."""

from argparse import ArgumentTypeError
from collections import Counter
from dataclasses import replace

import pytest
import torch
from models.plain_qwenvl import write_sa2va

from scripts.benchmark.clips import sentences, synthetic_clip
from scripts.benchmark.procedures import Load, agreement, ours, public
from scripts.benchmark.random_model import make_model
from scripts.benchmark.sizes import config_values, known_size
from scripts.benchmark.stages import MEMORY_ATTENTION, timed_organs
from submission.models.sa2va.loading import load as load_checkpoint
from submission.models.sam2.memory_attention import MemoryReader


@pytest.fixture(scope="module")
def model():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield make_model("reference-internlm2", torch.device("cpu"), torch.float32)
    torch.set_num_threads(before)


def load(procedure="sa2va", frames=9, key_frames=3, seed=0):
    clip = synthetic_clip(frames, 48, 64, seed)
    return Load(clip, sentences(2), key_frames, procedure)


@pytest.mark.parametrize("procedure", ["sa2va", "sa2va-i"])
def test_the_public_loop_draws_the_same_masks(model, procedure):
    slow, fast = public(model, load(procedure)), ours(model, load(procedure))
    same = agreement(slow, fast)
    assert same.lowest_iou > 0.999
    assert same.equal_pixels > 0.999
    assert [one.num_seg for one in slow] == [one.num_seg for one in fast] == [1, 1]
    elsewhere = agreement(slow, ours(model, load(procedure, seed=1)))
    assert elsewhere.lowest_iou < 0.99  # the comparison can fail


@pytest.mark.parametrize(("procedure", "passes"), [("sa2va", 1), ("sa2va-i", 2)])
def test_the_public_loop_encodes_key_frames_again_and_shares_nothing(model, procedure, passes):
    counted = Counter()
    hooks = [
        model.network.grounding.image_encoder.register_forward_hook(
            lambda _, inputs, __: counted.update(images=len(inputs[0]))
        ),
        model.network.vision.register_forward_hook(
            lambda _, inputs, __: counted.update(key_frames=len(inputs[0]))
        ),
    ]
    public(model, load(procedure))
    for hook in hooks:
        hook.remove()
    assert counted == {"images": 2 * (9 + 3 * passes), "key_frames": 2 * 3}


def test_seconds_are_told_for_both_ways_and_nothing_stays_hooked(model):
    before = dict(vars(MemoryReader))
    for procedure in (public, ours):
        with timed_organs(model) as seconds:
            procedure(model, load())
        wanted = {"vision encoder", "language model", "image encoder", "mask decoder"}
        assert {*wanted, "memory encoder", MEMORY_ATTENTION} == set(seconds)
        assert min(seconds.values()) > 0
    assert dict(vars(MemoryReader)) == before
    assert not model.network.vision._forward_hooks


def test_agreement_by_hand(model):
    answers = ours(model, load())
    flipped = [replace(answers[0], masks=inverted(answers[0].masks)), answers[1]]
    same = agreement(answers, flipped)
    assert (same.lowest_iou, same.equal_pixels) == (0.0, 0.5)


def inverted(masks):
    other = type(masks).empty(masks.shape)
    for time in range(len(masks)):
        other.write(time, ~masks[time])
    return other


def test_qwen_vl_goes_the_same_two_ways(tmp_path):
    """The loop reads every sentence behind frames of its own, whatever the backbone."""
    write_sa2va(tmp_path / "qwen")
    model = load_checkpoint(tmp_path / "qwen", "cpu", "float32")
    looks = []
    hook = model.network.vision.register_forward_hook(lambda *_: looks.append(1))
    slow = public(model, load(frames=4, key_frames=2))
    assert len(looks) == 2 * 2
    fast = ours(model, load(frames=4, key_frames=2))
    hook.remove()
    assert len(looks) == 2 * 2 + 2
    assert [one.num_seg for one in slow] == [one.num_seg for one in fast] == [1, 1]
    assert agreement(slow, fast).lowest_iou > 0.999


def test_a_size_with_few_layers_keeps_its_widths():
    for name in ("Sa2VA-Qwen3-VL-2B", "Sa2VA-Qwen2_5-VL-3B", "Sa2VA-InternVL3-2B"):
        whole, cut = config_values(name), config_values(known_size(f"{name}/3"))
        llm = "text_config" if "text_config" in whole else "llm_config"
        for part, key in (("vision_config", "hidden_size"), (llm, "hidden_size"),
                          (llm, "intermediate_size"), (llm, "num_key_value_heads")):  # fmt: skip
            assert cut[part][key] == whole[part][key]
        assert cut[llm]["num_hidden_layers"] == 3
        assert whole[llm]["num_hidden_layers"] > 3  # the table itself stays as it is
    for wrong in ("Sa2VA-9B", "Sa2VA-1B/2", "Sa2VA-1B/x", "sample/3"):
        with pytest.raises(ArgumentTypeError):
            known_size(wrong)
