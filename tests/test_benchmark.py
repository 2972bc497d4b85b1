"""The benchmark: the public loop it compares with, its cases, rows, budget and tables."""

import json
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from scripts.benchmark.budget import FIRST_GUESS, Budget, Pace
from scripts.benchmark.cases import FULL, Case, cases_of, parse_grid
from scripts.benchmark.clips import read_clip, sentences, synthetic_clip, there_and_back
from scripts.benchmark.flop import count, total
from scripts.benchmark.gpu_lease import Report, Result, run_part, work
from scripts.benchmark.lease_parts import Part, lease_parts
from scripts.benchmark.procedures import Load, agreement, ours, public
from scripts.benchmark.random_model import make_model
from scripts.benchmark.records import append_row, find_row, read_rows
from scripts.benchmark.resources import parse_samples
from scripts.benchmark.run import work_through
from scripts.benchmark.stages import MEMORY_ATTENTION, timed_organs
from scripts.benchmark.submit_twice import compare
from scripts.benchmark.tables import comparison, markdown, stages
from submission.errors import FaultyInput, InputError
from submission.model.memory_attention import MemoryReader

CASE = Case("small", frames=40, key_frames=5, sentences=4)


# --- the public loop -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def model():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield make_model("reference-internlm2", torch.device("cpu"), torch.float32)
    torch.set_num_threads(before)


def load(procedure="sa2va", frames=9, key_frames=3, seed=0):
    clip = synthetic_clip(frames, 48, 64, seed)
    return Load(clip, sentences(2), key_frames, procedure)


@pytest.mark.parametrize("procedure", ["sa2va", "sa2va-i"])
def test_the_public_loop_draws_the_same_masks(model, procedure):
    slow, fast = public(model, load(procedure)), ours(model, load(procedure))
    same = agreement(slow, fast)
    assert same.lowest_iou > 0.999
    assert same.equal_pixels > 0.999
    assert [one.num_seg for one in slow] == [one.num_seg for one in fast] == [1, 1]
    elsewhere = agreement(slow, ours(model, load(procedure, seed=1)))
    assert elsewhere.lowest_iou < 0.99  # the comparison can fail


@pytest.mark.parametrize(("procedure", "passes"), [("sa2va", 1), ("sa2va-i", 2)])
def test_the_public_loop_encodes_key_frames_again_and_shares_nothing(model, procedure, passes):
    counted = Counter()
    hooks = [
        model.network.grounding.image_encoder.register_forward_hook(
            lambda _, inputs, __: counted.update(images=len(inputs[0]))
        ),
        model.network.vision.register_forward_hook(
            lambda _, inputs, __: counted.update(key_frames=len(inputs[0]))
        ),
    ]
    public(model, load(procedure))
    for hook in hooks:
        hook.remove()
    assert counted == {"images": 2 * (9 + 3 * passes), "key_frames": 2 * 3}


def test_seconds_are_told_for_both_ways_and_nothing_stays_hooked(model):
    before = dict(vars(MemoryReader))
    for procedure in (public, ours):
        with timed_organs(model) as seconds:
            procedure(model, load())
        wanted = {"vision encoder", "language model", "image encoder", "mask decoder"}
        assert {*wanted, "memory encoder", MEMORY_ATTENTION} == set(seconds)
        assert min(seconds.values()) > 0
    assert dict(vars(MemoryReader)) == before
    assert not model.network.vision._forward_hooks


def test_agreement_by_hand(model):
    answers = ours(model, load())
    flipped = [replace(answers[0], masks=inverted(answers[0].masks)), answers[1]]
    same = agreement(answers, flipped)
    assert (same.lowest_iou, same.equal_pixels) == (0.0, 0.5)


def inverted(masks):
    other = type(masks).empty(masks.shape)
    for time in range(len(masks)):
        other.write(time, ~masks[time])
    return other


# --- FLOP ----------------------------------------------------------------------------------------
def test_flop_of_what_is_shared_and_of_memory_attention():
    found = {
        stage.name: stage
        for stage in count("reference-qwen2", frames=20, key_frames=4, sentences=3)
    }
    assert found["vision encoder"].public == 3 * found["vision encoder"].ours
    assert found["image encoder"].public / found["image encoder"].ours == pytest.approx(
        3 * (20 + 4) / 20
    )
    # Both products of attention to ten maps and the frame itself: 4 FLOP for each query, key and
    # channel. Projections and pointers come on top.
    side, width, layers = 64 // 16, 64, 1
    queries = side**2
    attended = 4 * queries * (4 + 6 + 1) * queries * width * layers * (20 - 4) * 3
    memory = found["memory attention"]
    assert attended < memory.public < 4 * attended
    assert memory.ours < memory.public
    whole = total(list(found.values()))
    assert whole.public == sum(stage.public for stage in found.values())


# --- clips ---------------------------------------------------------------------------------------
def test_a_short_clip_is_lengthened_without_a_jump():
    assert there_and_back(3, 8) == [0, 1, 2, 1, 0, 1, 2, 1]
    assert there_and_back(1, 3) == [0, 0, 0]


def test_pictures_of_a_folder_become_a_clip(tmp_path):
    for number in range(3):
        Image.new("RGB", (8, 6), (number, 0, 0)).save(tmp_path / f"{number}.png")
    clip = read_clip(tmp_path, 5)
    assert clip.shape == (5, 6, 8, 3)
    assert clip[:, 0, 0, 0].tolist() == [0, 1, 2, 1, 0]
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


# --- cases ---------------------------------------------------------------------------------------
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


