"""Sa2VA on Qwen-VL against recorded runs of the public classes, and what they do not pin."""

import json
import math
import shutil
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from models.cases import REFERENCE, assert_close, assert_same_masks
from models.meta_network import live_bytes
from models.qwenvl_cases import CASES, NOT_THERE, ORACLE, Case, cases
from models.trace import hooked

from submission.cost.released import config_json
from submission.errors import FaultyInput, InputError
from submission.models.counting import count, empty, without_values
from submission.models.sa2va.loading import load
from submission.models.sa2va.network import lay_out
from submission.models.sa2va.qwenvl import countable, vision
from submission.models.sa2va.qwenvl.config import parse_config
from submission.models.sa2va.qwenvl.positions import positions_of
from submission.models.sa2va.qwenvl.prompt import build_prompt, read_template
from submission.models.sa2va.qwenvl.tensor_names import tensor_sources
from submission.models.sa2va.registry import image_requests, parse_sizes
from submission.models.sa2va.settings import Settings
from submission.models.sa2va.tensor_names import expected_shapes
from submission.models.sa2va.work_units import VisionUnits
from submission.video.transforms import SmartResize

IMAGE = "<|image_pad|>"
OTHER = "the red square"


@cache
def run(case: Case, sentences: tuple[str, ...] | None = None, answer: str = "", **changes):
    """Segment as recorded; return answers, states of the language model and of [SEG], logits."""
    states, logits, segs, seen = [], [], [], []
    network = case.model.network
    sentences = sentences or (case.sentence,)
    hooks = {
        network.vision: lambda *call: seen.append(call[-1]),
        network.language.model: lambda *call: states.append(call[-1].last_hidden_state[0]),
        network.language.lm_head: lambda *call: logits.append(call[-1]),
        network.seg_projector: lambda module, given, made: segs.extend([given[0], made]),
    }
    with hooked(hooks):
        answers = case.model.segment(
            case.frames, sentences, replace(case.settings, **changes),
            answers=[answer or case.answer] * len(sentences),
        )  # fmt: skip
    return answers, states, logits, segs, seen


