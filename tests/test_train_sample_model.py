"""Training the small model: it learns, all of it, and what it writes is an ordinary checkpoint."""

import random
from collections import Counter
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn

from scripts.sample_data.render import render
from scripts.sample_data.scene import COLOURS
from scripts.sample_data.sentences import worded_sentences
from scripts.sample_data.style import TRAINING
from scripts.sample_data.wordings import all_phrases
from scripts.sample_data.write_split import draw_any_scene
from scripts.train_sample_model import loop
from scripts.train_sample_model.attention_guide import attention, packed_mask
from scripts.train_sample_model.batches import draw_batch, find_shapes
from scripts.train_sample_model.export import export
from scripts.train_sample_model.facts import displacements
from scripts.train_sample_model.grounding_half import GroundingHalf, draw_shown
from scripts.train_sample_model.joint import Joint, choose_questions, first_pictures
from scripts.train_sample_model.language_half import LanguageHalf
from scripts.train_sample_model.lessons import draw_lesson, draw_sentence
from scripts.train_sample_model.loop import Course, Stage
from scripts.train_sample_model.mask_loss import mask_loss
from scripts.train_sample_model.pictures import NOBODY, Painter
from scripts.train_sample_model.questions import MEANINGS, Asker, verdicts
from scripts.train_sample_model.sizes import SIDE, VISION_SIDE, codebook, config_values
from scripts.train_sample_model.start import start
from scripts.train_sample_model.words import FOUND, NOT_THERE
from submission.models.sa2va.asking import answer_all
from submission.models.sa2va.backbone import Prompt
from submission.models.sa2va.grounding import embed_objects
from submission.models.sa2va.internvl.prompt import build_prompt
from submission.models.sa2va.loading import load
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.settings import Settings
from submission.models.sam2.network import NO_OBJECT_LOGIT, DecodedMasks

# Stored in every checkpoint and used by no procedure of the kit: points, and what draws the single
# mask of a decoder that is only asked for three (or for a pointer).
UNUSED = ("no_mem_pos_enc", "point_embeddings", "output_hypernetworks_mlps.0.")


@pytest.fixture(scope="module")
def painter():
    return Painter()


@pytest.fixture
def made(tmp_path, painter):
    """A network that knows nothing, its configuration, its tokenizer and its two halves."""
    torch.set_num_threads(1)
    network, config, tokenizer = start(tmp_path / "checkpoint", seed=3)
    language = LanguageHalf(network, Asker(tokenizer), painter)
    return network, config, tokenizer, language, GroundingHalf(network.grounding, painter)


# --- pictures and questions ----------------------------------------------------------------------
def test_training_pictures_show_what_the_clips_show(painter):
    rng = random.Random(5)
    scene = draw_any_scene(rng, 12, TRAINING)
    frames, masks = render(scene)
    pictures, owners = painter.paint(scene, [0, 7], rng)
    rows = ((np.arange(SIDE) + 0.5) * frames.shape[1] / SIDE).astype(int)
    columns = ((np.arange(SIDE) + 0.5) * frames.shape[2] / SIDE).astype(int)
    for picture, owner, time in zip(pictures, owners, (0, 7), strict=True):
        for index in range(len(scene.shapes)):
            true, own = masks[index, time][np.ix_(rows, columns)], owner == index
            assert (true & own).sum() > 0.85 * (true | own).sum()
            shown = frames[time][np.ix_(rows, columns)][true & own].mean(axis=0)
            assert np.abs(picture[true & own].mean(axis=0) - shown).max() < 8
        assert (owner == NOBODY).mean() > 0.7


def test_a_clip_is_long_enough_for_the_pictures_that_are_wanted(painter):
    for seed in range(4):
        shown = draw_shown(painter, random.Random(seed), 1, 11, 3)
        assert len(shown.times) == 14 == len(set(shown.times))


def test_sightings_are_where_the_shape_is(painter):
    batch = draw_batch(painter, random.Random(1), 3, 4)
    seen = find_shapes(batch)
    assert len(seen.clip) > 12
    for b, m, token, index in zip(seen.clip, seen.picture, seen.token, seen.shape, strict=True):
        row, column = divmod(int(token), 4)
        rows, columns = np.nonzero(batch.owners[b, m].numpy() == int(index))
        if rows.max() < SIDE - 1 and columns.max() < SIDE - 1 and rows.min() and columns.min():
            assert abs(rows.mean() / 32 - row - 0.5) < 0.8
            assert abs(columns.mean() / 32 - column - 0.5) < 0.8


