"""Each organ up to the language embeddings against numbers recorded from the reference."""

import os

import pytest
import torch
from models.cases import CASES, ORACLE, Case, assert_close, cases
from models.trace import joined, trace

from submission.models.sa2va.internvl.prompt import build_prompt
from submission.models.sa2va.internvl.vision import shuffle_pixels
from submission.models.sa2va.procedures import PROCEDURES


def test_the_small_cases_are_there():
    assert {name for name in CASES if name.startswith("small-")} >= {
        "small-internlm2_first5", "small-internlm2_uniform5", "small-qwen2_uniform5",
        "small-sa2vai_internlm2_u5",
    }  # fmt: skip


def test_the_whole_record_is_run_where_it_lies():
    if "MEVIS_ORACLE" not in os.environ and not ORACLE.is_dir():
        pytest.skip(
            "no ../shared/oracle/sa2va beside the project, no MEVIS_ORACLE: small cases only"
        )
    assert {name for name in CASES if name.startswith("oracle-")}, f"no cases in {ORACLE}"


@cases("input_ids")
def test_key_frames(case: Case):
    assert case.key_frames == tuple(sorted(set(case.record["sample_idx"])))
    assert case.prompted_frames == tuple(sorted(set(case.record["prompt_idx"])))


@cases("input_ids")
def test_prompt_ids(case: Case):
    model = case.model
    text = build_prompt(
        model.config.template, PROCEDURES[case.procedure].question(case.sentence),
        len(case.key_frames), model.config.tokens_per_frame,
    )  # fmt: skip
    assert text == case.record["prompt"]
    assert model.tokenizer.encode(text) == case.recorded["input_ids"].tolist()


@cases("output_ids")
def test_answer_ids(case: Case):
    tokenizer = case.model.tokenizer
    ids = case.recorded["output_ids"].tolist()
    assert tokenizer.encode_answer(case.record["forced_answer"]) == ids
    assert tokenizer.decode(ids).strip() == case.record["prediction"]


@cases("pixel_values")
def test_pixels_of_key_frames(case: Case):
    recorded = case.recorded["pixel_values"]
    assert_close(trace(case).pixels[0][: len(recorded)], recorded)


@cases("vit_last_hidden")
def test_vision_encoder(case: Case):
    recorded = case.recorded["vit_last_hidden"]
    assert_close(trace(case).patches[0][: len(recorded)], recorded)


@cases("vit_last_hidden", "vit_embeds")
def test_pixel_shuffle_and_projector(case: Case):
    patches = case.recorded["vit_last_hidden"]
    with torch.inference_mode():
        tokens = case.model.network.vision.projector(shuffle_pixels(patches[:, 1:]))
    assert_close(tokens, case.recorded["vit_embeds"][: len(patches)])


@cases("vit_embeds")
def test_visual_tokens(case: Case):
    assert_close(trace(case).visual_tokens[0], case.recorded["vit_embeds"])


@cases("llm_hidden_all")
def test_states_of_prompt_and_answer(case: Case):
    """One row for each prompt token and for each answer token that was read."""
    assert_close(torch.cat(trace(case).states), case.recorded["llm_hidden_all"])


@cases("llm_logits_steps")
def test_logits_of_every_step(case: Case):
    assert_close(torch.cat(trace(case).logits), case.recorded["llm_logits_steps"])


@cases("seg_hidden")
def test_states_of_seg_tokens(case: Case):
    recorded = case.recorded["seg_hidden"]
    assert_close(joined(trace(case).seg_states, recorded), recorded)


@cases("seg_hidden", "language_embd")
def test_seg_projector(case: Case):
    with torch.inference_mode():
        language = case.model.network.seg_projector(case.recorded["seg_hidden"])
    assert_close(language, case.recorded["language_embd"])


@cases("language_embd")
def test_language_embeddings(case: Case):
    recorded = case.recorded["language_embd"]
    assert_close(joined(trace(case).language, recorded), recorded)
