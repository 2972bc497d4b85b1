"""SaSaSa2VA against recorded runs of its reference, and what the reference does not do."""

import gzip
import json
import math
from collections import Counter
from functools import cache
from statistics import mean
from unittest.mock import patch

import numpy as np
import pytest
import torch
from models.cases import REFERENCE, assert_close
from models.recorded import load_once
from models.sasasa2va_cases import Case, cases
from models.trace import hooked

from submission.errors import FaultyInput, InputError
from submission.models.sa2va.alike import asked_alike, grounded_alike
from submission.models.sa2va.internvl.config import parse_config
from submission.models.sa2va.internvl.vision import normalise
from submission.models.sa2va.model import Sa2VA
from submission.models.sa2va.procedures import (
    PROCEDURES,
    TRACK,
    selected_frames,
)
from submission.models.sa2va.prompts import make_prompts
from submission.models.sa2va.settings import Settings

WAY = PROCEDURES["sasasa2va"]
MODES = ("uniform", "uniform_plus", "wrap_around", "wrap_around_plus")
TEN = "".join(f" Clip_{clip} [SEG]," for clip in range(1, 11)) + "<|im_end|>"
HANDFUL = 5  # pixels at a logit of nearly zero


def settings(mode: str, **others) -> Settings:
    return Settings(procedure="sasasa2va", mode=mode, **others)


def q_frame(selected, **others) -> Settings:
    return settings("q_frame", selected_frames=tuple(selected), **others)


# --- which frames, and which [SEG] ---------------------------------------------------------------
def rows() -> list[dict]:
    table = gzip.decompress((REFERENCE / "sasasa2va/index_table.jsonl.gz").read_bytes())
    return [json.loads(line) for line in table.decode().splitlines()]