def test_displacements_look_back_at_the_same_shape(painter):
    batch = draw_batch(painter, random.Random(2), 2, 5)
    seen = find_shapes(batch)
    moved = displacements(seen, 2, 5)
    first = seen.picture == 0
    assert moved[first].isnan().all()
    second = int((seen.picture == 1).nonzero()[0])
    same = (seen.clip == seen.clip[second]) & (seen.shape == seen.shape[second]) & first
    if same.any():
        torch.testing.assert_close(moved[second, 0], seen.place[second] - seen.place[same][0])


def test_questions_are_the_kits_own_prompts_with_answers(made, painter):
    _, _, tokenizer, language, _ = made
    scenes = draw_batch(painter, random.Random(4), 6, 2).scenes
    questions = language.asker.ask(scenes, random.Random(0), 8)
    said = set()
    for scene, row in zip(scenes, questions.rows, strict=True):
        facts = verdicts(scene)
        for question in row:
            words = tokenizer.decode(question.ids[slice(*question.words)]).strip()
            whole = build_prompt("qwen_chat", PROCEDURES["sa2va"].question(words), 3, 16)
            answer = FOUND if question.targets else NOT_THERE
            prefix = language.asker.prefix(3).tolist()
            assert [*prefix, *question.ids] == tokenizer.encode(whole + answer)
            if question.meaning >= 0:
                assert facts[:, question.meaning].nonzero()[:, 0].tolist() == [*question.targets]
                said.add(bool(question.targets))
    assert said == {True, False}


def test_a_question_with_gaps_lacks_words_of_its_sentence_and_nothing_else(made, painter):
    _, _, tokenizer, language, _ = made
    scenes = draw_batch(painter, random.Random(4), 6, 2).scenes
    whole = language.asker.ask(scenes, random.Random(0), 8)
    gapped = language.asker.ask(scenes, random.Random(0), 8, with_gaps=True)
    shorter = 0
    for before, after in zip(chain(*whole.rows), chain(*gapped.rows), strict=True):
        shorter += len(after.ids) < len(before.ids)
        (a, b), (c, d) = before.words, after.words
        assert (after.ids[:c], after.ids[d:]) == (before.ids[:a], before.ids[b:])
        left = iter(before.ids[a:b])
        assert all(token in left for token in after.ids[c:d])  # in the order they had
        assert after.ids[after.answer :] == before.ids[before.answer :]
        if after.seg is not None:
            assert after.ids[after.seg] == tokenizer.find("[SEG]")
    assert shorter > 48 / 5


def test_no_meaning_is_rare_and_none_means_nobody_as_a_rule():
    rng = random.Random(6)
    asked, by_chance = Counter(), Counter()  # (meaning, whether it means anybody)
    for _ in range(400):
        clear = list(worded_sentences(draw_lesson(rng), rng))
        for meant in (True, False):
            if some := [one for one in clear if bool(one.targets) == meant]:
                asked.update((draw_sentence(some, rng).meaning, meant) for _ in range(4))
                by_chance.update((rng.choice(some).meaning, meant) for _ in range(4))
    assert min(asked[meaning, True] for meaning in MEANINGS) > 0.02 * 400 * 4

    def nobody_for_each_somebody(counts):
        halting = [meaning for meaning in MEANINGS if meaning.startswith("stops to")]
        return sum(counts[m, False] for m in halting) / sum(counts[m, True] for m in halting)

    assert nobody_for_each_somebody(asked) < 0.6 * nobody_for_each_somebody(by_chance)


def test_every_known_word_is_one_token(made):
    tokenizer = made[2]
    for phrase in all_phrases(held_out=False):
        for word in phrase.replace(",", "").split():
            assert len(tokenizer.encode(f" {word}")) == 1, word