# --- images --------------------------------------------------------------------------------------
def test_both_resizes_of_the_recorded_table():
    rows = json.loads((REFERENCE / "qwenvl/resize_table.json").read_text())
    assert len(rows) == 17
    first = SmartResize(28, 4 * 784, 16384 * 784)
    for row in rows:
        assert list(first.size(*row["hw"])) == row["first"], row
        for name, patch in (("qwen2_5", 14), ("qwen3", 16)):
            config = {
                "text_config": {},
                "vision_config": {"patch_size": patch, "spatial_merge_size": 2,
                                  "fullatt_block_indexes": []},
            }  # fmt: skip
            (request,) = image_requests(config, [(0,)], Settings())
            height, width = request.transform.size(*row["hw"])
            assert [height, width] == row[name], row
            assert (height // patch // 2) * (width // patch // 2) == row[f"{name}_tokens"], row


@cases("pixel_values")
def test_pixels_and_patches_are_exact(case: Case):
    backbone, recorded = case.model.backbone, case.recorded["pixel_values"]
    with torch.inference_mode(), _video(case) as video:
        image = backbone.look(video.loader, [(0,)], case.settings)[0]
    assert list(image.shape[:2]) == case.record["second_resize_hw_processor"]
    values = vision.levels(case.model.config.mean, case.model.config.std)
    patches = vision.cut(image, values, case.model.config.vision.patch_size, 2)
    assert list(patches.shape) == [
        case.record["image_grid_thw"][0][1] * case.record["image_grid_thw"][0][2],
        recorded.shape[1],
    ]
    assert torch.equal(patches[: len(recorded)], recorded)


def _video(case: Case):
    return case.model._video(case.frames)


@cases("visual_embeds")
def test_visual_tokens_and_deep_features(case: Case):
    _, _, _, _, seen = run(case)
    recorded = case.recorded["visual_embeds"]
    assert_close(torch.cat([one.pooler_output for one in seen])[: len(recorded)], recorded)
    for layer in range(3):
        if (name := f"deepstack.{layer}") in case.recorded:
            deep = torch.cat([one.deepstack_features[layer] for one in seen])
            assert_close(deep, case.recorded[name])


# --- prompt and positions ------------------------------------------------------------------------
@cases("input_ids")
def test_prompt_and_positions(case: Case):
    model, images = case.model, len(case.record["sample_idx"])
    question = f"\nPlease segment {case.sentence}."
    text = build_prompt(model.config.template, question, images, "as stored")
    assert text == case.record["prompt_before_image_expansion"]
    size = case.frames.shape[1:3]
    prompt = model.backbone.prompt(images, question, size, case.settings)
    assert prompt.ids == case.recorded["input_ids"].tolist()
    _, height, width = case.record["image_grid_thw"][0]
    image = case.record["image_token_id"]
    places = positions_of(prompt.ids[: prompt.shared], image, (height // 2, width // 2))
    recorded = case.recorded["position_ids"].numpy()
    assert np.array_equal(places, recorded[:, : prompt.shared])
    # What stands behind the images counts on from there, on all axes alike.
    behind = np.arange(len(prompt.question)) + places.max() + 1
    assert np.array_equal(np.stack([behind] * 3), recorded[:, prompt.shared :])
    assert behind[-1] + 1 == len(prompt.ids) + case.record["rope_delta"]
    assert [behind[-1] + 1] * 3 == case.record["decode_positions"][0]


def test_positions_refuse_half_an_image():
    with pytest.raises(ValueError, match="the image at token 1 has not 6 tokens"):
        positions_of([5, 9, 9, 9, 6], 9, (2, 3))


SYSTEM = (
    "{% for m in messages %}{% if loop.first and m['role'] != 'system' %}<|im_start|>system\n"
    "You are a helpful assistant.<|im_end|>\n{% endif %}<|im_start|>{{ m['role'] }}\n"
    "{% for c in m['content'] %}{% if c['type'] == 'image' %}<|vision_start|><|image_pad|>"
    "<|vision_end|>{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.mark.parametrize("family", ["qwen2_5", "qwen3"])
def test_the_system_turn_is_the_templates_and_can_be_left_out(family):
    texts = json.loads((REFERENCE / "qwenvl/prompts.json").read_text())
    question = "\nPlease segment the green disc that stops."
    with_turn = build_prompt(SYSTEM, question, 3, "as stored")
    assert with_turn == texts[f"{family}_sys_3frames"]
    assert build_prompt(SYSTEM, question, 3, "none") == texts[f"{family}_nosys_3frames"]


def test_a_template_is_found_in_each_of_its_places_and_missed_in_none(tmp_path):
    with pytest.raises(InputError, match="no chat template"):
        read_template(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": "third"}))
    assert read_template(tmp_path) == "third"
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "second"}))
    assert read_template(tmp_path) == "second"
    (tmp_path / "chat_template.jinja").write_text("first")
    assert read_template(tmp_path) == "first"


@pytest.mark.parametrize("template", ["{% if %}", "no images", "{{ messages.append(1) }}"])
def test_a_template_that_makes_no_prompt_is_refused(template):
    with pytest.raises(InputError, match="chat template"):
        build_prompt(template, "what", 2, "as stored")


# --- language model and masks --------------------------------------------------------------------
@cases("llm_hidden_all")
def test_states_of_prompt_and_answer(case: Case):
    """The recorded rows are those that the public class reads: normed in one of the families."""
    _, states, _, _, _ = run(case)
    ours = torch.cat(states)
    backbone = case.model.backbone
    assert_close(backbone.for_masks(ours, case.settings), case.recorded["llm_hidden_all"])
    normed = backbone.for_masks(ours, replace(case.settings, hidden_state="after the norm"))
    assert_close(normed, case.recorded["llm_post_norm_all"])


@cases("llm_logits_steps")
def test_logits_of_every_step(case: Case):
    assert_close(torch.cat(run(case)[2]), case.recorded["llm_logits_steps"])


@cases("language_embd")
def test_states_and_embeddings_of_seg(case: Case):
    _, _, _, (hidden, language), _ = run(case)
    assert_close(hidden, case.recorded["seg_hidden"])
    assert_close(language, case.recorded["language_embd"])


@cases("language_embd")
def test_the_other_hidden_state_is_another(case: Case):
    """Negative control of the switch: the wrong side of the norm is far away."""
    other = "after the norm" if "qwen3" in case.record["model"] else "before the norm"
    hidden = run(case, hidden_state=other)[3][0]
    assert (hidden - case.recorded["seg_hidden"]).abs().max() > 0.5


@cases("final_masks")
def test_text_and_masks(case: Case):
    (answer,), *_ = run(case)
    assert (answer.text, answer.num_seg) == (case.record["prediction"], case.record["n_masks"])
    assert_same_masks(np.asarray(answer.masks), case.recorded["final_masks"][0].bool().numpy())


@cases("final_masks")
def test_several_sentences_behind_one_prefix(case: Case):
    answers, _, _, (_, language), seen = run(case, (OTHER, case.sentence, OTHER))
    assert len(seen) == len(case.record["sample_idx"])  # each image once
    assert_close(language[1:2], case.recorded["language_embd"])
    assert_same_masks(np.asarray(answers[1].masks), case.recorded["final_masks"][0].bool().numpy())
    alone = run(case, (OTHER,))[3][1]
    assert_close(language[::2], alone.expand(2, -1))


@cases("final_masks")
def test_two_segs_are_two_objects(case: Case):
    answer = "[SEG] and [SEG].<|im_end|>"
    (both,), *_, segs, _ = run(case, answer=answer, seg="union")
    (first,), *_ = run(case, answer=answer)
    assert (both.num_seg, len(segs[1])) == (2, 2)
    assert not torch.equal(segs[1][0], segs[1][1])
    assert (np.asarray(first.masks) <= np.asarray(both.masks)).all()


# --- what the record does not pin ----------------------------------------------------------------
def first_cases():
    return [pytest.param(case, id=name) for name, case in CASES.items() if "first5" in name] or [
        pytest.param(None, marks=NOT_THERE)
    ]


@pytest.mark.parametrize("case", first_cases())
def test_uniform_frames_and_another_prompted_frame(case: Case):
    (answer,), *_, seen = run(case, sampling="uniform", frames=3)
    assert len(seen) == 3
    assert answer.masks.shape == case.frames.shape[:3]
    (every,), *_ = run(case, sampling="uniform", frames=8)
    assert every.num_seg == 1


@pytest.mark.parametrize("case", first_cases())
def test_a_frame_above_the_limit_is_shrunk_to_a_grid_that_is_not_square(case: Case):
    """The images are those of the two rules in a row; the public rule is in the table above."""
    small = {"min_pixels": 4 * 1024, "max_pixels": 12 * 1024}
    (answer,), *_, seen = run(case, **small)
    cell = case.model.config.vision.patch_size * 2
    height, width = 112, 168  # after the first resize of 120 x 160
    scale = math.sqrt(height * width / small["max_pixels"])
    rows, columns = (math.floor(side / scale / cell) for side in (height, width))
    assert rows != columns
    assert len(seen[0].pooler_output) == rows * columns
    assert answer.num_seg == 1


@pytest.mark.parametrize("case", first_cases())
def test_what_makes_no_sense_is_refused(case: Case):
    wrong = replace(case.settings, procedure="sasasa2va", sampling="uniform")
    with pytest.raises(FaultyInput, match="no Qwen-VL checkpoint was trained"):
        case.model.segment(case.frames, ["it"], wrong)
    with pytest.raises(FaultyInput, match="above max_pixels"):
        replace(case.settings, min_pixels=9, max_pixels=8)


def test_a_setting_of_qwen_vl_has_no_effect_elsewhere():
    config = {"vision_config": {"image_size": 448}}
    assert image_requests(config, [(0,)], Settings())
    with pytest.raises(FaultyInput, match="max_pixels: it has no effect"):
        image_requests(config, [(0,)], Settings(max_pixels=10**6))


@pytest.mark.parametrize("lost", ["preprocessor_config.json", "chat_template.jinja"])
@NOT_THERE
def test_a_missing_file_is_named(tmp_path, lost):
    folder = tmp_path / "checkpoint"
    shutil.copytree(ORACLE / "models" / "tiny_qwen3_vl", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    (folder / lost).unlink()
    with pytest.raises(InputError, match="chat template" if "chat" in lost else lost):
        load(folder, "cpu", "float32")


# --- true sizes ----------------------------------------------------------------------------------
# The published sums of parameters.
SIZES = {
    "Sa2VA-Qwen3-VL-2B": 2_666_774_834,
    "Sa2VA-Qwen3-VL-4B": 5_057_072_434,
    "Sa2VA-Qwen2_5-VL-3B": 4_293_849_394,
    "Sa2VA-Qwen2_5-VL-7B": 8_527_538_994,
}


def true_config(name: str):
    return parse_config(
        config_json(name), has_tuned_decoder=False, template="",
        colours={"image_mean": [0.5] * 3, "image_std": [0.5] * 3},
    )  # fmt: skip


@pytest.mark.parametrize("name", SIZES)
def test_parameters_are_those_counted_on_the_released_files(name):
    config = true_config(name)
    network = lay_out(config)
    assert {value.device.type for value in network.parameters()} == {"meta"}
    shapes = expected_shapes(network, tensor_sources(network, config))
    values = sum(map(math.prod, shapes.values()))
    assert values - 256 == SIZES[name]  # the count leaves the one buffer out
    if name == "Sa2VA-Qwen3-VL-4B":
        assert 4 * values == 20_228_290_760  # bytes of data, all float32


FULL_HD, FIVE = (1080, 1920), Settings()
FAMILIES = {"Sa2VA-Qwen3-VL-4B": 1508, "Sa2VA-Qwen2_5-VL-3B": 2040}  # tokens of a 1080p frame


@pytest.mark.parametrize("name", FAMILIES)
def test_work_of_few_layers_is_that_of_all(name):
    tokens, values = FAMILIES[name], config_json(name)
    sizes, units = parse_sizes(values), VisionUnits(values)
    assert sizes.prefix_tokens(5, FULL_HD, FIVE) == 5 * (tokens + 2) + 3
    encoder = without_values(lay_out(true_config(name))).vision
    rows, columns = sizes.patches(FULL_HD, FIVE)
    whole = count(lambda: vision.see(
        encoder, empty(rows * columns, 6 * values["vision_config"]["patch_size"] ** 2),
        (rows, columns),
    ))  # fmt: skip
    told = sizes.see(1, FULL_HD, FIVE).work(units)
    assert (told.flop, told.attention) == (whole.flop, whole.attention)
    assert told.values == pytest.approx(whole.values, rel=0.02)
    assert (whole.attention < 0.2 * whole.flop) == ("2_5" in name)  # most look within windows
    held = sum(one.numel() for one in encoder.parameters())
    assert sizes.vision_weights().work(units).values == held


@pytest.mark.parametrize("name", FAMILIES)
def test_memory_of_the_vision_encoder_is_what_is_alive(name):
    values, sizes = config_json(name), parse_sizes(config_json(name))
    encoder = countable.vision(values, 2, 0)
    peak, _ = live_bytes(lambda: countable.look(encoder, *sizes.patches(FULL_HD, FIVE)))
    told = sizes.vision_bytes(0, FULL_HD, FIVE, 2)  # without tokens that earlier images have left
    assert told == pytest.approx(peak, rel=0.05)


@cases("input_ids")
def test_tokens_before_the_question_are_foretold(case: Case):
    """But for the words before the first image, which the stand-in tokenizer cuts finer."""
    images, size = len(case.record["sample_idx"]), case.frames.shape[1:3]
    prompt = case.model.backbone.prompt(images, "", size, case.settings)
    sizes = parse_sizes(case.model.config.values)
    assert 0 <= prompt.shared - sizes.prefix_tokens(images, size, case.settings) <= 4
