"""The packaged recipes, a series of recipes, and the published numbers beside ours."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from submission.cli import main
from submission.errors import FaultyInput
from submission.experts.expert import Tools
from submission.experts.registry import build_experts
from submission.masks.store import PredictionStore
from submission.recipes.find import packaged_recipes, read_recipe, recipe_series
from submission.recipes.parse import parse_recipe
from submission.recipes.recipe import Published
from submission.terminal.progress import Reporter
from submission.verbs.published import published_lines
from submission.verbs.recipes import recipe_lines
from submission.weights.checkpoints import CheckpointFinder
from submission.weights.folders import Weights
from submission.weights.lock import Lock, LockedCheckpoint, LockedFile

TABLE2 = [f"table2/{name}" for name in
          ("first05", "uniform05", "uniform10", "uniform15", "uniform20", "uniform25")]  # fmt: skip


def test_the_packaged_recipes_are_these():
    singles = ["pvuw4-native", "pvuw4", "sa2va-baseline", "sa2va-i-26b"]
    singles += ["sample", "sasasa2va-modes", "single-24gb", "single-80gb"]
    assert packaged_recipes() == [*singles, *TABLE2]


@pytest.mark.parametrize("name", packaged_recipes())
def test_each_names_checkpoints_of_the_lock_or_a_folder_that_is_there(name):
    recipe = read_recipe(name)
    lock = Weights().lock
    for expert in build_experts(tools(recipe)):
        for checkpoint in expert.checkpoints():
            named = lock.find(checkpoint) is not None
            assert named or (recipe.folder / checkpoint / "config.json").is_file()


def tools(recipe):
    """What a recipe's experts are built with, when nothing is opened."""
    quiet = Reporter("quiet")
    finder = CheckpointFinder(recipe.folder, Weights(), False, quiet)
    store = PredictionStore(Path())
    return Tools(recipe.folder, recipe.compute, finder, store, quiet, recipe.experts)


def test_the_ensemble_is_the_papers_as_we_read_it():
    members = read_recipe("pvuw4").experts
    asked = [entry.settings for entry in members if entry.kind == "sa2va"]
    shown = [(one.checkpoint, one.sampling, one.frames) for one in asked]
    assert shown == [("Sa2VA-26B", "uniform", frames) for frames in (10, 15, 20, 25)] + [
        ("Sa2VA-8B", "uniform", 20)
    ]
    assert [entry.kind for entry in members[5:]] == ["masks"]


def test_the_native_ensemble_differs_in_its_sixth_member_alone():
    native, given = read_recipe("pvuw4-native"), read_recipe("pvuw4")
    assert native.experts[:5] == given.experts[:5]
    assert [entry.kind for entry in native.experts[5:]] == ["uninext-cutie"]
    assert replace(native, name=given.name, experts=given.experts) == given


def test_table_2_is_six_runs_of_the_paper(monkeypatch, tmp_path):
    recipes = [read_recipe(name) for name in recipe_series("table2")]
    assert len({recipe.name for recipe in recipes}) == len(recipes) == len(TABLE2)
    rows = [recipe.published.means["J&F"] for recipe in recipes]
    assert rows == [52.11, 55.69, 57.45, 57.86, 58.06, 57.98]
    for recipe in recipes:
        means = recipe.published.means
        assert (means["J"] + means["F"]) / 2 == pytest.approx(means["J&F"], abs=0.011)


def test_a_call_on_a_series_is_a_call_on_each_of_its_recipes(split_folder, tmp_path, capsys):
    for name in ("b", "a"):
        text = f'name = "{name}"\n[[expert]]\nname = "{name}"\nkind = "example"\n'
        (tmp_path / f"{name}.toml").write_text(text)
    data = ["--data", str(split_folder.parent), "--split", "valid_u"]
    assert main(["submit", "--recipe", str(tmp_path), "--dry-run", *data]) == 0
    plans = [line for line in capsys.readouterr().out.splitlines() if line.startswith("expert")]
    assert [line.split()[1] for line in plans] == ["a:", "b:"]


def test_a_folder_of_the_name_does_not_take_the_place_of_a_packaged_recipe(tmp_path, monkeypatch):
    for name in ("sample", "table2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "other.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    assert recipe_series("sample") == ["sample"]
    assert read_recipe("sample").name == "sample"
    assert len(recipe_series("table2")) == len(TABLE2)
    assert recipe_series("./sample") == ["sample/other.toml"]  # a path is a path


def test_published_numbers_must_be_numbers(tmp_path):
    values = {"expert": [{"name": "a", "checkpoint": "b"}], "published": {"j": "x", "k": 1}}
    with pytest.raises(FaultyInput) as caught:
        parse_recipe(values, tmp_path / "a.toml")
    assert [fault.where for fault in caught.value.faults] == ["[published] j", "[published] k"]


# --- printing ------------------------------------------------------------------------------------
PAPER = Published("a paper", "valid", {"J&F": 58.06, "J": 54.61, "F": 61.52})


def test_ours_stands_above_theirs():
    lines = published_lines(PAPER, "valid", {"J&F": 0.5, "J": 0.4, "F": 0.6})
    assert lines == [
        "  percent       J&F       J       F",
        "  ours        50.00   40.00   60.00",
        "  published   58.06   54.61   61.52",
        "  published: a paper, on valid",
    ]


def test_other_data_and_no_truth_are_said():
    assert "not of the same data" in published_lines(PAPER, "valid_u", PAPER.means)[-1]
    lines = published_lines(PAPER, "valid", None)
    assert lines[1].split() == ["ours", "?", "?", "?"]
    assert "no ground truth" in lines[-1]


def test_the_list_sums_downloads_and_marks_estimates(tmp_path):
    pinned = LockedFile("config.json", 2_000_000_000, "ab" * 32)
    checkpoints = [LockedCheckpoint(name, "Lab/A", "", "", (pinned,))
                   for name in ("Sa2VA-26B", "Sa2VA-8B")]  # fmt: skip
    lines = recipe_lines(Lock(tmp_path, tuple(checkpoints)))
    row = next(line for line in lines if line.startswith("single-80gb"))
    assert re.split(r"  +", row)[-2:] == ["4.00 GB", "about 64.6 GB"]
    row = next(line for line in lines if line.startswith("sa2va-i-26b"))
    assert re.split(r"  +", row)[-2:] == ["unknown", "about 59.1 GB"]
    assert "estimated, not measured" in "\n".join(lines)


def test_recipes_is_a_verb(capsys):
    assert main(["recipes"]) == 0
    assert "pvuw4" in capsys.readouterr().out