# --- rows ----------------------------------------------------------------------------------------
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


# --- budget --------------------------------------------------------------------------------------
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


# --- tables --------------------------------------------------------------------------------------
def row(**changes):
    used = {"peak": {"held": 2e9, "reserved": 0, "kind": ""}, "utilisation": {"busy": None}}
    return {
        "case": CASE.values(),
        "public": {"seconds": 8.0, "cpu_seconds": 9.0, "sentences_timed": 2, **used,
                   "stages": {"image encoder": 6.0, "rest": 2.0}},
        "ours": {"seconds": 2.0, "cpu_seconds": 1.0, **used,
                 "stages": {"image encoder": 1.0, "memory attention": 0.5, "rest": 0.5}},
        "agreement": {"lowest_iou": 1.0, "equal_pixels": 0.9999995},
        **changes,
    }  # fmt: skip


def test_the_comparison_says_what_was_scaled_up_and_the_share_of_the_limit():
    cells = comparison([row(limit={"seconds": 0.5})]).splitlines()[-1].strip("| ").split(" | ")
    assert cells[:5] == ["small, 240 x 320", "5", "4", "40", "8.00 (2 timed)"]
    assert cells[5:9] == ["2.00", "4.0", "2.00", "80.0"]
    assert cells[-1] == "25%"
    by_cpu = comparison([row()], "cpu").splitlines()[-1]
    assert "| 9.0 |" in by_cpu


def test_stages_are_sorted_and_add_up():
    lines = [line.strip("| ").split(" | ") for line in stages(row()).splitlines()[2:]]
    assert lines[0] == ["image encoder", "6.00", "1.00", "6.0"]
    assert [line[0] for line in lines[1:]] == ["memory attention", "rest", "together"]
    assert lines[-1] == ["together", "8.00", "2.00", "4.0"]


def test_a_markdown_table():
    assert markdown(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_samples_of_nvidia_smi():
    assert parse_samples(["87, 412.31", " 0, [N/A]", "", "100, 6"]) == [(0.87, 412.31), (1.0, 6.0)]


# --- the lease -----------------------------------------------------------------------------------
def part(name, **values):
    return Part(name, ("python", "-c", "pass"), seconds=50, **values)


def test_a_lease_does_parts_in_order_and_writes_after_each(tmp_path):
    now, written = [0.0], []

    def run(part, seconds):
        now[0] += seconds
        return Result(part.name, "done", seconds, "", "")

    parts = [part("a"), part("gpu"), part("b"), part("c", least=30)]
    parts = [replace(one, needs_gpu=one.name == "gpu") for one in parts]
    budget = Budget(80, clock=lambda: now[0])
    results = work(parts, budget, False, run, lambda done: written.append(len(done)))
    told = [(result.name, result.status, result.seconds) for result in results]
    assert told == [
        ("a", "done", 50), ("gpu", "skipped: no GPU", 0.0), ("b", "done", 30.0),
        ("c", "skipped: 0 s left", 0.0),
    ]  # fmt: skip
    assert written == [1, 2, 3, 4]


def test_a_part_that_fails_or_lasts_too_long_is_told_and_ended():
    def python(code):
        return Part("x", (sys.executable, "-c", code, "{budget}"), seconds=0)

    done = run_part(python("import sys; print(sys.argv[1])"), 20)
    assert (done.status, done.text) == ("done", "17\n")
    failed = run_part(python("raise SystemExit('no luck')"), 20)
    assert failed.status == "failed"
    assert "no luck" in failed.text
    ended = run_part(python("print(1, flush=True); import time; time.sleep(60)"), 1)
    assert ended.status == "ended"
    assert ended.text.startswith("1\n")
    assert ended.seconds < 20


def test_the_report_of_a_lease_is_whole_after_every_part(tmp_path):
    report = Report(tmp_path, "--minutes 8")
    report([Result("a", "done", 1.0, "python -m a", "| x |"), Result("b", "failed", 2.0, "", "")])
    page = (tmp_path / "lease.md").read_text()
    assert "| b | failed | 2 |" in page
    assert "## a\n`python -m a`\n\n| x |" in page
    rows = [json.loads(line) for line in (tmp_path / "lease.jsonl").read_text().splitlines()]
    assert [one["status"] for one in rows] == ["done", "failed"]


def test_a_rehearsal_has_the_parts_of_a_lease_with_small_models(tmp_path):
    real = lease_parts(tmp_path, rehearse=False)
    rehearsed = lease_parts(tmp_path, rehearse=True)
    assert len(real) == len(rehearsed)
    words = " ".join(word for part in rehearsed for word in part.words)
    assert "Sa2VA-" not in words
    assert "Sa2VA-26B" in " ".join(word for part in real for word in part.words)


def test_two_folders_of_masks_are_compared(tmp_path):
    for folder, height in (("a", 2), ("b", 4)):
        for sentence, drawn in (("0", height), ("1", 0)):
            mask = np.zeros((8, 8), np.uint8)
            mask[:drawn] = 255
            path = tmp_path / folder / "clip" / sentence
            path.mkdir(parents=True)
            Image.fromarray(mask).save(path / "00000.png")
    table = compare(tmp_path / "a", tmp_path / "b")
    assert table.splitlines()[-1] == "| 2 | 0.50000 | 0.75000 | 1 of 2 |"
    (tmp_path / "b" / "clip" / "0" / "00001.png").touch()
    with pytest.raises(ValueError, match="different files"):
        compare(tmp_path / "a", tmp_path / "b")
