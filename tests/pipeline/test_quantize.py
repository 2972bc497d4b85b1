"""quantize = "int8" from the recipe to the run: what is said, what fits, what is shared."""

from dataclasses import replace
from pathlib import Path

import pytest
from models.checkpoints import TINY

from submission.cli import main
from submission.compute import Compute
from submission.dataset.records import Expression, Split, Video
from submission.device import Place
from submission.errors import InputError
from submission.experts.expert import ExpertEntry, Tools
from submission.experts.registry import build_experts
from submission.experts.sa2va.expert import Settings
from submission.experts.scheduling import schedule
from submission.experts.sharing import sharing_in_words
from submission.models.sa2va.internvl import KIND
from submission.models.workload import Limits
from submission.pipeline.limits import fit_limits
from submission.recipes.find import PACKAGED
from submission.terminal.progress import Reporter
from submission.weights.checkpoints import CheckpointFinder
from submission.weights.folders import Weights
from submission.weights.tensors import loaded_bytes

SAMPLE = PACKAGED.parent / "samples/mevis"
BIG = Settings(checkpoint="Sa2VA-26B", frames=5)
SETTING = 'set quantize = "int8" for it (an approximation, docs/engine.md), or take a smaller'


@pytest.fixture
def split() -> Split:
    """One full-HD video with 16 sentences."""
    sentences = tuple(Expression("a", str(n), "the cat") for n in range(16))
    video = Video("a", tuple(f"{time:05}" for time in range(79)), (1080, 1920), sentences)
    return Split(Path("data"), "valid", Path("data/meta_expressions.json"), (video,))


def build(weights: Weights, dtype: str = "bfloat16", **settings: Settings) -> list:
    """Experts by name, on a CPU."""
    compute = Compute(device="cpu", dtype=dtype)
    reporter = Reporter("quiet")
    finder = CheckpointFinder(Path(), weights, False, reporter)
    entries = tuple(ExpertEntry(name, "sa2va", one) for name, one in settings.items())
    return build_experts(Tools(Path(), compute, finder, None, reporter, entries))


def fit(settings: Settings, split: Split, place: Place, weights: Weights) -> None:
    experts = build(weights, big=settings)
    with Reporter("plain") as reporter:
        fit_limits(experts, {"big": split.videos}, Compute(), place, reporter)


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


def test_the_forecast_knows_the_smaller_weights(split, tmp_path, capsys):
    both = build(Weights(folder=tmp_path), whole=BIG, small=replace(BIG, quantize="int8"))
    whole, small = (expert.memory(split.videos[0], Limits(), 0) for expert in both)
    assert whole - small > 15e9
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
    settings = {how: Settings(checkpoint=str(TINY), quantize=how) for how in ("none", "int8")}
    whole, small = build(Weights(), "float32", **settings)
    assert whole.identity() != small.identity()
    assert whole.resources().model != small.resources().model
    assert whole.resources().encoder() == small.resources().encoder()
    plan = schedule([whole, small], lambda: 10**9)
    assert plan.names == (("none", "int8"),)
    assert plan.passes[0].models.keys() == {whole.resources().model, small.resources().model}
    lines = sharing_in_words(plan, dict.fromkeys(("none", "int8"), split.videos))
    assert "2 models are loaded side by side" in lines[0]
    assert loaded_bytes(TINY, 4, KIND.language_layers) < loaded_bytes(TINY, 4)
