"""A run opens a checkpoint by name only when it is what the lock says, and records which it was."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from weights.conftest import NAME, REPO
from weights.loopback_hub import REVISION

import submission
from submission.cli import main
from submission.weights.folders import Weights
from submission.weights.hashes import checkpoint_files
from submission.weights.lock import Lock, LockedCheckpoint, LockedFile
from submission.weights.lock_file import write_lock

SMALL = Path(submission.__file__).parent / "samples" / "small-5"
RECIPE = """
[[expert]]
name = "small"
checkpoint = "{checkpoint}"
frames = 1
[compute]
device = "cpu"
"""


@pytest.fixture
def stored(weights: Weights) -> Weights:
    """The checkpoint of the sample, under a name and pinned, in the weights folder."""
    folder = weights.folder / NAME
    shutil.copytree(SMALL, folder)
    files = tuple(
        LockedFile(file.name, file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in checkpoint_files(folder)
    )
    lock = Lock(weights.lock.path, (LockedCheckpoint(NAME, REPO, REVISION, "mit", files),))
    write_lock(lock)
    return Weights(lock, weights.folder)


@pytest.fixture
def predict(stored: Weights, split_folder: Path, tmp_path: Path):
    """Predict one video with a checkpoint, by name or path; return the exit status."""

    def run(checkpoint: str, *words: str) -> int:
        recipe = tmp_path / "own.toml"
        recipe.write_text(RECIPE.format(checkpoint=checkpoint))
        data = ["--data", str(split_folder.parent), "--split", "valid_u", "--limit", "1"]
        places = ["--run", str(tmp_path / "run"), "--lock", str(stored.lock.path)]
        return main(["predict", "--recipe", str(recipe), *data, *places, *words])

    return run


def record(tmp_path: Path) -> dict[str, object]:
    return dict(json.loads((tmp_path / "run" / "run.json").read_text()))


def test_a_verified_checkpoint_runs_and_is_named_in_the_record(predict, stored, tmp_path):
    assert predict(NAME) == 0
    assert record(tmp_path)["checkpoints"] == [{"name": NAME, "repo": REPO, "revision": REVISION}]
    hashes = {file.path: file.sha256 for file in stored.lock.take(NAME).files}
    assert record(tmp_path)["experts"]["small"]["files"] == hashes


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def test_a_flipped_bit_stops_the_run_before_it_starts(predict, stored, tmp_path, capsys):
    flip_a_bit(stored.folder / NAME / "model.safetensors")
    assert predict(NAME) == 2
    assert "model.safetensors: its sha256 is" in capsys.readouterr().err
    assert not (tmp_path / "run" / "predictions").exists()


def test_a_dry_run_tells_what_is_seen_without_reading(predict, stored, tmp_path, capsys):
    file = stored.folder / NAME / "model.safetensors"
    size = file.stat().st_size
    assert predict(NAME, "--dry-run") == 0
    flip_a_bit(file)
    assert predict(NAME, "--dry-run") == 0  # of its content nothing is known, and it is not read
    with file.open("ab") as end:
        end.write(b"x")
    capsys.readouterr()
    assert predict(NAME, "--dry-run") == 2
    said = capsys.readouterr().err
    words = f"model.safetensors: has {size + 1} bytes and should have {size}"
    assert f"expert small: checkpoint {NAME}/{words}" in said
    assert f"weights fetch {NAME}" in said


def test_verify_does_not_trust_what_is_remembered(predict, stored, monkeypatch, capsys):
    right = {file.path: file.sha256 for file in stored.lock.take(NAME).files}
    flip_a_bit(stored.folder / NAME / "model.safetensors")
    monkeypatch.setattr(
        "submission.weights.hashes.recall", lambda file, algorithm="sha256": right.get(file.name)
    )
    assert predict(NAME) == 0  # a forged memory is believed ...
    assert predict(NAME, "--verify") == 2  # ... but for this
    assert "model.safetensors: its sha256 is" in capsys.readouterr().err


def test_a_folder_of_ones_own_is_used_as_it_is_and_its_hashes_are_kept(predict, stored, tmp_path):
    own = tmp_path / "own"
    shutil.copytree(SMALL, own)
    (own / "extra.json").write_text("{}")
    assert predict(str(own)) == 0
    files = record(tmp_path)["experts"]["small"]["files"]
    assert files["extra.json"] == hashlib.sha256(b"{}").hexdigest()
    (own / "extra.json").unlink()