# --- guides --------------------------------------------------------------------------------------
def test_the_guided_attention_is_the_models_own(made):
    network = made[0]
    model = network.language.model
    ids = torch.randint(0, 300, (2, 3 + 2 * 4), generator=torch.Generator().manual_seed(0))
    mask, positions = packed_mask(3, 2, 4)
    allowed = torch.zeros(len(mask), len(mask)).masked_fill(~mask, float("-inf"))
    model.config._attn_implementation = "eager"
    try:
        output = model(
            input_ids=ids, attention_mask=allowed[None, None], position_ids=positions[None],
            output_attentions=True, output_hidden_states=True, use_cache=False,
        )  # fmt: skip
    finally:
        model.config._attn_implementation = "sdpa"
    askers = torch.tensor([[6, 10], [4, 9]])
    wanted = torch.rand(2, 2, len(mask)) > 0.5
    for layer, head in ((0, 2), (3, 0), (4, 3)):
        found = attention(model, layer, head, output.hidden_states[layer], askers, mask,
                          positions, wanted)  # fmt: skip
        weights = output.attentions[layer][:, head]
        true = (weights[torch.arange(2)[:, None], askers] * wanted).sum(dim=-1)
        torch.testing.assert_close(found, true)


def test_questions_behind_one_prefix_do_not_see_each_other():
    mask, positions = packed_mask(2, 2, 3)
    assert mask[7].tolist() == [True, True, False, False, False, True, True, True]
    assert mask[1].tolist() == [True, True] + [False] * 6
    assert positions.tolist() == [0, 1, 2, 3, 4, 2, 3, 4]


def decoded(candidates, score):
    count = len(candidates)
    return DecodedMasks(candidates[:, :1], torch.zeros(count, 4), torch.full((count, 1), score),
                        candidates, torch.full((count, 3), 0.5))  # fmt: skip


def test_the_mask_loss_rewards_the_right_mask_and_is_silent_where_masks_are_blanked():
    truth = torch.zeros(2, 1, SIDE, SIDE)
    truth[:, :, 32:64, 32:96] = 1
    small = nn.functional.avg_pool2d(truth, 4)
    right = (small * 20 - 10).expand(2, 3, -1, -1)
    good, bad = (mask_loss([decoded(sign * right, 5.0)], truth) for sign in (1, -1))
    assert good.total < 0.5 < 5 < bad.total
    assert good.iou > 0.9
    blank = mask_loss([decoded(torch.full_like(right, NO_OBJECT_LOGIT), -5.0)], truth)
    assert blank.total < 2  # the object score alone: it says "absent" of what is there
    assert blank.visible == 0


# --- learning ------------------------------------------------------------------------------------
def test_a_few_steps_lower_the_loss_and_reach_every_organ(made, painter):
    _, _, _, language, grounding = made
    joint = Joint(language, grounding)
    rng = random.Random(0)
    shown = draw_shown(painter, rng, 2, 2, 2)
    prompts, truth = grounding.prompts_for(shown.batch, rng)

    def losses():
        read, embedded, questions = language.question_losses(
            first_pictures(shown.batch, 2), random.Random(1)
        )
        rows, chosen = choose_questions(questions, random.Random(2))
        assert rows == [0, 1]
        told = embedded[torch.tensor(rows), torch.tensor(chosen)]
        ways = [grounding.losses(shown, prompts, truth, name)["loss"]
                for name in ("sa2va", "sa2va-i")]  # fmt: skip
        return read["loss"] + sum(ways) + told.square().mean()

    optimizer = torch.optim.AdamW(joint.parameters(), lr=1e-3)
    # To Sa2VA-i all objects are visible, to Sa2VA none: so both kinds of pointers are in use, and
    # no mask is blanked, which would stop its gradient.
    network = grounding.network
    with torch.no_grad():
        for decoder, score in ((network.sam_mask_decoder, 5.0), (network.tuned_decoder, -5.0)):
            decoder.pred_obj_score_head.layers[-1].bias.fill_(score)
    before = losses()
    before.backward()
    idle = {
        name for name, p in joint.named_parameters() if p.grad is None or not p.grad.abs().any()
    }
    assert {name for name in idle if not any(part in name for part in UNUSED)} == set()
    for _ in range(3):
        optimizer.step()
        optimizer.zero_grad()
        after = losses()
        after.backward()
    assert after < 0.9 * before