def test_the_recorded_table_of_frames_and_clips():
    assert len(rows()) == 140
    for row in rows():
        length, mode = row["T"], row["mode"]
        given = row["selected"] or tuple(place * length // 100 for place in range(100))
        how = q_frame(given, prompt_frames="first") if mode == "q_frame" else settings(mode)
        assert list(selected_frames(length, how)) == list(given), row
        steps = WAY.steps(length, how)
        prompts = [step for step in steps if step.prompt is not TRACK]
        clips = row["frame2clip"]
        averaged = length < 100 and mode in ("uniform_plus", "q_frame")
        frames = given if averaged else range(len(clips))
        expected = Counter(zip(frames, clips, strict=True))
        assert Counter({(s.frame, s.prompt): s.times for s in prompts}) == expected, row
        tracked = range(100, length) if row["propagate"] else ()
        assert [s.frame for s in steps if s.prompt is TRACK] == list(tracked), row
        assert len(prompts) <= min(length + 9, 100) or length > 100


@pytest.mark.parametrize("length", [1, 4, 99, 100, 101, 250])
def test_every_frame_is_found_once_or_in_a_mean(length):
    for mode in MODES:
        steps = WAY.steps(length, settings(mode))
        assert {step.frame for step in steps} == set(range(length))
        assert len(WAY.images(length, settings(mode))) == 20


def alike(length: int, one: Settings, other: Settings) -> tuple[bool, bool]:
    asked = asked_alike(length, ["a"], one) == asked_alike(length, ["a"], other)
    return asked, asked and grounded_alike(length, one) == grounded_alike(length, other)


def test_which_modes_are_equal():
    uniform, plus, wrap, wrap_plus = map(settings, MODES)
    assert alike(23, wrap, wrap_plus) == (True, True)
    assert alike(23, uniform, plus) == (True, False)
    assert alike(23, uniform, wrap) == (False, False)
    for length in (100, 101, 130):
        assert alike(length, uniform, plus) == alike(length, uniform, wrap_plus) == (True, True)
    assert alike(100, uniform, wrap) == (True, True)
    assert alike(130, uniform, wrap) == (False, False)


def test_selected_frames_of_a_long_video_are_prompted_or_as_published_the_first():
    given = tuple(range(0, 200, 2))
    steps = WAY.steps(200, q_frame(given))
    assert [(s.frame, s.prompt) for s in steps[:100]] == [(t, t // 20) for t in given]
    assert [s.frame for s in steps[100:]] == list(range(1, 200, 2))
    published = WAY.steps(200, q_frame(given, prompt_frames="first"))
    assert [(s.frame, s.prompt) for s in published[:100]] == [(t, t // 10) for t in range(100)]


@pytest.mark.parametrize(
    ("found", "prompts"),
    [(0, ()), (1, ((0,) * 10,)), (7, ((0, 1, 2, 3, 4, 5, 6, 6, 6, 6),)), (12, (tuple(range(10)),))],
)
def test_fewer_and_more_than_ten_seg(found, prompts):
    assert WAY.objects(found, settings("uniform")) == prompts


# --- refused calls -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"mode": "wrap"}, "known: uniform, uniform_plus, wrap_around"),
        ({"mode": "q_frame"}, 'is missing with mode = "q_frame"'),
        ({"mode": "q_frame", "selected_frames": tuple(range(99))}, "99 frames; they must be 100"),
        ({"mode": "q_frame", "selected_frames": (-1, *range(99))}, "frame -1"),
        ({"mode": "uniform", "selected_frames": tuple(range(100))}, "has no effect"),
    ],
)
def test_settings_that_cannot_be_meant(keys, says):
    with pytest.raises(FaultyInput, match=says):
        Settings(procedure="sasasa2va", **keys)


@pytest.fixture
def model():
    """A small checkpoint of another way of looking: all of them have the same tensors."""
    return load_once(REFERENCE / "models" / "tiny_qwen2")


@pytest.fixture
def clip(frames):
    return frames[:3, ::4, ::4]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (Settings(mode="wrap_around"), "mode: it has no effect"),
        (settings("uniform", frames=7), "frames: it has no effect"),
        (q_frame(range(100)), "names frame 99; the video has 3"),
    ],
)
def test_refused_before_anything_is_computed(model, clip, how, says):
    with (
        patch.object(model.network.vision, "forward", side_effect=AssertionError),
        pytest.raises(InputError, match=says),
    ):
        model.segment(clip, ["it"], how)


def test_a_question_is_asked_as_it_was_trained():
    assert WAY.question("which one turns?") == "\nwhich one turns?"
    assert WAY.question("the disc") == "\nPlease segment the disc."


def test_a_mode_that_is_ignored_is_told():
    values = json.loads((REFERENCE / "models" / "tiny_qwen2" / "config.json").read_text())
    with pytest.warns(UserWarning, match="samurai_mode"):
        parse_config(values | {"samurai_mode": True}, has_tuned_decoder=False)


# --- beside the record: against a plain loop over the hundred ------------------------------------
def plain(model: Sa2VA, clip: np.ndarray, answer: str, how: Settings) -> np.ndarray:
    """Masks (T, H, W) as the reference finds them: one pass of SAM 2 for each of the hundred."""
    network = model.network.grounding
    with model._video(clip) as video, torch.inference_mode():
        (reply,) = model.ask(video.loader, ["it"], how, answers=[answer])
        found = model.network.seg_projector(torch.stack(reply.seg_states))[:10]
        embeddings = torch.cat([found, found[-1:].expand(10 - len(found), -1)])
        logits: dict[int, list[torch.Tensor]] = {}

        @cache
        def found_by(time: int, clip_number: int) -> torch.Tensor:
            ((_, seen),) = video.each([time], again=True)
            one = network.decode_language(seen, embeddings[clip_number][None], gate=True)
            return model.upsample(one.logits, clip.shape[1:3])

        for place, time in enumerate(selected_frames(len(clip), how)):
            logits.setdefault(time, []).append(found_by(time, place // 10))
        masks = np.zeros(clip.shape[:3], bool)
        for time, several in logits.items():
            masks[time] = (torch.stack(several).mean(dim=0)[0, 0] > 0).numpy()
    return masks


@pytest.mark.parametrize(
    ("name", "how", "length", "seg"),
    [
        ("tiny_internlm2_i", settings("uniform_plus"), 7, 10),
        ("tiny_internlm2_i", settings("uniform_plus"), 7, 7),
        ("tiny_internlm2_i", settings("uniform_plus"), 3, 12),
        ("tiny_internlm2_i", settings("uniform_plus"), 1, 10),
        ("tiny_internlm2_i", q_frame([0] * 45 + [2] * 55), 4, 10),  # 1 and 3 are in no clip: empty
    ],
    ids=["InternLM2", "7 [SEG]", "12 [SEG]", "one frame", "missing frames"],
)
def test_the_means_of_a_plain_loop(frames, name, how, length, seg):
    model, clip = load_once(REFERENCE / "models" / name), frames[:length, ::4, ::4]
    answer = "It is" + " [SEG]," * seg + "<|im_end|>"
    (found,) = model.segment(clip, ["it"], how, answers=[answer])
    masks = plain(model, clip, answer, how)
    assert found.num_seg == seg
    assert np.count_nonzero(np.asarray(found.masks) != masks) <= HANDFUL
    assert masks.any()
    covered = set(selected_frames(length, how))
    assert not np.asarray(found.masks)[[t for t in range(length) if t not in covered]].any()


def test_no_seg_no_mask(model, clip):
    (found,) = model.segment(clip, ["it"], settings("uniform"), answers=["Nothing.<|im_end|>"])
    assert (found.num_seg, np.asarray(found.masks).any()) == (0, False)


def test_each_pair_is_decoded_once_and_nothing_is_remembered(model, frames):
    clip, counted = frames[:7, ::4, ::4], Counter()
    network = model.network
    hooks = {
        network.vision.encoder: lambda _, inputs, __: counted.update(images=len(inputs[0])),
        network.grounding.image_encoder: lambda _, x, __: counted.update(frames=len(x[0])),
        network.grounding.sam_mask_decoder: lambda *_: counted.update(decodes=1),
        network.grounding.memory_encoder: lambda *_: counted.update(memories=1),
    }
    with hooked(hooks):
        model.segment(clip, ["a", "b", "c"], settings("uniform_plus"), answers=[TEN] * 3)
    pairs = {(place * 7 // 100, place // 10) for place in range(100)}
    assert counted == {"images": 20, "frames": 7, "decodes": len(pairs)}
    assert len(pairs) <= 7 + 9


# --- parity --------------------------------------------------------------------------------------
def assert_laid_out(frames, images, mosaics):
    """Compare the images of the first and the last clip with recorded ones, before resizing."""
    for name, index in (("key0", 0), ("mosaic0", 1), ("key9", 18), ("mosaic9", 19)):
        rows = [frames[list(images[index][n : n + 3])] for n in range(0, len(images[index]), 3)]
        laid = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
        assert np.array_equal(laid, mosaics[name])


def test_images_of_the_case_that_comes_along(model):
    """The checkpoint here has the recorded one's image size; no weights are asked."""
    with np.load(REFERENCE / "sasasa2va/qwen2_uniform_T4.npz") as recorded:
        frames, images = recorded["frames"], WAY.images(4, settings("uniform"))
        assert_laid_out(frames, images, recorded)
        with model._video(frames) as video:
            seen = normalise(model.backbone.look(video.loader, images, Settings()))
        assert seen.mean(dim=(1, 2, 3)).tolist() == pytest.approx(list(recorded["means"]), abs=2e-6)
        other = WAY.images(4, settings("q_frame", selected_frames=(0,) * 100))
        with pytest.raises(AssertionError):  # the negative control
            assert_laid_out(frames, other, recorded)


@cases("pixel_values.0")
def test_images_of_the_first_and_last_clip(case: Case):
    model, mosaics = case.model, case.mosaics
    images = WAY.images(len(case.frames), case.settings)
    assert_laid_out(case.frames, images, mosaics)
    with model._video(case.frames) as video:
        seen = normalise(model.backbone.look(video.loader, images, Settings()))
    for index in (0, 1, 18, 19):
        assert torch.equal(seen[index], case.recorded[f"pixel_values.{index}"])
    means = seen.mean(dim=(1, 2, 3)).tolist()
    assert means == pytest.approx(case.record["pixel_values_image_mean"], abs=2e-6)


@cases("input_ids", "output_ids")
def test_prompt_and_answer_ids(case: Case):
    (prompt,) = make_prompts(
        case.model.backbone, [case.sentence], 20, (8, 8), Settings(), WAY.question
    )
    assert prompt.ids == case.recorded["input_ids"].tolist()
    ids = case.model.tokenizer.encode_answer(case.answer)
    assert ids == case.recorded["output_ids"].tolist()


def run(case: Case, sentences: list[str], answers: list[str]):
    """Answers of a case, and on the way [SEG] states, embeddings and logits frame by frame."""
    model, seen = case.model, {"low": [], "shown": []}
    upsample = model.upsample

    def note_upsampled(logits, size):
        seen["low"].append(logits)
        seen["shown"].append(upsample(logits, size))
        return seen["shown"][-1]

    def note_seg(module, inputs, output):
        seen["states"], seen["language"] = inputs[0], output

    with (
        hooked({model.network.seg_projector: note_seg}),
        patch.object(model, "upsample", note_upsampled),
    ):
        seen["answers"] = model.segment(case.frames, sentences, case.settings, answers=answers)
    return seen


@cases("final_masks", "language_embd")
def test_a_recorded_run(case: Case):
    seen = run(case, [case.sentence], [case.answer])
    recorded, (answer,) = case.recorded, seen["answers"]
    assert answer.text == case.record["prediction"]
    assert answer.num_seg == case.record["n_seg_found"] == 10
    assert_close(seen["states"], recorded["seg_hidden"])
    assert_close(seen["language"], recorded["language_embd"])
    if "frame_low_res" in recorded and not case.record["averaged"]:
        assert_close(torch.cat(seen["low"]), recorded["frame_low_res"])
    if "frame_low_res__every_10th" in recorded and not case.record["averaged"]:
        rows = torch.cat(seen["low"][::10])
        assert_close(rows, recorded["frame_low_res__every_10th"].float(), atol=2e-2)
    if "final_logits" in recorded:
        assert_close(torch.cat(seen["shown"])[:, 0], recorded["final_logits"], atol=1e-3)
    assert differing(answer, recorded["final_masks"]) <= HANDFUL
    assert answer.confidence == pytest.approx(recorded_confidence(case), abs=1e-3)


def recorded_confidence(case: Case) -> list[float | None]:
    """The mean over a frame's calls of predicted IoU times the chance that there is an object."""
    record = case.record
    places = [time for _, time in record["single_frame_calls"]]
    if record["averaged"]:
        places = [record["selected_frame_indexes"][place] for place in places]
    calls: dict[int, list[float]] = {}
    for time, head in zip(places, record["sam_heads"], strict=True):
        calls.setdefault(time, []).append(max(head["ious"]) / (1 + math.exp(-head["obj_score"])))
    assert len({round(value, 3) for several in calls.values() for value in several}) > 3
    return [mean(calls[time]) if time in calls else None for time in range(record["T"])]


@cases("final_masks", but_slow="qwen2_wrap_around_T130")
def test_a_recorded_run_among_other_sentences(case: Case):
    others = ["the square", "which one turns?"]
    answers = [TEN, case.answer, "No.<|im_end|>"]
    found = run(case, [others[0], case.sentence, others[1]], answers)["answers"]
    assert differing(found[1], case.recorded["final_masks"]) <= HANDFUL
    assert np.asarray(found[0].masks).any()
    assert not np.asarray(found[2].masks).any()


def differing(answer, recorded: torch.Tensor) -> int:
    masks = recorded.bool().numpy().reshape(answer.masks.shape)
    return int(np.count_nonzero(np.asarray(answer.masks) != masks))
