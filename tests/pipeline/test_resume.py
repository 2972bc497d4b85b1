"""`kill -9` at any moment loses nothing: the finished zip equals that of an undisturbed run."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from submission.whole_files import PARTIAL_SUFFIX

ROOT = Path(__file__).parents[2]
KILLS = 3


def start(run: Path) -> subprocess.Popen[bytes]:
    words = ["submit", "--run", str(run), "--limit", "4", "--quiet"]
    return subprocess.Popen([sys.executable, "-m", "submission", *words], cwd=ROOT)


def finished(run: Path) -> int:
    """How many results there are: answers, then PNGs, then the zip."""
    return sum(1 for path in run.rglob("*.*") if path.is_file() and path.name[0] != ".")


def kill_after(run: Path, results: int) -> None:
    """Start a run and kill it, without a warning, when it has made so many results."""
    process = start(run)
    until = time.monotonic() + 120
    while finished(run) < results:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < until, "the run makes no progress"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def test_three_kills_and_a_finished_run_equal_an_undisturbed_one(tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert start(undisturbed).wait() == 0
    total = finished(undisturbed)
    # While the first expert answers, while the second does, and while PNGs are written.
    for results in (5, 20, total // 2)[:KILLS]:
        kill_after(killed, results)
        assert not (killed / "submission.zip").exists()
    assert start(killed).wait() == 0
    digests = {
        hashlib.sha256((run / "submission.zip").read_bytes()).hexdigest()
        for run in (undisturbed, killed)
    }
    assert len(digests) == 1
    shown = [path for path in (killed / "Annotations").rglob("*") if PARTIAL_SUFFIX in path.name]
    assert shown == []
