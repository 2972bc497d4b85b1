"""Modes of SaSaSa2VA side by side: asked once, found once where equal, with equal bytes."""

import json
from collections import Counter
from pathlib import Path

import pytest
from models.cases import REFERENCE

from submission.cli import main
from submission.compute import Compute
from submission.dataset.records import Expression, Video
from submission.errors import InputError
from submission.experts.expert import Expert, Tools
from submission.experts.registry import build_experts
from submission.experts.sharing import equal_answers, in_copies, votes_in_vain
from submission.models.sa2va import model as sa2va
from submission.models.sa2va.procedures import misfit
from submission.recipes.find import read_recipe
from submission.weights.checkpoints import CheckpointFinder
from submission.weights.folders import Weights

CHECKPOINT = REFERENCE / "models" / "tiny_internlm2_i"
MODES = ("uniform", "uniform_plus", "wrap_around", "wrap_around_plus")
ALONE = '[compute]\nshare_features = "off"\n'


@pytest.fixture
def recipe(tmp_path, split_folder):
    """A recipe with all modes of one small checkpoint on videos of three and two frames."""
    path = tmp_path / "modes.toml"

    def write(compute: str = ""):
        data = f'[data]\nroot = "{split_folder.parent}"\nsplit = "{split_folder.name}"\n'
        tables = [
            f'[[expert]]\nname = "{mode}"\ncheckpoint = "{CHECKPOINT}"\n'
            f'procedure = "sasasa2va"\nmode = "{mode}"\n'
            for mode in MODES
        ]
        path.write_text("".join([data, *tables, compute]))
        return str(path)

    return write


@pytest.fixture
def asked(monkeypatch) -> Counter:
    """How often the language model is asked and SAM 2 prompted, by kind; its answers are forced.

    A random model says no [SEG] by itself.
    """
    counted: Counter[str] = Counter()
    ask, ground = sa2va.Sa2VA.ask, sa2va.Sa2VA.ground

    def count_asked(model, loader, sentences, settings, **more):
        counted["asked"] += 1
        answers = ["It is" + " [SEG]," * 10 + "<|im_end|>"] * len(sentences)
        return ask(model, loader, sentences, settings, answers=answers, **more)

    def count_found(model, video, replies, settings):
        counted["found"] += 1
        return ground(model, video, replies, settings)

    monkeypatch.setattr(sa2va.Sa2VA, "ask", count_asked)
    monkeypatch.setattr(sa2va.Sa2VA, "ground", count_found)
    return counted


def answers(run) -> dict[str, bytes]:
    paths = (run / "predictions").glob("*/*/*.json")
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in paths}


def test_the_language_model_is_asked_once_and_equal_modes_are_found_once(recipe, asked, tmp_path):
    assert main(["predict", "--recipe", recipe(), "--run", str(tmp_path / "together")]) == 0
    # Two videos, so short that all modes show the same; only uniform_plus takes means.
    assert asked == {"asked": 2, "found": 2 * 2}
    together = answers(tmp_path / "together")
    asked.clear()
    assert main(["predict", "--recipe", recipe(ALONE), "--run", str(tmp_path / "alone")]) == 0
    assert asked == {"asked": 4 * 2, "found": 4 * 2}
    assert together == answers(tmp_path / "alone")
    one, plus, *wrapped = (
        [
            json.loads(together[f"predictions/{mode}/dogs/{name}.json"])["masks"]
            for name in ("0", "2", "10")
        ]
        for mode in MODES
    )
    assert wrapped == [one, one]
    assert plus != one  # else equal bytes would say nothing


def test_what_one_mode_lost_is_answered_again_with_the_same_bytes(recipe, asked, tmp_path):
    words = ["predict", "--recipe", recipe(), "--run", str(tmp_path)]
    assert main(words) == 0
    before = answers(tmp_path)
    for path in (tmp_path / "predictions/wrap_around_plus/dogs").iterdir():
        path.unlink()
    assert main(words) == 0
    assert answers(tmp_path) == before


def test_a_dry_run_says_what_is_made_once_and_which_vote_is_in_vain(recipe, tmp_path, capsys):
    assert main(["predict", "--recipe", recipe(), "--run", str(tmp_path), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert (
        "shared     uniform_plus: vision encoder, language prefix, language answers of 2 of 2 "
        "videos are there from uniform\n" in said
    )
    assert "shared     wrap_around: answers of 2 of 2 videos are there from uniform\n" in said
    assert (
        "vote       uniform, wrap_around, wrap_around_plus: equal answers in 2 of 2 videos; a vote "
        "between them adds nothing there\n" in said
    )


@pytest.mark.parametrize("words", [["--dry-run"], []], ids=["plan", "run"])
def test_a_procedure_that_does_not_fit_the_checkpoint_is_warned_of(
    recipe, asked, tmp_path, capsys, words
):
    """The small checkpoint says that it is a plain Sa2VA; of another type nothing is said."""
    assert main(["predict", "--recipe", recipe(), "--run", str(tmp_path), *words]) == 0
    out, err = capsys.readouterr()
    said = " ".join(f"{out} {err}".split())
    for mode in MODES:
        assert (
            f'expert {mode} has procedure = "sasasa2va", and its checkpoint is of type sa2va_chat, '
            'trained for "sa2va" or "sa2va-i": expect poor masks' in said
        )


@pytest.mark.parametrize(
    ("procedure", "model_type", "warned"),
    [
        ("sa2va", "sa2va_chat", False),
        ("sa2va-i", "sa2va_chat", False),
        ("sasasa2va", "sasasa2va_chat", False),
        ("sa2va", "sasasa2va_chat", True),
        ("sa2va", "something else", False),
        ("sasasa2va", None, False),
    ],
)
def test_which_types_are_trained_for_which_procedure(procedure, model_type, warned):
    assert bool(misfit(procedure, model_type)) == warned


def test_copies_of_answers_are_made_once_and_end_with_one_error():
    made = []

    def damaged():
        made.append("one")
        yield "expression", "prediction"
        raise InputError("frame 3 is damaged")

    for copy in in_copies(damaged(), 3):
        assert next(copy) == ("expression", "prediction")
        with pytest.raises(InputError, match="frame 3"):
            next(copy)
    assert made == ["one"]


@pytest.mark.parametrize(
    ("length", "groups"),
    [
        (99, [("uniform",), ("uniform_plus",), ("wrap_around", "wrap_around_plus")]),
        (100, [MODES]),
        (101, [("uniform", "uniform_plus", "wrap_around_plus"), ("wrap_around",)]),
    ],
)
def test_modes_that_are_equal_by_the_table(recipe, length, groups):
    frames, sentence = tuple(map(str, range(length))), Expression("clip", "0", "a dog")
    clip = Video("clip", frames, (8, 8), (sentence,))
    experts = experts_of(recipe())
    found = [tuple(one.name for one in group) for group in equal_answers(experts, clip)]
    assert found == groups
    in_vain = [group for group in groups if len(group) > 1]
    assert len(votes_in_vain(experts, [clip])) == len(in_vain)


def experts_of(path: str) -> list[Expert]:
    recipe = read_recipe(Path(path))
    finder = CheckpointFinder(recipe.folder, Weights(folder=recipe.folder), False, None)
    return build_experts(
        Tools(recipe.folder, Compute(), finder, None, None, recipe.experts)
    )  # fmt: skip
