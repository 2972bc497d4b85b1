"""Words that are nearly right: the right one is said, and nothing where none is near."""

from contextlib import suppress

import pytest

from submission.cli import main
from submission.did_you_mean import did_you_mean, nearest
from submission.errors import InputError
from submission.weights.folders import Weights, find_own
from submission.weights.lock_file import default_lock, read_lock

LOCKED = [item.name for item in read_lock(default_lock()).checkpoints]


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("ByteDance/Sa2VA-8B", "Sa2VA-8B"),
        ("sa2va-8b", "Sa2VA-8B"),
        ("Sa2VA_8B", "Sa2VA-8B"),
        ("kumuji/sa2va_i_26b", "Sa2VA-i-26B"),
        ("Sa2VA-InternVL3-8", "Sa2VA-InternVL3-8B"),
        ("sam2-hiera-larg", "SAM2-hiera-large"),
    ],
)
def test_the_nearest_checkpoint(word, name, tmp_path):
    assert nearest(word, LOCKED) == name
    words = f'; did you mean "{name}"'
    weights = Weights(read_lock(default_lock()), tmp_path)
    with pytest.raises(InputError, match=words):
        find_own(word, tmp_path, weights)
    if "ByteDance" in word:
        assert weights.lock.take(word).name == name  # as the Hub has it
    else:
        with pytest.raises(InputError, match=words):
            weights.lock.take(word)


def test_nothing_is_said_where_nothing_is_near():
    assert did_you_mean("LLaVA", LOCKED) == ""
    assert did_you_mean("frames", []) == ""


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (["wieghts"], "weights"),
        (["weights", "lst"], "list"),
        (["submit", "--recipe", "single_24GB"], "single-24gb"),
        (["submit", "--videos", "1", "--set", "expert.first_5.frames=1"], "first5"),
        (["submit", "--set", "vote.rull=paper"], "rule"),
        (["submit", "--set", "expert.first5.procedure=sa2va_i"], "sa2va-i"),
    ],
)
def test_verbs_recipes_experts_and_keys(words, right, capsys):
    with suppress(SystemExit):  # argparse's own
        assert main(words) == 2
    assert f'did you mean "{right}"?' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("word", "meant"), [("--framse", "--frames"), ("--bass", "--base"), ("--quit", "--quiet")]
)
def test_the_nearest_option(word, meant):
    assert nearest(word, ["--base", "--frames", "--quiet", "--data"]) == meant


def test_an_option_that_is_like_no_other_has_no_nearest():
    assert nearest("--framse", ["--base", "--data", "--quiet"]) is None


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["submit", "base.toml"], "--recipe base.toml"),
        (["submit", "single-24gb"], "--recipe single-24gb"),
        (["report", "first"], "--run first"),
        (["submit", "mevis"], "--data mevis"),
        (["submit", "--recipe", "a.toml", "b.toml"], None),  # one is named already
        (["submit", "nothing-of-this"], None),
        (["compare", "first", "first", "b.toml"], None),  # a verb without --recipe
    ],
)
def test_a_file_or_folder_without_its_option(words, meant, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first" / "predictions").mkdir(parents=True)
    (tmp_path / "mevis").mkdir()
    with pytest.raises(SystemExit):
        main(words)
    told = capsys.readouterr().err
    assert "unrecognized arguments" in told
    end = f'; did you mean "{meant}"?' if meant else f"; see mevis-submission {words[0]} --help"
    assert told.rstrip().endswith(f"{words[-1]}{end}")


def test_an_option_of_another_verb_is_not_offered(capsys):
    with pytest.raises(SystemExit):
        main(["weights", "fetch", "Sa2VA-8B", "--dry-run"])
    told = capsys.readouterr().err
    assert told.startswith("usage: mevis-submission weights fetch ")
    assert told.endswith("arguments: --dry-run; see mevis-submission weights fetch --help\n")


@pytest.mark.parametrize(("word", "is_near"), [("Sa2VA-8", True), ("LLaVA", False)])
@pytest.mark.parametrize("asked", ["recipe", "lock"])
def test_a_good_suggestion_stands_beside_the_command_that_lists_all(asked, word, is_near, tmp_path):
    weights = Weights(read_lock(default_lock()), tmp_path)
    with pytest.raises(InputError) as told:
        find_own(word, tmp_path, weights) if asked == "recipe" else weights.lock.take(word)
    assert ("mevis-submission weights list" in str(told.value)) is is_near
    assert ("UNINEXT-R50" in str(told.value)) is not is_near
