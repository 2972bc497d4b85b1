"""Weights in the Hugging Face cache: used in place when they are right, told and left when not."""

from pathlib import Path

import pytest
from huggingface_hub import try_to_load_from_cache
from weights.conftest import CONTENTS, NAME, REPO, SHARD
from weights.loopback_hub import REVISION

from submission.errors import FaultyInput
from submission.terminal.progress import Reporter
from submission.weights.checkpoints import CheckpointFinder
from submission.weights.commands import list_weights
from submission.weights.fetch import fetch
from submission.weights.hashes import state
from submission.weights.hub_cache import hub_cache
from submission.weights.lock_file import write_lock
from submission.weights.to_come import lines


def fill(hub_cache: Path, revision: str = REVISION) -> Path:
    """A snapshot as huggingface_hub keeps it: links into blobs; returns the folder of the links."""
    root = hub_cache / f"models--{REPO.replace('/', '--')}"
    snapshot = root / "snapshots" / revision
    snapshot.mkdir(parents=True)
    (root / "blobs").mkdir(exist_ok=True)
    for number, (name, content) in enumerate(CONTENTS.items()):
        (root / "blobs" / f"{number:040}").write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{number:040}")
    return snapshot


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf" / "hub"


def finder(weights, mode="plain", *, again=False) -> CheckpointFinder:
    return CheckpointFinder(Path(), weights, again, Reporter(mode))


def listing(folder: Path) -> list[tuple[str, list[int]]]:
    return sorted((str(path), state(path)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "below"),
    [("HF_HUB_CACHE", ""), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub")],
)
def test_it_is_found_where_the_library_would_look(tmp_path, monkeypatch, name, below):
    monkeypatch.setenv(name, str(tmp_path / "named"))
    assert hub_cache() == tmp_path / "named" / below


def test_it_is_used_in_place_and_nothing_is_fetched(hub, weights, cache, capsys):
    snapshot = fill(cache)
    found = try_to_load_from_cache(REPO, SHARD, cache_dir=cache, revision=REVISION)
    assert found == str(snapshot / SHARD)  # so the library itself finds it there
    before = listing(cache)
    fetch([NAME], weights, Reporter("plain"))
    assert f"{NAME}: used where it lies in the Hugging Face cache" in capsys.readouterr().err
    assert hub.asked == []
    assert not weights.home(weights.lock.take(NAME)).exists()
    assert finder(weights).find(NAME) == snapshot
    said = capsys.readouterr().err
    assert f"{NAME}: used where it lies in the Hugging Face cache, {snapshot}" in said
    assert "hashing" not in said  # the hash of the fetch is remembered
    assert listing(cache) == before  # nothing was written into it
    assert lines([NAME], weights) == []
    list_weights(weights, Reporter("quiet"))
    assert "verified (cached)" in capsys.readouterr().out


def test_another_revision_is_told_and_not_used(hub, weights, cache, quiet, capsys):
    fill(cache, "e" * 40)
    why = f"the Hugging Face cache is of no use: it has revision {'e' * 12}, not the locked"
    assert any(why in line for line in lines([NAME], weights))
    fetch([NAME], weights, quiet)
    assert why in capsys.readouterr().err
    assert finder(weights).find(NAME) == weights.folder / NAME


def damage(snapshot: Path) -> None:
    blob = (snapshot / SHARD).resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)


def cut(snapshot: Path) -> None:
    blob = (snapshot / SHARD).resolve()
    blob.write_bytes(blob.read_bytes()[:-1000])


def lose(snapshot: Path) -> None:
    (snapshot / SHARD).resolve().unlink()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damage, f"{SHARD}: its sha256 is"),
        (cut, f"its {SHARD} has 299 kB and should have 300 kB"),
        (lose, "1 of 4 files are missing there"),
    ],
)
def test_what_is_damaged_is_told_and_not_used(hub, weights, cache, quiet, capsys, harm, words):
    snapshot = fill(cache)
    harm(snapshot)
    before = listing(cache)
    if harm is damage:  # seen by its content alone
        with pytest.raises(FaultyInput, match=rf"its sha256 is .*\n.*\(into {weights.folder}"):
            finder(weights).find(NAME)
    fetch([NAME], weights, quiet)
    assert words in capsys.readouterr().err
    assert listing(cache) == before
    assert finder(weights).find(NAME) == weights.folder / NAME


def test_a_memory_of_other_content_is_not_believed(weights, cache):
    snapshot = fill(cache)
    assert finder(weights).find(NAME) == snapshot
    damage(snapshot)
    with pytest.raises(FaultyInput, match="its sha256 is"):
        finder(weights).find(NAME)


def test_own_files_go_before_the_cache(hub, weights, cache, quiet):
    fetch([NAME], weights, quiet)
    fill(cache)
    assert finder(weights).find(NAME) == weights.folder / NAME


def test_a_container_sees_the_cache_only_where_something_of_it_is_used(
    weights, cache, tmp_path, monkeypatch
):
    from submission.cli import build_parser
    from submission.verbs.container import _what

    write_lock(weights.lock)
    words = ["container", "run", "--lock", str(weights.lock.path), "--runs", str(tmp_path / "r")]
    call = build_parser().parse_args([*words, "submit"])
    assert _what(call).hub is None
    fill(cache)
    options = _what(call).options()
    assert f"{cache}:/hub:ro" in options["volumes"]
    assert options["environment"]["HF_HUB_CACHE"] == "/hub"
