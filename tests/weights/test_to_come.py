"""What is still to come of checkpoints is said in one place: locks, files, bytes and room."""

import shutil
from dataclasses import replace

import pytest
from weights.conftest import CONTENTS, NAME, SHARD, pinned

from submission.cli import main
from submission.weights.folders import Weights
from submission.weights.lock import Lock, LockedCheckpoint
from submission.weights.lock_file import write_lock
from submission.weights.to_come import lines

HAND = LockedCheckpoint("by-hand", license="mit", source="https://example.org/page")
LOOSE = LockedCheckpoint("Sa2VA-8B", "ByteDance/Sa2VA-8B")


def put(weights: Weights, *names: str) -> None:
    for name in names:
        path = weights.folder / NAME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CONTENTS[name])


@pytest.fixture
def three(weights):
    """A pinned checkpoint, one that nobody has locked, and one that comes by hand."""
    lock = Lock(weights.lock.path, (pinned(), LOOSE, HAND))
    write_lock(lock)
    return replace(weights, lock=lock)


def test_everything_is_said_at_once(three):
    said = lines([NAME, "Sa2VA-8B", "by-hand"], three)
    assert said[0] == "not locked: Sa2VA-8B, by-hand"
    assert said[1] == ("not fetched: Sa2VA-4B (370 kB), Sa2VA-8B (32.7 GB), by-hand (size unknown)")
    assert said[2].startswith("32.7 GB to come, beside 1 of unknown size; ")
    assert "weights lock Sa2VA-8B by-hand --lock" in said[3]
    assert "then: mevis-submission weights fetch Sa2VA-4B Sa2VA-8B by-hand --lock" in said[3]


def test_what_is_there_is_not_counted_and_a_whole_one_not_named(weights):
    put(weights, SHARD, "config.json")
    not_fetched, in_all, bring = lines([NAME], weights)
    assert not_fetched == "not fetched: Sa2VA-4B (70 kB)"
    assert in_all.startswith("70 kB to come; ")
    assert "lock Sa2VA-4B" not in bring
    put(weights, *CONTENTS)
    assert lines([NAME], weights) == []


def test_too_little_room_is_said(weights, monkeypatch):
    free = shutil.disk_usage(weights.folder.parent)._replace(free=369_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    assert lines([NAME], weights)[1] == (
        f"370 kB to come; 369 kB free in {weights.folder}: too little"
    )


def test_the_dry_run_the_refusal_and_the_list_say_it(three, split_folder, answer, tmp_path, capsys):
    recipe = tmp_path / "own.toml"
    kind = 'kind = "propagate"\nafter = "given"\ncutie'  # nothing of it is counted
    experts = f'[[expert]]\nname = "given"\nmasks = "{answer}"\n' + "".join(
        f'[[expert]]\nname = "e{n}"\n{kind} = "{name}"\n'
        for n, name in enumerate([NAME, "Sa2VA-8B", "Sa2VA-8B"])
    )
    recipe.write_text(experts + '[compute]\ndevice = "cpu"\n')
    data = ["--data", str(split_folder.parent), "--split", "valid_u", "--run", str(tmp_path / "r")]
    call = ["submit", "--recipe", str(recipe), *data, "--lock", str(three.lock.path)]
    assert main([*call, "--dry-run"]) == 0
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("weights ")]
    assert told[0] == "weights    not locked: Sa2VA-8B"
    assert len(told) == 4
    assert main(call) == 2
    said = capsys.readouterr().err
    assert said.count("Sa2VA-8B: ") == 1  # one line for both experts
    assert f"experts e1, e2: checkpoint Sa2VA-8B: {three.lock.path.name} does not pin it" in said
    assert "expert e0: checkpoint Sa2VA-4B: it is not there yet" in said
    assert "weights fetch Sa2VA-4B Sa2VA-8B" in said
    assert main(["weights", "list", "--lock", str(three.lock.path)]) == 0
    listed = capsys.readouterr().out
    assert "to come  3 of 3 not fetched, 2 of them not locked: 32.7 GB to come" in listed
