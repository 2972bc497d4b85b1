"""Clips, cases and rows: what is timed, in which order, and what is kept."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from scripts.benchmark import launches
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


def test_recorded_parts_leave_less_to_launch(capsys):
    assert launches.main(["--size", "small", "--objects", "2"]) == 0
    row = capsys.readouterr().out.splitlines()[-1].strip("| ").split(" | ")
    called, recorded, graphs = int(row[1]), int(row[2].split()[0]), int(row[2].split()[2])
    assert graphs == 4 + 2  # begin, a layer each, keys, decoder, memory
    assert recorded < called / 2


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


class FakeBench:
    """A machine that remembers what was measured."""

    machine, revision = {"device": "fake"}, "0"

    def __init__(self):
        self.measured = []

    def shortage(self, case):
        return "too large" if case.size == "Sa2VA-26B" else ""

    def measure(self, case):
        if case.frames == 50 and 50 not in self.measured:
            self.measured.append(50)
            raise KeyboardInterrupt
        self.measured.append(case.frames)
        return {name: {"seconds": case.frames / 2} for name in ("public", "ours")}


def test_what_does_not_fit_is_told_and_an_interrupted_call_goes_on(tmp_path):
    cases = [replace(CASE, frames=frames) for frames in (10, 50, 20)]
    cases.insert(1, replace(CASE, size="Sa2VA-26B"))
    path, said, bench = tmp_path / "rows.jsonl", [], FakeBench()
    with pytest.raises(KeyboardInterrupt):
        work_through(cases, bench, path, said.append)
    outcome = work_through(cases, bench, path, said.append)
    assert bench.measured == [10, 50, 50, 20]
    assert [row["case"]["frames"] for row in outcome.rows] == [10, 50, 20]
    assert [row["case"]["frames"] for row in read_rows(path)] == [10, 50, 20]
    assert "too large" in outcome.skipped[0]
    assert any("already measured" in line for line in said)
