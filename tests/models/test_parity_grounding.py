"""Each organ of SAM 2 against the reference, every one fed with recorded inputs.

So an organ is judged alone: what the organ before it does wrong does not arrive here.
"""

from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from models.cases import Case, assert_close, cases
from models.trace import trace
from torch import Tensor

from submission.models.sa2va.internvl.vision import resize
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sam2.network import DecodedMasks, normalise
from submission.models.sam2.tracker import Tracker, is_foreground

pytestmark = pytest.mark.usefixtures("without_gradients")


def network(case: Case):
    return case.model.network.grounding


def decoders(case: Case) -> dict[str, torch.nn.Module]:
    """The decoders under the names of the record; Sa2VA has one, whatever the checkpoint has."""
    grounding = network(case)
    if case.procedure == "sa2va":
        return {"std": grounding.tuned_decoder}
    return {"std": grounding.sam_mask_decoder, "modified": grounding.sam_mask_decoder_modified}


def heads(case: Case, *, language: bool, mask: bool = False) -> tuple[Tensor, Tensor]:
    """Recorded predicted IoUs (n, 3 or 1) and object scores (n, 1) of one kind of call."""
    calls = [
        call
        for call in case.record["sam_heads"]
        if (call["lang"], call["maskprompt"]) == (language, mask)
    ]
    ious = [row for call in calls for row in call["ious"]]
    scores = [score for call in calls for score in call["obj_score"]]
    return torch.tensor(ious), torch.tensor(scores)[:, None]


def prompts(case: Case) -> list[tuple[int, int]]:
    """([SEG] number, frame) of every language-prompted call, as recorded."""
    times = [[time for kind, time in calls if kind == "prompt"] for calls in case.calls]
    return [(seg, time) for seg, part in enumerate(times) for time in part]


def tracked(case: Case) -> list[tuple[int, int]]:
    """([SEG] number, frame) of every tracked frame, as recorded."""
    times = [[time for kind, time in calls if kind == "track"] for calls in case.calls]
    return [(seg, time) for seg, part in enumerate(times) for time in part]


def decode_prompts(case: Case, calls: list[tuple[int, int]]) -> list[DecodedMasks]:
    language = case.recorded["language_embd"]
    return [
        network(case).decode_language(case.features(time), language[seg : seg + 1])
        for seg, time in calls
    ]


@cases("sam.g_pixel_first_std")
def test_pixels(case: Case):
    resized = resize(case.frames[:1], network(case).config.image_size)
    pixels = normalise(torch.from_numpy(resized))
    assert_close(pixels, case.recorded["sam.g_pixel_first_std"])


@cases("sam.fpn2_std")
def test_image_features(case: Case):
    ours = case.features(0)
    for name, decoder in decoders(case).items():
        levels = [decoder.conv_s0(ours.stride4), decoder.conv_s1(ours.stride8), ours.stride16]
        for level, values in enumerate(levels):
            key = f"sam.fpn{level}_{name}"
            if key in case.recorded or level == 2:
                assert_close(values, case.recorded[key])


@cases("sam.pos2_std")
def test_position_of_image_features(case: Case):
    position = network(case).position_of(case.features(0))
    assert_close(position, case.recorded["sam.pos2_std"])


@cases("prompt_low_res_multi")
def test_candidates_of_prompted_frames(case: Case):
    recorded = case.recorded["prompt_low_res_multi"]
    found = decode_prompts(case, prompts(case)[: len(recorded)])
    assert_close(torch.cat([one.candidates for one in found]), recorded)


@cases("frame_low_res")
def test_choice_among_candidates(case: Case):
    found = decode_prompts(case, prompts(case))
    ious, scores = heads(case, language=True)
    assert_close(torch.cat([one.ious for one in found]), ious)
    assert_close(torch.cat([one.object_score for one in found]), scores)
    chosen = [case.low_res(seg)[time] for seg, time in prompts(case)]
    if case.procedure == "sa2va-i":  # kept as it is before it is made hard
        chosen = list(case.recorded["prompt_low_res"][:, None])
    for one, recorded in zip(found, chosen, strict=False):
        assert_close(one.logits, recorded)


@cases("frame_low_res", "state0.cond")
def test_pointers_of_prompted_frames(case: Case):
    if case.procedure == "sa2va":
        for (seg, time), found in zip(
            prompts(case), decode_prompts(case, prompts(case)), strict=True
        ):
            assert_close(found.pointer, case.recorded[f"state{seg}.cond.{time}.obj_ptr"])
    else:
        _, pointers = harden(case)
        for time, pointer in pointers.items():
            assert_close(pointer, case.recorded[f"state0.cond.{time}.obj_ptr"])


@cases("prompt_masks_bool")
def test_prompted_masks_before_the_tracker(case: Case):
    recorded = case.recorded["prompt_masks_bool"]
    soft = case.recorded["prompt_low_res"][: len(recorded)]
    size = case.frames.shape[1:3]
    shown = F.interpolate(soft, size, mode="bilinear", align_corners=False)
    assert torch.equal(is_foreground(shown)[:, 0], recorded)


@cases("prompt_low_res", "prompt_masks_bool")
def test_hard_masks_given_to_the_tracker(case: Case):
    logits, _ = harden(case)
    for time, low_res in logits.items():
        assert_close(low_res, case.low_res(0)[time])


