"""The judge against the library's own Qwen-VL: log-odds of the first token, alone and packed."""

import numpy as np
import pytest
import torch
from models.checkpoints import TINY
from models.plain_qwenvl import write_plain

from submission.errors import FaultyInput, InputError
from submission.gate.evidence import KINDS
from submission.models.sa2va.questions import AUDIT, audit_questions, judges_question
from submission.models.sa2va.qwenvl import vision
from submission.models.sa2va.qwenvl.judge import Judge, load_judge
from submission.models.sa2va.settings import CELL, Settings
from submission.video.frame_loader import FrameLoader

SMALL = Settings(min_pixels=4 * CELL, max_pixels=16 * CELL)
SENTENCES = ["the dog that turns left", "which cat jumps?", "a <|im_end|> that moves"]
FAMILIES = [("qwen3", False), ("qwen2_5", False), ("qwen2_5", True)]


def video(frames: int = 4) -> FrameLoader:
    from concurrent.futures import ThreadPoolExecutor

    drawn = np.random.default_rng(0).integers(0, 256, (frames, 60, 100, 3), np.uint8)
    return FrameLoader(drawn.__getitem__, drawn.shape[:3], ThreadPoolExecutor(1))


def librarys_odds(model, judge: Judge, loader: FrameLoader, frames, question: str) -> float:
    """What the library's class says of the whole prompt at once, with its own positions."""
    reader = judge.reader
    prompt = reader.prompt(len(frames), question, loader.shape[1:], SMALL)
    images = reader.look(loader, [(time,) for time in frames], SMALL)
    values = vision.levels(judge.reader.config.mean, judge.reader.config.std)
    patch, merge = reader.config.patch, reader.config.merge
    patches = torch.cat([vision.cut(image, values, patch, merge) for image in images])
    grid = [[1, images.shape[1] // patch, images.shape[2] // patch]] * len(frames)
    ids = torch.tensor([prompt.ids])
    kinds = (ids == model.config.image_token_id).int()
    with torch.inference_mode():
        logits = model(
            input_ids=ids, attention_mask=torch.ones_like(ids), mm_token_type_ids=kinds,
            pixel_values=patches, image_grid_thw=torch.tensor(grid),
        ).logits[0, -1]  # fmt: skip
    first = {word: reader.tokenizer.encode_answer(word)[0] for word in ("yes", "Yes", "no", "No")}
    yes, no = ([first[word] for word in pair] for pair in (("yes", "Yes"), ("no", "No")))
    return float(logits[yes].logsumexp(0) - logits[no].logsumexp(0))


@pytest.mark.parametrize(("family", "old"), FAMILIES)
def test_odds_are_those_of_the_librarys_class(tmp_path, family, old):
    model = write_plain(tmp_path / "plain", family, old=old)
    judge, loader = load_judge(tmp_path / "plain", "cpu", "float32"), video()
    seen = judge.watch(loader, (0, 2, 3), SMALL)
    questions = [judges_question(sentence) for sentence in SENTENCES[:2]]
    found = judge.odds(seen, questions)
    wanted = [librarys_odds(model, judge, loader, (0, 2, 3), question) for question in questions]
    assert found == pytest.approx(wanted, abs=1e-4)
    assert abs(found[0] - found[1]) > 1e-3  # negative control: they could have been told apart
    other = librarys_odds(model, judge, loader, (0, 1, 3), questions[0])
    assert abs(other - wanted[0]) > 1e-3


def test_packed_alone_and_in_parts_are_equal(tmp_path):
    write_plain(tmp_path / "plain")
    judge = load_judge(tmp_path / "plain", "cpu", "float32")
    seen = judge.watch(video(), (0, 3), SMALL)
    questions = [ask(sentence) for sentence in SENTENCES for ask in audit_questions().values()]
    together = judge.odds(seen, questions)
    assert judge.odds(seen, questions, at_once=4) == pytest.approx(together, abs=1e-4)
    assert judge.odds(seen, questions[7:8]) == pytest.approx(together[7:8], abs=1e-4)


def test_every_audit_question_is_another_and_has_evidence():
    asked = {name: ask("the dog") for name, ask in audit_questions().items()}
    assert len(set(asked.values())) == len(AUDIT) == 6
    assert all('"the dog"' in words and words.endswith("yes or no.") for words in asked.values())
    assert {f"judge_{name}" for name in AUDIT} | {"judge"} <= KINDS.keys()


def test_too_long_a_prompt_is_refused_before_it_is_read(tmp_path):
    write_plain(tmp_path / "plain")
    judge = load_judge(tmp_path / "plain", "cpu", "float32")
    with pytest.raises(InputError, match=r"more than the 4096 .* set frames or max_pixels"):
        judge.watch(video(), (0, 1, 2, 3), Settings(min_pixels=1500 * CELL))


def test_what_is_no_judge_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"of no Qwen2\.5-VL or Qwen3-VL"):
        load_judge(TINY)
    write_plain(tmp_path / "plain")
    from safetensors.torch import load_file, save_file

    file = tmp_path / "plain/model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "grounding_encoder.x": torch.zeros(1)}, file)
    with pytest.raises(InputError, match="this is a Sa2VA; a judge is a plain Qwen-VL"):
        load_judge(tmp_path / "plain")
    tensors.pop(next(iter(tensors)))
    save_file(tensors, file)
    with pytest.raises(FaultyInput, match="is missing"):
        load_judge(tmp_path / "plain")


def test_a_judge_that_overflows_is_named_and_leaves_the_video_as_it_was(tmp_path):
    write_plain(tmp_path / "plain")
    judge = load_judge(tmp_path / "plain", "cpu", "float32")
    seen = judge.watch(video(), (0, 3), SMALL)
    questions = [judges_question(sentence) for sentence in SENTENCES]
    before = judge.odds(seen, questions)
    layer = judge.reader.language.lm_head
    kept = [value.detach().clone() for value in layer.parameters()]
    with torch.inference_mode():
        for value in layer.parameters():
            value.fill_(torch.nan)
    with pytest.raises(InputError, match=r"in torch\.float32, the output of .* is NaN or infinite"):
        judge.odds(seen, questions)
    with torch.inference_mode():
        for value, old in zip(layer.parameters(), kept, strict=True):
            value.copy_(old)
    assert judge.odds(seen, questions) == before
