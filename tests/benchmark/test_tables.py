"""What the benchmark says: tables, a picture, and the sections of a page."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from scripts.benchmark.cases import Case
from scripts.benchmark.document import BY_FLOP, MEASURED, PER_STAGE, replace_section
from scripts.benchmark.flop_table import table
from scripts.benchmark.growth import FIXED_FRAMES, FRAMES, SENTENCES, growth_cases, lines, picture
from scripts.benchmark.resources import name_for_smi, parse_samples
from scripts.benchmark.tables import comparison, markdown, peaks, stages
from submission.errors import InputError
from submission.models.workload import Work

CASE = Case("small", frames=40, key_frames=5, sentences=4)


def row(**changes):
    used = {"peak": {"held": 2e9, "reserved": 0}, "utilisation": {"busy": None}}
    return {
        "case": CASE.values(),
        "public": {"seconds": 8.0, "cpu_seconds": 9.0, "sentences_timed": 2, **used,
                   "stages": {"image encoder": 6.0, "rest": 2.0}},
        "ours": {"seconds": 2.0, "cpu_seconds": 1.0, **used,
                 "stages": {"vision encoder": 0.0, "image encoder": 1.0, "memory attention": 0.5,
                            "rest": 0.5}},
        "tokens": 97,
        "estimated_peak": 3e9,
        "limit": None,
        "agreement": {"lowest_iou": 1.0, "equal_pixels": 0.9999995},
        **changes,
    }  # fmt: skip


def test_the_peak_of_a_gpu_stands_beside_the_estimate():
    assert peaks([row()]) == ""  # nothing is reserved on a CPU
    ours = {**row()["ours"], "peak": {"held": 2e9, "reserved": 4e9}}
    line = peaks([row(ours=ours)]).splitlines()[-1]
    assert line == "| small, 240 x 320 | 4 | 2.0 GB | 3.0 GB |"


def test_the_comparison_says_what_was_scaled_up_and_the_share_of_the_limit():
    cells = comparison([row(limit=0.5)]).splitlines()[-1].strip("| ").split(" | ")
    assert cells[:6] == ["small, 240 x 320", "5", "97", "4", "40", "8.00 (2 timed)"]
    assert cells[6:10] == ["2.00", "4.0", "2.00", "80.0"]
    assert cells[-1] == "25%"
    by_cpu = comparison([row()], "cpu").splitlines()[-1]
    assert "| 9.0 |" in by_cpu


def test_stages_are_sorted_and_add_up():
    lines = [line.strip("| ").split(" | ") for line in stages(row()).splitlines()[2:]]
    assert lines[0] == ["image encoder", "6.00", "1.00", "6.0"]
    names = [line[0] for line in lines[1:]]
    assert names == ["memory attention", "vision encoder", "rest", "together"]
    assert lines[-1] == ["together", "8.00", "2.00", "4.0"]


def test_a_markdown_table():
    assert markdown(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_samples_of_nvidia_smi():
    assert parse_samples(["87, 412.31", " 0, [N/A]", "", "100, 6"]) == [(0.87, 412.31), (1.0, 6.0)]


@pytest.mark.parametrize(
    ("device", "visible", "name"),
    [
        ("cuda", None, "0"),
        ("cuda:1", None, "1"),
        ("cuda:1", "3,5", "5"),
        ("cuda", "GPU-a, 2", "GPU-a"),
    ],
)
def test_the_gpu_that_is_looked_at_is_the_one_that_works(device, visible, name):
    environment = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    assert name_for_smi(torch.device(device), environment) == name


def test_the_table_of_flop_has_a_column_for_each_size():
    columns = {
        ("Sa2VA-8B", 5): (
            {"vision encoder": Work(3e12), "tracked frames": Work(2e12), "pack": Work()},
            {"vision encoder": Work(48e12), "tracked frames": Work(2e12), "pack": Work()},
        )
    }
    assert table(columns).splitlines() == [
        "| TFLOP, public → ours | 8B, M = 5 |",
        "| --- | ---: |",
        "| vision encoder | 48 → 3.0 |",
        "| tracked frames | 2.0 → 2.0 |",
        "| together | 50 → 5.0 |",
        "| factor | **10.0** |",
    ]


# --- pictures ------------------------------------------------------------------------------------
def test_growth_asks_for_both_axes_and_draws_what_is_shared():
    cases = growth_cases(CASE)
    assert len(cases) == len(SENTENCES) + len(FRAMES) - 1  # one case is on both axes
    rows = [row(case=case.values()) for case in cases if case.frames == FIXED_FRAMES]
    drawn = lines(rows[::-1], "sentences", "wall")
    assert [x for x, _ in drawn[0].points] == list(SENTENCES)
    assert {y for _, y in drawn[2].points} == {1.0}  # half of the stages' time, of two seconds
    assert picture(rows, "wall") == picture(rows, "wall")
    assert ElementTree.fromstring(picture(rows, "wall")).tag.endswith("svg")


# --- the page ------------------------------------------------------------------------------------
PAGE = "# Page\nwords\n## One\nold\n\nolder\n## Two\nkept\n"


def test_a_section_is_replaced_and_nothing_else():
    once = replace_section(PAGE, "One", "new\n\n| a |\n")
    assert once == "# Page\nwords\n## One\nnew\n\n| a |\n\n## Two\nkept\n"
    assert replace_section(once, "One", "new\n\n| a |\n") == once
    assert replace_section(PAGE, "Two", "last") == PAGE.replace("kept", "last")


@pytest.mark.parametrize("title", ["Three", "On", "words"])
def test_a_section_that_is_not_there_is_refused(title):
    with pytest.raises(InputError, match="0 headings"):
        replace_section(PAGE, title, "new")


def test_the_page_has_every_section_that_is_taken_anew():
    text = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    for title in (MEASURED, PER_STAGE, BY_FLOP):
        assert title in replace_section(text, title, "")
