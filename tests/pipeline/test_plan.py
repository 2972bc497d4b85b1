"""The plan of a dry run: counts that can be checked by hand."""

from dataclasses import replace

from submission.pipeline.plan import EIGHT_BIT_FACTOR, estimate_zip, make_plan


def test_counts_of_the_tiny_split(split):
    # dogs: 3 frames x 3 sentences; cups: 2 frames x 1 sentence
    plan = make_plan(split, "1bit", {"u2": (2, "uniform"), "given": None}, {"u2": 3, "given": 0})
    assert (plan.videos, plan.sentences, plan.frames, plan.masks) == (2, 4, 5, 11)
    assert [expert.key_frames for expert in plan.experts] == [4, 0]
    text = "\n".join(plan.lines())
    assert "u2: 4 key frames, 3 of 4 sentences done" in text
    assert "given: given masks, 0 of 4" in text
    assert "warning" not in text


def test_a_large_zip_is_warned_of(split):
    video = replace(split.videos[0], size=(1080, 1920), frame_names=("f",) * 100_000)
    large = replace(split, videos=(video,))
    lines = make_plan(large, "1bit", {"a": (5, "first")}, {"a": 0}).lines()
    assert any(line.startswith("warning") for line in lines)


def test_a_full_hd_mask_is_estimated_as_measured(split):
    video = replace(split.videos[1], size=(1080, 1920), frame_names=("f",))
    one = replace(split, videos=(video,))
    assert 5_000 < estimate_zip(one, "1bit") < 6_000
    assert estimate_zip(one, "8bit") > estimate_zip(one, "1bit") * (EIGHT_BIT_FACTOR - 0.05)


def test_an_approximation_is_called_one(split):
    words = "tracked frames see only the nearest 2 of the prompted frames"
    lines = make_plan(split, "1bit", {"fast": None}, {"fast": 0}, approximations={"fast": words})
    assert f"warning    expert fast is an approximation: {words}" in lines.lines()
    without = make_plan(split, "1bit", {"exact": None}, {"exact": 0})
    assert "approximation" not in "\n".join(without.lines())
