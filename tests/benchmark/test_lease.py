"""A lease of a GPU: its parts, their order and time, and what is written."""

import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from scripts.benchmark.budget import Budget
from scripts.benchmark.gpu_lease import Report, Result, run_part, work
from scripts.benchmark.lease_parts import Part, lease_parts
from scripts.benchmark.submit_twice import compare


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


def test_a_part_does_not_outlive_an_interrupted_lease(monkeypatch):
    started = []

    def interrupt(process, *_, **__):
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_part(Part("long", (sys.executable, "-c", "import time; time.sleep(60)"), 50), 50)
    assert started[0].poll() == -signal.SIGKILL
