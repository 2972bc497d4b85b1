"""What a call says to programs: one JSON object, common options on either side of the verb."""

import json

import pytest

from submission.cli import build_parser, main
from submission.errors import Fault, FaultyInput
from submission.recipes.find import read_recipe
from submission.terminal.answering import answering
from submission.terminal.progress import Reporter

DRY = ["--limit", "1", "--dry-run"]


def test_the_answer_of_a_verb_is_one_json_object(tmp_path, capsys):
    assert main(["--json", "submit", *DRY, "--run", str(tmp_path / "run")]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["verb"], answer["plan"]["videos"]) == ("submit", 1)
    assert answer["text"][0].startswith("split ")
    assert not (tmp_path / "run").exists()


def test_verbs_that_print_only_words_answer_too(tmp_path, capsys):
    assert main(["weights", "list", "--json", "--dir", str(tmp_path)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert any(line.startswith("Sa2VA-8B ") for line in answer["text"])


def test_an_error_is_an_answer(tmp_path, capsys):
    assert main(["check", "--json", str(tmp_path / "none.zip")]) == 2
    assert "none.zip" in json.loads(capsys.readouterr().out)["error"]
    fault = Fault("a.png", "it is damaged")
    with pytest.raises(FaultyInput), Reporter("json") as reporter, answering("x", reporter):
        raise FaultyInput("faults:", [fault])
    [listed] = json.loads(capsys.readouterr().out)["faults"]
    assert listed == {"where": "a.png", "what": "it is damaged"}


def test_an_error_that_nobody_foresaw_is_no_answer(capsys):
    with pytest.raises(KeyError), Reporter("json") as reporter, answering("x", reporter):
        raise KeyError
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "words", [["--quiet", "-v", "check", "x"], ["check", "-v", "--quiet", "x"]]
)
def test_common_options_stand_before_the_verb_or_after_it(words):
    given = build_parser().parse_args(words)
    assert (given.quiet, given.verbose, given.json, given.debug) == (True, True, False, False)


def test_a_mistyped_verb_option_or_key_is_recognised(tmp_path, capsys):
    for words, meant in ((["submti"], "submit"), (["submit", "--recpe", "a"], "--recipe")):
        with pytest.raises(SystemExit):
            main(words)
        assert f'did you mean "{meant}"?' in capsys.readouterr().err
    recipe = tmp_path / "my.toml"
    recipe.write_text('[[expert]]\nname = "a"\ncheckpoint = "x"\nfrmaes = 3\n')
    assert main(["submit", "--recipe", str(recipe)]) == 2
    assert 'frmaes: unknown key; did you mean "frames"?' in capsys.readouterr().err


def test_a_key_of_a_recipe_is_set_in_the_call(capsys):
    changes = ["vote.rule=paper", "expert.uniform5.frames=7", "gate.evidence=agreement",
               "gate.below=0.3", 'compute.device="cpu"']  # fmt: skip
    recipe = read_recipe("sample", changes)
    before = read_recipe("sample")
    assert (recipe.rule, before.rule) == ("paper", "majority")
    assert [one.settings.frames for one in recipe.experts] == [5, 7, 6, 11]
    assert recipe.gate is not None
    assert (recipe.compute.device, before.compute.device) == ("cpu", "auto")
    for wrong, says in {
        "vote.rule": "it must be KEY=VALUE",
        "expert=3": "it must be KEY=VALUE",
        "frames=3": "it must be KEY=VALUE",
        "uniform5.frames=3": "did you mean expert.uniform5.frames?",
        "name.x.y=3": "it must be KEY=VALUE",
        "name.x=3": "it must be KEY=VALUE",
        "vote.rul=paper": 'did you mean "rule"',
        "vote.rule=7": "it must be one of",
        "expert.unifrom5.frames=7": 'did you mean "uniform5"',
    }.items():
        assert main(["submit", *DRY, "--set", wrong]) == 2
        assert says in capsys.readouterr().err


def test_what_was_said_is_kept_in_the_run(tmp_path, capsys):
    with Reporter("quiet") as reporter:
        reporter.say("before")
        reporter.keep_log(tmp_path / "log.txt")
        reporter.stage("vote")
        reporter.detail("loading")
        reporter.result("zip      x.zip")
        reporter.warn("careful")
        reporter.fail("broken:\n  a.png")
    with Reporter("quiet") as reporter:
        reporter.keep_log(tmp_path / "log.txt")
        reporter.say("again")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    said = [line.partition("  ")[2] for line in lines]
    assert said == [
        "before", "vote", "loading", "zip      x.zip", "warning: careful", "broken:", "  a.png",
        "again",
    ]  # fmt: skip
    assert capsys.readouterr().out == "zip      x.zip\n"


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path, capsys):
    with Reporter("plain") as reporter:
        reporter.keep_log(tmp_path / "absent" / "log.txt")
        reporter.say("go on")
    assert capsys.readouterr().err == "go on\n"
