"""`kill -9` at any moment loses nothing: the finished zip equals that of an undisturbed run."""

import hashlib
import signal
from pathlib import Path

from waiting import run_until_killed

from submission.files.whole import PARTIAL_SUFFIX

ROOT = Path(__file__).parents[2]
# While the first experts answer, while the last does, and while PNGs are written.
KILLS = (("/predictions/first5/", 7), ("/predictions/uniform11/", 3), ("/Annotations/", 90))


def words(run: Path) -> list[str]:
    return ["submit", "--run", str(run), "--limit", "4", "--quiet"]


def test_three_kills_and_a_finished_run_equal_an_undisturbed_one(tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert run_until_killed(words(undisturbed), ROOT, "nowhere", 1) == 0
    for place, count in KILLS:
        assert run_until_killed(words(killed), ROOT, place, count) == -signal.SIGKILL
        assert not (killed / "submission.zip").exists()
    assert run_until_killed(words(killed), ROOT, "nowhere", 1) == 0
    digests = {
        hashlib.sha256((run / "submission.zip").read_bytes()).hexdigest()
        for run in (undisturbed, killed)
    }
    assert len(digests) == 1
    shown = [path for path in (killed / "Annotations").rglob("*") if PARTIAL_SUFFIX in path.name]
    assert shown == []