def test_an_exported_checkpoint_says_what_was_said_in_training(made, tmp_path, painter):
    network, config, _, language, _ = made
    folder = tmp_path / "checkpoint"
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(parameter.half().float())  # as it is stored
    export(folder, network, config, config_values(int(config.llm.vocab_size)), {"seed": 3})
    model = load(folder, "cpu")
    assert model.config.has_tuned_decoder
    batch = draw_batch(painter, random.Random(3), 1, 3)
    frames = batch.frames[:, :, :VISION_SIDE, :VISION_SIDE]  # of a size that nothing resizes
    questions = language.asker.ask(batch.scenes, random.Random(2), 6)
    with torch.inference_mode():
        read = language.read(frames, questions, len(network.language.model.layers))
        _, embedded = language.answer_losses(read, questions)
        chosen = [k for k, question in enumerate(questions.rows[0]) if question.targets]
        asked = [questions.rows[0][k] for k in chosen]
        prefix = language.asker.prefix(3).tolist()
        prompts = [Prompt([*prefix, *q.ids[: q.answer]], len(prefix)) for q in asked]
        replies = answer_all(
            model.backbone, frames[0].numpy(), prompts, [], answers=[FOUND] * len(prompts),
            max_new_tokens=20, at_once=len(prompts),
        )  # fmt: skip
        _, found = embed_objects(model.backbone, replies, PROCEDURES["sa2va"], Settings())
    torch.testing.assert_close(found[:, 0], embedded[0, chosen], atol=2e-4, rtol=1e-3)
    clip = np.zeros((4, 128, 192, 3), np.uint8)
    for procedure in ("sa2va", "sa2va-i"):
        (answer,) = model.segment(clip, ["The one"], Settings(procedure=procedure), answers=[FOUND])
        assert np.asarray(answer.masks).shape == (4, 128, 192)


def test_the_codebook_is_orthogonal_and_the_statements_have_names():
    codes = codebook()
    torch.testing.assert_close(codes @ codes.T, 16 * torch.eye(len(COLOURS)), atol=1e-4, rtol=0)
    assert len(set(MEANINGS)) == len(MEANINGS) > 20


# --- the loop ------------------------------------------------------------------------------------
def small_course(folder, steps_before_stop=None):
    torch.manual_seed(0)
    module = nn.Linear(3, 1)
    taken = []

    def take_step(rng, share):
        if len(taken) == steps_before_stop:
            raise KeyboardInterrupt
        taken.append(share)
        goal = rng.random()
        return {"loss": (module(torch.ones(3)) - goal).square().sum()}

    stages = [Stage(name, 4, take_step, 1e-2, lambda: [{"params": list(module.parameters())}])
              for name in ("one", "two")]  # fmt: skip
    return Course("toy", folder, 7, module), stages, taken


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)
    course, stages, _ = small_course(tmp_path / "whole")
    course.run(stages)
    stopped, plan, _ = small_course(tmp_path / "cut", steps_before_stop=7)
    with pytest.raises(KeyboardInterrupt):
        stopped.run(plan)
    resumed, plan, taken = small_course(tmp_path / "cut")
    resumed.run(plan)
    assert taken == [0.5, 0.75]  # of the second stage; its first half was saved
    for name, value in course.modules.state_dict().items():
        assert torch.equal(value, resumed.modules.state_dict()[name])
    points = loop.curve_of(resumed.file)
    assert [(point["stage"], point["step"]) for point in points] == [("one", 4), ("two", 4)]


def test_a_gradient_that_is_not_finite_stops_the_run(tmp_path):
    course, stages, _ = small_course(tmp_path)
    with torch.no_grad():
        course.modules.weight.fill_(float("inf"))
    with pytest.raises(ArithmeticError, match="one, step 0"):
        course.run(stages)


def test_the_learning_rate_rises_stays_and_falls():
    stage = Stage("s", 100, lambda rng, share: {}, 1.0, list, decay_from=0.5, warm_up=10)
    assert stage.rate_at(0) == 0.1
    assert stage.rate_at(30) == 1.0
    assert stage.rate_at(75) == pytest.approx(0.5)
    assert stage.rate_at(99) == pytest.approx(0.03)