@cases("prompt_masks_bool")
def test_decoder_of_hard_masks(case: Case):
    side = network(case).config.image_size
    masks = case.recorded["prompt_masks_bool"][:, None].float()
    given = F.interpolate(masks, (side, side), mode="bilinear", antialias=True) >= 0.5
    found = [
        network(case).decode_given_mask(case.features(time), mask[None].float())
        for (_, time), mask in zip(prompts(case), given, strict=False)
    ]
    ious, scores = heads(case, language=False, mask=True)
    assert_close(torch.cat([one.ious for one in found]), ious[: len(found)])
    assert_close(torch.cat([one.object_score for one in found]), scores[: len(found)])


@cases("frame_low_res")
def test_confidence_of_every_frame(case: Case):
    """Predicted IoU of the best mask times the chance that there is an object, as recorded."""
    expected: dict[int, list[float]] = {}
    for calls, language in ((prompts(case), True), (tracked(case), False)):
        if not calls:
            continue
        ious, scores = heads(case, language=language)
        sure = ious.amax(dim=1) * scores[:, 0].sigmoid()
        for (_, time), one in zip(calls, sure.tolist(), strict=True):
            expected.setdefault(time, []).append(one)
    if not expected:  # an answer without [SEG]
        assert set(trace(case).answer.confidence) == {None}
        return
    means = [np.mean(expected[time]) for time in range(len(case.frames))]
    assert trace(case).answer.confidence == pytest.approx(means, abs=1e-3)
    assert max(means) - min(means) > 2e-3  # else any frame's would do


def harden(case: Case) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    """Sa2VA-i: recorded soft logits through our tracker's prompt; logits and pointers by frame."""
    grounding = network(case)
    tracker = new_tracker(case)
    logits: dict[int, Tensor] = {}
    for (_, time), soft in zip(
        prompts(case), case.recorded["prompt_low_res"][:, None], strict=False
    ):
        found = DecodedMasks(soft, soft, soft, soft, soft)
        with patch.object(grounding, "decode_language", lambda *_, found=found, **__: found):
            logits[time] = tracker.prompt(time, case.features(time), torch.zeros(1, 1)).logits
    return logits, tracker.memory.prompted_pointers


def new_tracker(case: Case) -> Tracker:
    return Tracker(
        network(case), PROCEDURES[case.procedure].policy, frame_size=case.frames.shape[1:3]
    )


@cases("maskmem_pos_enc")
def test_position_of_memory(case: Case):
    assert_close(network(case).memory_position(), case.recorded["maskmem_pos_enc"])


@cases("frame_low_res", "state0.cond.0.maskmem_bf16")
def test_memory_encoder(case: Case):
    for seg, time in [*prompts(case), *tracked(case)]:
        kind = "cond" if time in case.prompted_frames else "non_cond"
        recorded = case.recorded.get(f"state{seg}.{kind}.{time}.maskmem_bf16")
        if recorded is None:
            continue  # large cases keep only some
        ours = network(case).encode_memory(case.features(time), case.low_res(seg)[time])
        assert ours.dtype == recorded.dtype == torch.bfloat16
        difference = (ours.float() - recorded.float()).abs()
        # Equal but for values that lie between two bfloat16 numbers: these round either way.
        step = recorded.float().abs() * 2**-7
        assert (difference <= step + CLOSE_TO_ZERO).all()
        assert (difference > 0).float().mean() < 0.01


CLOSE_TO_ZERO = 1e-4


def remember(case: Case, seg: int, before: int) -> Tracker:
    """A tracker that remembers what the reference remembered when it came to a frame."""
    tracker = new_tracker(case)
    for time in range(len(case.frames)):
        kind = "cond" if time in case.prompted_frames else "non_cond"
        key = f"state{seg}.{kind}.{time}"
        if kind == "cond" or time < before:
            tracker.remember(
                time, case.recorded[f"{key}.maskmem_bf16"], case.recorded[f"{key}.obj_ptr"],
                prompted=kind == "cond",
            )  # fmt: skip
    return tracker


@cases("mem_conditioned_feat", "state0.cond.0.maskmem_bf16", "state0.cond.1.maskmem_bf16")
def test_memory_attention(case: Case):
    recorded = case.recorded["mem_conditioned_feat"]
    for (seg, time), values in zip(tracked(case), recorded, strict=False):
        tracker = remember(case, seg, before=time)
        assert_close(tracker.condition(time, case.features(time)), values[None])


@cases("mem_conditioned_feat", "frame_low_res")
def test_decoder_of_tracked_frames(case: Case):
    conditioned = case.recorded["mem_conditioned_feat"]
    ious, scores = heads(case, language=False)
    policy = PROCEDURES[case.procedure].policy
    for index, ((seg, time), image) in enumerate(zip(tracked(case), conditioned, strict=False)):
        found = network(case).decode_tracked(
            case.features(time), image[None], gate=policy.gate_tracked,
            decoder=policy.tracking_decoder,
        )  # fmt: skip
        assert_close(found.logits, case.low_res(seg)[time])
        assert_close(found.ious, ious[index : index + 1])
        assert_close(found.object_score, scores[index : index + 1])
        pointer = case.recorded.get(f"state{seg}.non_cond.{time}.obj_ptr")
        if pointer is not None:
            assert_close(found.pointer, pointer)


@cases("final_logits.0", "frame_low_res")
def test_enlarged_logits(case: Case):
    size = case.frames.shape[1:3]
    for seg in range(len(case.calls)):
        recorded = case.recorded[f"final_logits.{seg}"]
        for time, low_res in case.low_res(seg).items():
            if time < len(recorded):
                assert_close(case.model.upsample(low_res, size)[0, 0], recorded[time])
