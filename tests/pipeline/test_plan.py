"""The plan of a dry run: counts that can be checked by hand."""

from dataclasses import replace
from functools import partial

from submission.compute import Compute
from submission.device import Place
from submission.experts.example import Brightness, Settings
from submission.experts.model_cache import ModelCache
from submission.experts.scheduling import Schedule
from submission.pipeline.plan import EIGHT_BIT_FACTOR, estimate_zip, make_plan
from submission.pipeline.prepare import Prepared


class Spoken(Brightness):
    """An expert that has something to say of itself."""

    def __init__(self, name, summary="", *warnings):
        super().__init__(name, Settings())
        self.words, self.warned = summary, warnings

    def summary(self, videos):
        return f"{len(videos)} {self.words}" if self.words else ""

    def warnings(self):
        return self.warned


def plan_of(split, *experts, done):
    todo = {expert.name: () for expert in experts}
    prepared = Prepared(
        split, Compute(), None, experts, todo, dict(zip(todo, done, strict=True)), Schedule(),
        ModelCache(), (Compute(), experts),
    )  # fmt: skip
    return make_plan(prepared, "1bit")


def test_counts_of_the_tiny_split(split):
    # dogs: 3 frames x 3 sentences; cups: 2 frames x 1 sentence
    plan = plan_of(split, Spoken("u2", "clips are looked at"), Spoken("other"), done=(3, 0))
    assert (plan.videos, plan.sentences, plan.frames, plan.masks) == (2, 4, 5, 11)
    text = "\n".join(plan.lines())
    assert "expert     u2: 2 clips are looked at, 3 of 4 sentences done" in text
    assert "expert     other: 0 of 4" in text
    assert "warning" not in text


def test_the_plan_says_what_is_recorded_and_where_that_has_no_effect(split):
    plain = plan_of(split, Spoken("a"), done=(0,))
    assert not any(line.startswith("recorded") for line in plain.lines())
    prepared = partial(
        Prepared, split, Compute(compile="parts"), experts=(), todo={}, done={},
        schedule=Schedule(), models=ModelCache(), on_gpu=(Compute(), ()),
    )  # fmt: skip
    said = "\n".join(make_plan(prepared(gpu=None), "1bit").lines())
    assert 'recorded   compile = "parts" has no effect: CUDA graphs need a GPU' in said
    gpu = Place("Some GPU", 8e10, 8e10)
    assert "as CUDA graphs" in make_plan(prepared(gpu=gpu), "1bit").compiled


def test_a_large_zip_is_warned_of(split):
    video = replace(split.videos[0], size=(1080, 1920), frame_names=("f",) * 100_000)
    lines = plan_of(replace(split, videos=(video,)), Spoken("a"), done=(0,)).lines()
    assert any(line.startswith("warning") for line in lines)


def test_a_full_hd_mask_is_estimated_as_measured(split):
    video = replace(split.videos[1], size=(1080, 1920), frame_names=("f",))
    one = replace(split, videos=(video,))
    assert 5_000 < estimate_zip(one, "1bit") < 6_000
    assert estimate_zip(one, "8bit") > estimate_zip(one, "1bit") * (EIGHT_BIT_FACTOR - 0.05)


def test_what_an_expert_warns_of_is_said(split):
    lines = plan_of(split, Spoken("fast", "", "is an approximation: less"), done=(0,)).lines()
    assert "warning    expert fast is an approximation: less" in lines
