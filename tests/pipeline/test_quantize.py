"""quantize = "int8" from the recipe to the run: what is said, what fits, what is shared."""

from dataclasses import replace
from pathlib import Path

import pytest
from models.checkpoints import TINY

from submission.cli import main
from submission.dataset.records import Expression, Split, Video
from submission.device import Place
from submission.errors import InputError
from submission.experts.registry import make_experts
from submission.experts.sharing import arrange, foresee
from submission.pipeline.forecast import memory_of_released
from submission.pipeline.limits import fit_limits
from submission.progress import Reporter
from submission.recipe import PACKAGED, Recipe, Sa2VAMember
from submission.weights.folders import Weights
from submission.weights.tensors import loaded_bytes

SAMPLE = PACKAGED.parent / "samples/mevis"
BIG = Sa2VAMember("big", "Sa2VA-26B", frames=5)
SETTING = 'set quantize = "int8" for it (an approximation, docs/engine.md), or take a smaller'


@pytest.fixture
def split() -> Split:
    """One full-HD video with 16 sentences."""
    sentences = tuple(Expression("a", str(n), "the cat") for n in range(16))
    video = Video("a", tuple(f"{time:05}" for time in range(79)), (1080, 1920), sentences)
    return Split(Path("data"), "valid", Path("data/meta_expressions.json"), (video,))


def recipe_of(*members: Sa2VAMember, folder: Path = Path()) -> Recipe:
    return Recipe("it", folder, members)


def fit(member: Sa2VAMember, split: Split, place: Place, weights: Weights) -> None:
    with Reporter("plain") as reporter:
        fit_limits(recipe_of(member), split, {member.name}, weights, place, reporter)


# --- what is said --------------------------------------------------------------------------------
def test_a_dry_run_calls_it_an_approximation(tmp_path, capsys):
    for how in ("none", "int8"):
        told = dry_run(tmp_path, capsys, str(TINY), how)
        said = f"expert {how} is an approximation: weights of the language model are rounded to 8"
        assert (said in told) == (how == "int8")


def dry_run(folder: Path, capsys: pytest.CaptureFixture[str], checkpoint: str, *kept: str) -> str:
    """What a dry run says of a checkpoint that is kept in one way or in several."""
    text = f'[data]\nroot = "{SAMPLE}"\nsplit = "valid_u"\n'
    for how in kept:
        text += f'[[expert]]\nname = "{how}"\ncheckpoint = "{checkpoint}"\nquantize = "{how}"\n'
    path = folder / "it.toml"
    path.write_text(text + '[compute]\nshare_features = "off"\n')
    run = ["--recipe", str(path), "--run", str(folder / "run"), "--device", "cpu"]
    assert main(["submit", "--dry-run", *run]) == 0
    return capsys.readouterr().out


# --- what fits -----------------------------------------------------------------------------------
def test_weights_that_would_fit_in_eight_bits_are_refused_with_the_setting(split, tmp_path):
    weights = Weights(folder=tmp_path)
    with pytest.raises(InputError) as refused:
        fit(BIG, split, Place("GPU", 40e9, 48e9), weights)
    assert f"40.0 GB free of 48.0 GB: {SETTING} checkpoint, or a larger GPU" in str(refused.value)
    fit(replace(BIG, quantize="int8"), split, Place("GPU", 40e9, 48e9), weights)
    for member in (BIG, replace(BIG, quantize="int8")):
        with pytest.raises(InputError, match=r"of 24\.0 GB: take a smaller checkpoint"):
            fit(member, split, Place("GPU", 23e9, 24e9), weights)


def test_a_warning_names_the_setting_where_it_helps(split, tmp_path, capsys):
    weights = Weights(folder=tmp_path)
    tight = Place("GPU", 52e9, 56e9)
    fit(replace(BIG, frames=1), split, tight, weights)
    assert f"if it runs out of memory, {SETTING} checkpoint" in capsys.readouterr().err
    fit(replace(BIG, frames=1, quantize="int8"), split, tight, weights)
    assert capsys.readouterr().err == ""


def test_the_forecast_knows_the_smaller_weights(tmp_path, capsys):
    compute = recipe_of(BIG).compute
    int8 = replace(BIG, quantize="int8")
    assert memory_of_released(BIG, compute) - memory_of_released(int8, compute) > 15e9
    lines = dry_run(tmp_path, capsys, "Sa2VA-26B", "none", "int8").splitlines()
    whole, small = (
        next(line for line in lines if line.startswith(how)).partition("times)")
        for how in ("none  ", "int8  ")
    )
    assert whole[0].split()[1:] == small[0].split()[1:]  # the same work
    memory = [float(row[2].split()[0]) for row in (whole, small)]  # gigabytes
    assert memory[0] - memory[1] > 15


# --- what is shared ------------------------------------------------------------------------------
def test_two_loaded_models_that_share_image_features(split, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    members = [Sa2VAMember(how, str(TINY), quantize=how) for how in ("none", "int8")]
    recipe = recipe_of(*members)
    with Reporter("quiet") as reporter:
        experts = make_experts(
            replace(recipe, compute=replace(recipe.compute, device="cpu")), reporter
        )
    whole, small = experts
    assert whole.key != small.key
    assert whole.identity() != small.identity()
    assert arrange(experts, whole.shelf.compute) == [experts]
    assert whole.encoder == small.encoder
    assert whole.beside == small.beside == {whole.key, small.key}
    _, lines = foresee(recipe, Weights(), dict.fromkeys(("none", "int8"), split.videos))
    assert "2 models are loaded side by side" in lines[0]
    assert loaded_bytes(TINY, 4, "int8") < loaded_bytes(TINY, 4)
