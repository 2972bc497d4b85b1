"""The verbs as a user types them: what they print, their exit status, and their memory."""

import os
import re
import subprocess
import sys

import pytest
from weights.conftest import CONTENTS, NAME, REPO, SHARD, pinned
from weights.loopback_hub import flipped

from submission.cli import main
from submission.weights.folders import Weights
from submission.weights.lock import Lock, LockedCheckpoint, LockedFile
from submission.weights.lock_file import read_lock, write_lock

LARGE = 160_000_000  # bytes; would not fit into what the measured process may use


@pytest.fixture
def call(weights: Weights):
    """Run `weights VERB` on the test's lock and folder; return its exit status."""
    write_lock(weights.lock)

    def run(verb: str, *words: str) -> int:
        places = ["--lock", str(weights.lock.path), "--dir", str(weights.folder)]
        return main(["weights", verb, *words, *places])

    return run


def test_from_an_open_lock_to_a_verified_checkpoint(hub, weights, call, capsys):
    write_lock(Lock(weights.lock.path, (LockedCheckpoint(NAME, REPO),)))
    assert call("fetch", NAME) == 2
    assert f"mevis-submission weights lock {NAME} --lock" in capsys.readouterr().err
    assert call("lock", NAME) == 0
    shown = capsys.readouterr().out
    assert "revision: unresolved -> 0123456789" in shown
    assert "+ config.json: 26 bytes, sha256 " in shown
    assert read_lock(weights.lock.path).take(NAME) == pinned()
    assert call("fetch", NAME) == 0
    assert call("verify") == 0
    assert f"{NAME}  4 files, 370 kB, as in test.lock" in capsys.readouterr().out
    assert call("lock", NAME) == 0
    assert "nothing to change" in capsys.readouterr().out


def test_verify_names_what_differs_with_status_1(hub, weights, call, capsys):
    call("fetch", NAME)
    (weights.folder / NAME / SHARD).write_bytes(b"x" * len(CONTENTS[SHARD]))
    (weights.folder / NAME / "config.json").unlink()
    assert call("verify", NAME) == 1
    message = capsys.readouterr().err
    assert f"{NAME}/config.json: is missing" in message
    assert f"{NAME}/{SHARD}: its sha256 is" in message
    assert f"mevis-submission weights fetch {NAME} --lock" in message


def test_verify_asks_no_network(weights, call, monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert call("verify", NAME) == 1
    assert f"{NAME}: is not there: {weights.folder / NAME}" in capsys.readouterr().err


def test_verify_says_when_the_lock_must_be_resolved_first(weights, call, capsys):
    write_lock(Lock(weights.lock.path, (LockedCheckpoint(NAME, REPO),)))
    assert call("verify", NAME) == 1
    assert re.search(rf"first .* lock {NAME} .*, then .* fetch {NAME} ", capsys.readouterr().err)


def test_wrong_content_is_status_1(hub, call):
    hub.moods[SHARD] = [flipped]
    assert call("fetch", NAME) == 1


def test_list_says_what_is_pinned_and_there(hub, weights, call, capsys):
    partly = LockedCheckpoint("B", "Lab/B", "", "", (LockedFile("a.json"), pinned().files[0]))
    write_lock(Lock(weights.lock.path, (pinned(), partly, LockedCheckpoint("C", "Lab/C"))))

    def rows() -> list[list[str]]:
        assert call("list") == 0
        lines = capsys.readouterr().out.splitlines()
        return [re.split(r"  +", line) for line in lines[:4]]

    assert rows() == [
        [
            "name",
            "license",
            "download",
            "bytes of weights",
            "pinned",
            "present",
            "disk needed",
        ],
        [NAME, "apache-2.0", "370 kB", "370,000", "yes", "no", "370 kB"],
        ["B", "not seen", "unknown", "unknown", "1 of 2 hashes, 1 of 2 sizes", "no", "unknown"],
        ["C", "not seen", "unknown", "unknown", "nothing", "no", "unknown"],
    ]
    call("fetch", NAME)
    capsys.readouterr()
    assert rows()[1] == [NAME, "apache-2.0", "370 kB", "370,000", "yes", "verified", "none"]
    (weights.folder / NAME / "config.json").touch()
    assert rows()[1][5] == "not verified"
    (weights.folder / NAME / "config.json").write_text("")
    assert rows()[1][5] == "differs from the lock"


def test_the_default_lock_tells_each_download_to_the_byte_where_it_is_derived(capsys):
    assert main(["weights", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: re.split(r"  +", line) for line in lines if line.split()}
    assert rows["SAM2-hiera-large"][2:5] == ["898 MB", "897,952,466", "yes"]
    assert rows["Sa2VA-8B"][2:4] == ["about 32.7 GB", "32,662,844,864"]
    assert rows["cutie-base-mega"][2] == "unknown"


def test_lock_says_of_each_derived_file_whether_the_hub_agrees(hub, weights, call, capsys):
    generation = b'{\n  "_from_model_config": true,\n  "transformers_version": "4.44.0"\n}\n'
    assert len(generation) == 69
    hub.repos[REPO].files |= {"generation_config.json": generation, "vocab.json": b"{}"}
    write_lock(Lock(weights.lock.path, (LockedCheckpoint(NAME, REPO),)))
    assert call("lock", NAME) == 0
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "generation_config.json: as expected" in lines
    assert "vocab.json: 2 bytes, expected were 2776833" in lines
    assert "merges.txt: expected, and not there" in lines


def test_peak_memory_of_fetch_and_verify_is_below_200_mb(hub, weights, call):
    hub.repos[REPO].files = {"model.safetensors": bytes(LARGE)}
    write_lock(Lock(weights.lock.path, (LockedCheckpoint(NAME, REPO),)))
    assert call("lock", NAME) == 0
    program = (
        # VmHWM, because ru_maxrss of a child counts the pages of its parent before the exec.
        "import sys; from submission.cli import main; status = main(sys.argv[1:]); "
        "peak = [x for x in open('/proc/self/status') if x.startswith('VmHWM')][0].split()[1]; "
        "print(status, peak)"
    )
    places = ["--lock", str(weights.lock.path), "--dir", str(weights.folder)]
    for verb in ("fetch", "verify"):
        done = subprocess.run(
            [sys.executable, "-c", program, "weights", verb, NAME, *places],
            capture_output=True, text=True, check=True, env=dict(os.environ),
        )  # fmt: skip
        status, kilobytes = done.stdout.split()[-2:]
        assert status == "0", done.stderr
        assert int(kilobytes) * 1024 < 200_000_000
