"""Clips, cases, rows and budget: what is timed, in which order, and what is kept."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from scripts.benchmark.budget import FIRST_GUESS, Budget, Pace
from scripts.benchmark.cases import FULL, Case, cases_of, parse_grid
from scripts.benchmark.clips import clip_size, read_clip, synthetic_clip, there_and_back
from scripts.benchmark.records import append_row, find_row, read_rows
from scripts.benchmark.run import work_through
from submission.errors import FaultyInput, InputError

CASE = Case("small", frames=40, key_frames=5, sentences=4)


def test_a_short_clip_is_lengthened_without_a_jump():
    assert there_and_back(3, 8) == [0, 1, 2, 1, 0, 1, 2, 1]
    assert there_and_back(1, 3) == [0, 0, 0]


def test_pictures_of_a_folder_become_a_clip(tmp_path):
    for number in range(3):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / f"{number}.png")
    clip = read_clip(tmp_path, 5)
    assert clip.shape == (5, 6, 8, 3)
    assert clip[:, 0, 0, 0].tolist() == [0, 1, 2, 1, 0]
    assert clip_size(tmp_path) == (6, 8)
    Image.new("RGB", (9, 6)).save(tmp_path / "1.png")
    with pytest.raises(InputError, match="different sizes"):
        read_clip(tmp_path, 5)
    with pytest.raises(InputError, match="name a folder that holds one clip"):
        read_clip(tmp_path / "empty", 5)


def test_a_made_up_clip_moves_and_repeats():
    clip = synthetic_clip(5, 70, 90)
    assert clip.shape == (5, 70, 90, 3)
    assert np.array_equal(clip[1, :, :-8], clip[0, :, 8:])
    assert np.array_equal(clip, synthetic_clip(5, 70, 90))
    assert not np.array_equal(clip, synthetic_clip(5, 70, 90, seed=1))


def test_a_grid_begins_with_the_typical_case_of_the_first_size():
    cases = cases_of(parse_grid(["size=Sa2VA-8B,Sa2VA-1B", "T=40,80"]), CASE)
    assert len(cases) == 2 * len(FULL["M"]) * len(FULL["E"]) * 2
    first = cases[0]
    assert (first.size, first.key_frames, first.sentences, first.frames) == ("Sa2VA-8B", 5, 16, 80)
    sizes = [case.size for case in cases]
    assert sizes == sorted(sizes, key=["Sa2VA-8B", "Sa2VA-1B"].index)  # a model is loaded once
    assert len(set(cases)) == len(cases)


def test_every_fault_of_a_grid_is_told():
    with pytest.raises(FaultyInput) as caught:
        parse_grid(["size=Sa2VA-9B", "M=0", "E=", "Q=1", "T=80"])
    assert [fault.where for fault in caught.value.faults] == ["size=Sa2VA-9B", "M=0", "E=", "Q=1"]


def test_rows_are_appended_and_an_interrupted_one_is_left_out(tmp_path):
    path = tmp_path / "rows.jsonl"
    assert read_rows(path) == []
    append_row(path, {"case": 1})
    with path.open("a") as file:
        file.write('{"case": 2, "mach')
    assert read_rows(path) == [{"case": 1}]
    append_row(path, {"case": 3})
    assert read_rows(path) == [{"case": 1}, {"case": 3}]


def test_a_damaged_line_is_refused(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"case": 1}\nnonsense\n{"case": 2}\n')
    with pytest.raises(InputError, match="line 2"):
        read_rows(path)


def test_a_row_is_found_by_case_and_machine():
    head = {"case": CASE.values(), "machine": {"device": "a"}}
    rows = [{**head, "n": 1}, {**head, "n": 2}, {**head, "machine": {"device": "b"}, "n": 3}]
    assert find_row(rows, head)["n"] == 2
    assert find_row(rows, {**head, "machine": {"device": "c"}}) is None
    assert find_row(rows, {**head, "case": replace(CASE, frames=41).values()}) is None


def test_a_budget_runs_out():
    now = [0.0]
    budget = Budget(10, clock=lambda: now[0])
    assert budget.allows(10)
    now[0] = 4.0
    assert (budget.left, budget.allows(6.1)) == (6.0, False)
    now[0] = 99.0
    assert budget.left == 0.0
    assert Budget(None).allows(1e9)


def test_the_pace_is_learned():
    pace = Pace("cpu")
    assert pace.estimate("ours", 2 * FIRST_GUESS["cpu"]) == 2
    pace.learn("ours", 100.0, 2.0)
    assert pace.estimate("ours", 50.0) == 1.0
    assert pace.estimate("public", 50.0) == 1.0  # from what is known of the other
    pace.learn("public", 100.0, 4.0)
    assert pace.estimate("public", 50.0) == 2.0


class FakeBench:
    """A machine on which every case takes one second for each of its frames."""

    def __init__(self, now):
        self.now = now
        self.machine, self.revision = {"device": "fake"}, "0"
        self.measured = []

    def flop(self, case):
        return FIRST_GUESS["cpu"] * case.frames / 2, FIRST_GUESS["cpu"] * case.frames / 2

    def shortage(self, case):
        return "too large" if case.size == "Sa2VA-26B" else ""

    def measure(self, case):
        self.measured.append(case.frames)
        self.now[0] += case.frames
        return {name: {"seconds": case.frames / 2} for name in ("public", "ours")}


def run(tmp_path, bench, cases, seconds):
    budget = Budget(seconds, clock=lambda: bench.now[0])
    path, said = tmp_path / "rows.jsonl", []
    outcome = work_through(cases, bench, path, budget, Pace("cpu"), said.append, repeats=1, asked=0)
    return outcome, read_rows(path), said


def test_cases_are_measured_while_there_is_time_and_a_later_run_goes_on(tmp_path):
    cases = [replace(CASE, frames=frames) for frames in (10, 50, 20)]
    cases.insert(1, replace(CASE, size="Sa2VA-26B"))
    bench = FakeBench([0.0])
    outcome, rows, said = run(tmp_path, bench, cases, 60)
    assert bench.measured == [10, 20]  # 50 is estimated not to end in time, 20 after it is
    assert [row["case"]["frames"] for row in rows] == [10, 20]
    assert len(said) == 4
    assert "too large" in outcome.skipped[0]
    assert "more than the 50 s left" in outcome.skipped[1]

    again, rows, _ = run(tmp_path, bench, cases, None)
    assert bench.measured == [10, 20, 50]
    assert len(again.rows) == len(rows) == 3
