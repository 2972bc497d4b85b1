"""What a dry run says of cost, and the limits that a run chooses, for GPUs that are made up."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from submission.cli import main
from submission.cost.released import RELEASED, config_json
from submission.dataset.records import Expression, Split, Video
from submission.device import Place
from submission.errors import InputError
from submission.experts.expert import Tools
from submission.experts.registry import build_experts
from submission.experts.sa2va.cost import Cost
from submission.experts.sa2va.expert import Settings
from submission.experts.scheduling import Pass, Schedule, schedule
from submission.masks.store import PredictionStore
from submission.models.sa2va.config_file import read_values
from submission.models.sa2va.internvl.config import parse_config
from submission.models.sa2va.procedures import PROCEDURES
from submission.models.sa2va.registry import parse_sizes
from submission.models.workload import Limits
from submission.pipeline import forecast
from submission.pipeline.limits import fit_limits
from submission.pipeline.prepare import prepare
from submission.recipes.find import PACKAGED, read_recipe
from submission.terminal.progress import Reporter
from submission.weights.checkpoints import CheckpointFinder
from submission.weights.folders import Weights

H100 = Place("NVIDIA H100 80GB HBM3", 84e9, 85e9)
RTX_4090 = Place("NVIDIA GeForce RTX 4090", 24e9, 25e9)


@pytest.fixture
def weights(tmp_path) -> Weights:
    """A lock, and a folder without any checkpoint."""
    return Weights(folder=tmp_path)


@pytest.fixture
def split() -> Split:
    """Two full-HD videos with 16 sentences each."""
    videos = tuple(
        Video(
            name, tuple(f"{time:05}" for time in range(79)), (1080, 1920),
            tuple(Expression(name, str(n), "the cat") for n in range(16)),
        )
        for name in ("a", "b")
    )  # fmt: skip
    return Split(Path("data"), "valid", Path("data/meta_expressions.json"), videos)


def build(recipe, weights, reporter=None):
    finder = CheckpointFinder(recipe.folder, weights, False, reporter)
    compute = replace(recipe.compute, dtype="bfloat16")
    return build_experts(Tools(recipe.folder, compute, finder, None, reporter, recipe.experts))


def fitted(recipe, todo, weights, place, reporter):
    """[compute] with limits that fit."""
    return fit_limits(build(recipe, weights, reporter), todo, recipe.compute, place, reporter)


def limits(recipe, split, weights, place, capsys):
    """The chosen limits (objects, images, sentences), and what was said."""
    with Reporter("plain", verbose=True) as reporter:
        chosen = fitted(recipe, everything(recipe, split), weights, place, reporter)
    values = chosen.objects_at_once, chosen.images_at_once, chosen.sentences_at_once
    return values, capsys.readouterr().err


def everything(recipe, split):
    return {entry.name: split.videos for entry in recipe.experts}


def change(entry, name=None, **settings):
    """An [[expert]] with other settings."""
    return replace(
        entry, name=name or entry.name, settings=replace(entry.settings, **settings)
    )  # fmt: skip


def plan_cost(recipe, weights, todo, place, passes=None):
    """What a dry run says of cost; of experts in these passes, or in those that it would choose."""
    experts = build(recipe, weights)
    plan = schedule([one for one in experts if todo[one.name]], lambda: 24e9)
    if passes is not None:
        named = {expert.name: expert for expert in experts}
        plan = Schedule(tuple(Pass(tuple(named[name] for name in one), {}) for one in passes))
    return forecast.plan_cost(experts, todo, recipe.compute, place, plan)


# --- the plan ------------------------------------------------------------------------------------
def test_a_plan_without_a_gpu_tells_of_known_ones(split, weights):
    recipe = read_recipe("single-80gb")
    lines = plan_cost(recipe, weights, everything(recipe, split), None)
    table = {line.split()[0]: line for line in lines if line and not line.startswith(" ")}
    assert "H200" in table["cost"]
    assert "RTX" in table["cost"]
    assert any(
        "8b-uniform20 on RTX 4090: sentences_at_once = 64, objects_at_once = 4, " in line
        for line in lines
    )
    assert table["sa2va-26b-uniform10"].endswith("does not fit")
    assert table["sa2va-8b-uniform20"].endswith("*")
    assert "PFLOP" in table["all"]


def test_a_plan_with_a_gpu_tells_of_that_one(split, weights):
    recipe = read_recipe("single-80gb")
    lines = plan_cost(recipe, weights, everything(recipe, split), H100)
    assert any(line.endswith(H100.name) for line in lines)
    assert not any("RTX" in line or "does not fit" in line for line in lines)
    unknown = plan_cost(recipe, weights, everything(recipe, split), replace(H100, name="X 1"))
    assert any(line.endswith("fits, speed unknown") for line in unknown)


def test_what_another_expert_has_encoded_is_not_counted_again(split, weights):
    recipe = read_recipe("single-24gb")
    names = [expert.name for expert in recipe.experts]

    def work(todo):
        lines = plan_cost(recipe, weights, {name: todo.get(name, ()) for name in names}, None)
        return next(line.split() for line in lines if line.startswith(names[1]))

    alone = work({names[1]: split.videos})
    assert work(dict.fromkeys(names, split.videos)) != alone
    other = {names[0]: split.videos[:1], names[1]: split.videos[1:]}
    assert work(other) == work({names[1]: split.videos[1:]})


def test_finished_experts_and_given_masks_cost_nothing(split, weights):
    recipe = read_recipe("pvuw4")
    assert plan_cost(recipe, weights, {e.name: () for e in recipe.experts}, None) == []


def test_a_checkpoint_of_unknown_size_is_named(split, weights):
    recipe = read_recipe("single-24gb")
    strange = change(recipe.experts[0], checkpoint="my-own")
    recipe = replace(recipe, experts=(strange,))
    lines = plan_cost(recipe, weights, {strange.name: split.videos}, None)
    assert lines[0].startswith(f"cost       {strange.name}: unknown, checkpoint 'my-own' is")


@pytest.mark.parametrize(
    ("checkpoint", "settings", "weights_gb"),
    [
        ("Sa2VA-Qwen3-VL-4B", {}, 10.1),
        ("Sa2VA-Qwen2_5-VL-7B", {}, 17.1),
        ("SaSaSa2VA-4B", {"procedure": "sasasa2va", "mode": "wrap_around"}, 7.88),
    ],
)
def test_every_family_tells_work_time_and_memory(split, weights, checkpoint, settings, weights_gb):
    recipe = read_recipe("single-24gb")
    entry = replace(recipe.experts[0], settings=Settings(checkpoint=checkpoint, **settings))
    recipe = replace(recipe, experts=(entry,))
    (expert,) = build(recipe, weights)
    assert expert.resources().weights == pytest.approx(weights_gb * 1e9, rel=0.01)
    lines = plan_cost(recipe, weights, everything(recipe, split), None)
    assert not any("unknown" in line for line in lines)
    row = next(line for line in lines if line.startswith(entry.name)).split()
    assert {"PFLOP", "times)", "GB", "s"} <= set(row)


def test_limits_follow_the_tokens_of_full_hd_frames(split, weights, capsys):
    recipe = read_recipe("single-24gb")
    place = replace(RTX_4090, free=23e9)

    def chosen(**settings):
        qwen = Settings(checkpoint="Sa2VA-Qwen2_5-VL-7B", **settings)
        one = replace(recipe, experts=(replace(recipe.experts[0], settings=qwen),))
        (expert,) = build(one, weights)
        peak = expert.memory(split.videos[0], Limits(1, 1, 1), place.total)
        return peak, limits(one, split, weights, place, capsys)[0]

    (five, at_five), (twenty, at_twenty) = chosen(frames=5), chosen(frames=20)
    assert twenty > five + 1e9, "40,000 tokens are read at once"
    assert at_five[0] > 1
    small, _ = chosen(frames=20, min_pixels=28 * 28, max_pixels=256 * 28 * 28)
    assert small < five
    assert at_twenty <= at_five


def test_a_dry_run_of_the_sample_tells_its_cost(tmp_path, capsys):
    assert main(["submit", "--dry-run", "--run", str(tmp_path), "--device", "cpu"]) == 0
    assert "GFLOP" in capsys.readouterr().out


# --- workers -------------------------------------------------------------------------------------
def on_workers(split, weights, place=None, **compute):
    """What a dry run says of workers: the cells of the GPU by row, and the lines."""
    recipe = read_recipe("single-24gb")
    recipe = replace(recipe, experts=recipe.experts[:1], compute=replace(recipe.compute, **compute))
    lines = plan_cost(recipe, weights, everything(recipe, split), place)
    head = next(line for line in lines if line.startswith("cost of"))
    name = place.name if place else "H100"
    start = head.index(name)
    cells = {line[:15].strip(): line[start : start + 14].split("  ")[0].strip() for line in lines}
    return cells, "\n".join(lines)


def test_hours_are_divided_by_workers_as_far_as_videos_can_be(split, weights):
    cells, said = on_workers(split, weights)
    assert "longest video" not in cells
    assert "workers" not in said
    alone = int(cells["sa2va-8b-unifor"].split(" s")[0])
    cells, _ = on_workers(split, weights, workers=2)  # two equal videos
    assert int(cells["2 workers"].split(" s")[0]) == pytest.approx(alone / 2, abs=1)
    assert cells["2 workers"] == cells["longest video"]
    more, said = on_workers(split, weights, workers=64)
    assert more["64 workers"] == cells["2 workers"]
    assert "a GPU each" in said
    third = replace(split.videos[0], name="c")
    three = replace(split, videos=(*split.videos, third))
    cells, _ = on_workers(three, weights, workers=2)  # the third waits for one of them
    assert int(cells["2 workers"].split(" s")[0]) == pytest.approx(alone, abs=1)


def test_workers_that_share_a_gpu_share_its_time_and_memory(split, weights):
    whole, _ = on_workers(split, weights, H100, ray="auto", workers=4)
    shared, said = on_workers(split, weights, H100, ray="auto", workers=4, gpus_per_worker=0.5)
    seconds = [int(one["longest video"].split(" s")[0]) for one in (whole, shared)]
    assert seconds[1] == pytest.approx(2 * seconds[0], abs=1)
    assert "2 on a GPU, which they share" in said
    _, said = on_workers(split, weights, H100, ray="auto", workers=4, gpus_per_worker=0.2)
    assert "does not fit" in said


def test_no_number_of_workers_is_promised_that_only_the_run_will_know(split, weights, monkeypatch):
    for compute in ({"workers": "auto"}, {"ray": "10.0.0.1:6379"}):
        cells, said = on_workers(split, weights, **compute)
        assert "longest video" in cells
        assert "known when the run starts" in said
        assert not any(name.endswith("workers") for name in cells)
    monkeypatch.setattr("submission.pipeline.together.num_gpus", lambda: 2)
    cells, _ = on_workers(split, weights, H100, workers="auto")
    assert cells["2 workers"] == cells["longest video"]
    with pytest.raises(InputError, match="workers = 3, but 2 GPUs carry 2"):
        on_workers(split, weights, H100, workers=3)


# --- limits --------------------------------------------------------------------------------------
def test_a_large_gpu_keeps_the_limits_of_the_recipe(split, weights, capsys):
    recipe = read_recipe("single-80gb")
    with Reporter("plain", verbose=True) as reporter:
        kept = fitted(recipe, everything(recipe, split), weights, H100, reporter)
    assert kept is recipe.compute
    assert capsys.readouterr().err == ""


def test_a_small_gpu_gets_smaller_limits_and_says_so(split, weights, capsys):
    recipe = read_recipe("single-24gb")
    chosen, said = limits(recipe, split, weights, replace(RTX_4090, free=22e9), capsys)
    assert chosen[0] < recipe.compute.objects_at_once
    assert f"objects_at_once = {chosen[0]}" in said
    assert "22.0 GB" in said


def test_weights_that_do_not_fit_are_refused_before_anything_is_loaded(split, weights, capsys):
    with pytest.raises(InputError, match=r"26b-uniform10: the weights alone take 51\.6 GB"):
        limits(read_recipe("single-80gb"), split, weights, RTX_4090, capsys)


def test_what_is_finished_is_not_refused(split, weights):
    recipe = read_recipe("single-80gb")
    with Reporter("quiet") as reporter:
        nothing = {entry.name: () for entry in recipe.experts}
        kept = fitted(recipe, nothing, weights, RTX_4090, reporter)
    assert kept is recipe.compute


def test_a_recipe_that_may_not_fit_is_warned_of_with_what_would(split, weights, capsys):
    recipe = read_recipe("single-24gb")
    chosen, said = limits(recipe, split, weights, replace(RTX_4090, free=18.7e9), capsys)
    assert chosen == (1, 1, 1)
    assert "warning: expert sa2va-8b-uniform20: one object and one image at a time still" in said
    assert "set frames = 1" in said
    assert "a smaller checkpoint" in said


def test_models_that_stay_loaded_side_by_side_count_together(split, weights, capsys):
    recipe = read_recipe("single-24gb")
    two = (change(recipe.experts[2], "small", checkpoint="Sa2VA-1B"), recipe.experts[2])
    compute = replace(recipe.compute, objects_at_once=32)
    recipe = replace(recipe, compute=compute, experts=two)
    off = replace(recipe, compute=replace(compute, share_features="off"))
    twice = [replace(video, expressions=video.expressions * 2) for video in split.videos]
    split = replace(split, videos=tuple(twice))
    place = Place("large", 36.5e9, 50e9)  # the weights, 19 GB, take less than 0.6 of what is free
    together, _ = limits(recipe, split, weights, place, capsys)
    alone, _ = limits(off, split, weights, place, capsys)
    assert together < alone
    crowded = replace(place, free=28.5e9)  # 0.6 of it is less than 19 GB, 0.6 of the whole is not
    together, _ = limits(recipe, split, weights, crowded, capsys)
    assert together == limits(off, split, weights, crowded, capsys)[0]


def test_models_that_fit_only_one_at_a_time_are_warned_of_with_the_setting(split, weights, capsys):
    recipe = read_recipe("single-24gb")
    one = change(recipe.experts[0], checkpoint="Sa2VA-1B", frames=79)
    two = (one, change(one, "other", quantize="int8"))
    recipe, place = replace(recipe, experts=two), Place("small", 7.9e9, 8e9)
    _, said = limits(recipe, split, weights, place, capsys)
    assert 'set share_features = "off", so that one model at a time is loaded, or ' in said
    off = replace(recipe, compute=replace(recipe.compute, share_features="off"))
    assert "warning" not in limits(off, split, weights, place, capsys)[1]


def test_a_large_model_on_a_cpu_is_warned_of_where_nobody_asked_for_that(
    split, weights, capsys, monkeypatch, tmp_path
):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    recipe = read_recipe("single-24gb")
    given = replace(recipe, compute=replace(recipe.compute, device="cpu"))
    small = read_recipe("sample")
    store = PredictionStore(tmp_path / "store")
    for one, warned in ((recipe, 1), (given, 0), (small, 0)):
        with Reporter("plain") as reporter:
            prepare(one, split, store, weights, reporter)
        said = capsys.readouterr().err
        assert said.count("the CPU will take very long for sa2va") == warned
        assert said.count("torch") == warned, said


def test_a_plan_shares_image_features_as_the_run_does(split, weights):
    recipe = read_recipe("single-24gb")
    one = change(recipe.experts[0], checkpoint="Sa2VA-1B")
    recipe = replace(recipe, experts=(one, change(one, "other", quantize="int8")))
    todo = everything(recipe, split)

    def other(*passes):
        lines = plan_cost(recipe, weights, todo, None, passes)
        return next(line for line in lines if line.startswith("other"))

    assert other((one.name, "other")) != other((one.name,), ("other",))
    assert other(("other", one.name)) == other((one.name,), ("other",))


# --- sizes ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [*RELEASED, "sample"])
def test_sizes_are_those_of_which_the_network_is_built(name):
    folder = PACKAGED.parent / "samples/small-5"
    values = read_values(folder) if name == "sample" else config_json(name)
    sizes, built = parse_sizes(values), parse_config(values, has_tuned_decoder=False)
    grounding = {**vars(built.grounding), "hiera": vars(built.grounding.hiera)}
    assert {**vars(sizes.grounding), "hiera": vars(sizes.grounding.hiera)} == grounding
    llm = built.llm
    assert (sizes.language.width, sizes.language.layers, sizes.language.vocabulary) == (
        llm.hidden_size, llm.num_hidden_layers, llm.vocab_size,
    )  # fmt: skip
    assert (sizes.vision.image, sizes.vision.tokens) == (built.image_size, built.tokens_per_frame)


@pytest.mark.parametrize(
    ("content", "what"),
    [(None, "no config.json"), ("{}", "llm_config"), ("{", "broken JSON at line 1")],
)
def test_a_config_that_cannot_be_read_is_named(tmp_path, content, what):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=what):
        Cost(read_values(tmp_path), tmp_path, PROCEDURES["sa2va"], "none").weights(2)


def test_the_cost_room_needs_no_torch():
    rooms = "submission.pipeline.forecast, submission.pipeline.limits"
    code = f"import sys, {rooms}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
