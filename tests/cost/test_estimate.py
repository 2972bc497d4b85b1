"""From work to time: what can be worked out by hand, and GPUs by their drivers' names."""

import pytest

from submission.cost.estimate import Seconds, seconds_of, seconds_of_all, video_limit
from submission.cost.hardware import ATTENTION_STAGES, GPUS, LAUNCH, SHARES, SHOWN, Gpu, find_gpu
from submission.cost.lines import cost_lines, duration, flop_in_words
from submission.cost.operations import Work, batched, linear
from submission.cost.procedures import (
    ANSWERS,
    IMAGES,
    OWN,
    PREFIX,
    SHARED,
    TRACKED,
    VISION,
    ours,
)  # fmt: skip
from submission.cost.released import config_json
from submission.cost.sizes import parse_sizes
from submission.cost.video import Asking, AtOnce, Clip

GPU = Gpu("test", ("test",), 100e12, 10e12, 1e12, 8e9, 0.5, "made up")


def test_a_product_of_matrices_by_hand():
    work = linear(10, 3, 4)
    assert (work.flop, work.values, work.weights, work.calls) == (240, 70, 16, 1)
    assert work.moved(2) == 172
    assert batched(5, work) == Work(1200, 350, 16, 1)
    assert 2 * work == work + work


@pytest.mark.parametrize(
    ("work", "stage", "at_best", "expected"),
    [
        (Work(flop=100e12), TRACKED, 1.0, 4.0),  # small products reach a quarter
        (Work(flop=100e12), OWN, 1.0, 2.0),  # attention, half of this GPU
        (Work(values=0.5e12), TRACKED, 1.0, 4 / 3),  # two bytes each, three quarters of the bus
        (Work(calls=1e6), TRACKED, 0.0, 1e6 * LAUNCH),
    ],
)
def test_the_slowest_of_three_decides(work, stage, at_best, expected):
    told = seconds_of(stage, work, GPU, "bfloat16")
    assert told == Seconds(pytest.approx(at_best), pytest.approx(expected))


def test_float32_is_slower():
    work = Work(flop=1e12, values=1e9)
    assert seconds_of(IMAGES, work, GPU, "float32").at_best == pytest.approx(0.1)
    assert seconds_of(IMAGES, work, GPU, "bfloat16").at_best == pytest.approx(0.01)


def test_stages_are_added():
    stages = {IMAGES: Work(flop=100e12), TRACKED: Work(flop=200e12)}
    assert seconds_of_all(stages, GPU, "bfloat16").at_best == pytest.approx(3)


PUBLISHED = 24.2  # frames/s of SAM 2 large with one object on an A100, facebookresearch/sam2


def test_a_published_speed_is_expected_within_a_half():
    sizes, clip = parse_sizes(config_json("Sa2VA-1B")), Clip(200, 1, 480, 854)
    work = ours(sizes, clip, Asking(frames=1), AtOnce(1, 1, 1))
    gpu = find_gpu("NVIDIA A100-SXM4-80GB")
    assert gpu is not None
    sam2 = {name: one for name, one in work.items() if name not in (VISION, PREFIX, ANSWERS)}
    frames = clip.frames / seconds_of_all(sam2, gpu, "bfloat16").expected
    assert PUBLISHED < frames < 1.5 * PUBLISHED  # the public predictor does more beside it


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("NVIDIA H200", "H200"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA A100-PCIE-40GB", "A100 40GB"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
    ],
)
def test_drivers_names(driver, name):
    assert find_gpu(driver).name == name


def test_what_is_not_in_the_table_is_not_guessed():
    assert find_gpu("NVIDIA GeForce GTX 1080") is None
    video = {"frames": 8, "sentences": 2, "key_frames": 5, "size": (96, 128)}
    assert video_limit(config_json("Sa2VA-1B"), "x86_64", **video) is None


def test_the_table_of_gpus_names_stages_and_gpus_that_exist():
    stages = ours(parse_sizes(config_json("Sa2VA-1B")), Clip(8, 2, 9, 9), Asking(5), AtOnce())
    assert {*SHARES, *ATTENTION_STAGES} <= set(stages)
    assert set(SHOWN) <= {gpu.name for gpu in GPUS}
    assert all(gpu.source for gpu in GPUS)
    assert SHARED in ATTENTION_STAGES


def test_a_video_on_an_h200():
    limit = video_limit(
        config_json("Sa2VA-26B"), "NVIDIA H200", frames=79, sentences=16, key_frames=20,
        size=(720, 1280),
    )  # fmt: skip
    # 59 tracked frames, 16 sentences, 26 maps and the frame itself at 68.7 GFLOP: 1.75 PFLOP.
    assert 1.75e15 < limit.flop < 1.4 * 1.75e15
    assert limit.seconds.at_best < limit.seconds.expected < limit.public_seconds.expected
    assert limit.public_flop > 4 * limit.flop


# --- words ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("seconds", "words"), [(0.5, "0.5 s"), (42, "42 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_durations(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("flop", "words"), [(2.5e9, "2.5 GFLOP"), (3.2e17, "320 PFLOP"), (1.4e18, "1.4 EFLOP")]
)
def test_work_in_words(flop, words):
    assert flop_in_words(flop) == words


def test_nothing_to_do_is_not_a_table():
    assert cost_lines([], {}, None, "bfloat16") == []
    assert cost_lines([], {"a": "gone"}, None, "bfloat16") == ["cost       a: unknown, gone"]
