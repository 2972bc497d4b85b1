"""Comparing a folder with the lock, and the memory that makes it fast without being fooled."""

import hashlib
import os
import shutil
from pathlib import Path

import pytest
from weights.conftest import CONTENTS, NAME, REPO, SHARD, pinned

from submission.errors import FaultyInput, InputError
from submission.models.single_file import sam2_file
from submission.terminal.progress import Reporter
from submission.weights import hashes
from submission.weights.checkpoints import CheckpointFinder
from submission.weights.folders import Weights
from submission.weights.lock import Lock, LockedCheckpoint, LockedFile
from submission.weights.verify import differences, locked_as


@pytest.fixture
def folder(weights: Weights) -> Path:
    """The checkpoint as it should be, put there by hand."""
    place = weights.folder / NAME
    place.mkdir(parents=True)
    for path, content in CONTENTS.items():
        (place / path).write_bytes(content)
    return place


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files whose content was hashed."""
    names: list[str] = []
    update = hashes.update
    monkeypatch.setattr(
        hashes, "update", lambda d, file, count: (names.append(file.name), update(d, file, count))
    )
    return names


def finder(weights: Weights, *, hash_all: bool = False) -> CheckpointFinder:
    return CheckpointFinder(Path("/"), weights, hash_all, Reporter("quiet"))


def test_a_right_folder_is_opened(weights, folder):
    assert finder(weights).find(NAME) == folder


def change_content(folder: Path) -> None:
    (folder / SHARD).write_bytes(CONTENTS[SHARD][:-1] + b"!")


def make_longer(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"{}" * 100)


def remove(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def add_a_stranger(folder: Path) -> None:
    (folder / "tokenizer.model").write_bytes(b"x")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (change_content, "its sha256 is .* and should be"),
        (make_longer, "has 200 bytes and should have 26"),
        (remove, "tokenizer.json: is missing"),
        (add_a_stranger, "tokenizer.model: is not in the lock"),
    ],
)
def test_a_folder_that_differs_is_not_opened(weights, folder, damage, words):
    finder(weights).find(NAME)  # remembers the hashes of the right files
    damage(folder)
    with pytest.raises(FaultyInput, match=words) as caught:
        finder(weights).find(NAME)
    assert f"weights fetch {NAME} --lock" in str(caught.value)
    assert len(caught.value.faults) == 1


def test_files_that_the_loader_does_not_read_do_not_matter(weights, folder):
    (folder / "README.md").write_text("x")
    (folder / "modeling.py").write_text("x")
    assert differences(pinned(), folder) == []


def test_a_checkpoint_that_is_not_there_or_not_pinned(weights, tmp_path):
    with pytest.raises(InputError, match=f"not there yet.*weights fetch {NAME}"):
        finder(weights).find(NAME)
    item = LockedCheckpoint(NAME, REPO, "", "", (LockedFile("config.json"),))
    loose = Weights(Lock(tmp_path / "test.lock", (item,)), tmp_path / "weights")
    with pytest.raises(FaultyInput, match=f"does not pin it.*\\n.*\\n.*weights lock {NAME}"):
        finder(loose).find(NAME)


def test_a_name_in_the_lock_is_never_a_folder_of_the_same_name(weights, tmp_path, monkeypatch):
    (tmp_path / NAME).mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="not there yet"):
        finder(weights).find(NAME)
    assert finder(weights).find(f"./{NAME}") == tmp_path / NAME


def test_sam2_of_the_lock_is_verified_before_anybody_opens_it(tmp_path):
    content = b"a pickle that was not opened"
    file = LockedFile("sam2_hiera_large.pt", len(content), hashlib.sha256(content).hexdigest())
    item = LockedCheckpoint("SAM2", "facebook/sam2-hiera-large", "ab" * 20, "", (file,))
    weights = Weights(Lock(tmp_path / "test.lock", (item,)), tmp_path)
    (tmp_path / "SAM2").mkdir()
    path = tmp_path / "SAM2" / file.path
    path.write_bytes(content)
    (tmp_path / "SAM2" / "model.safetensors").write_bytes(b"the same weights in another layout")
    assert sam2_file(finder(weights).find("SAM2")) == path
    path.write_bytes(content[:-1] + b"!")
    with pytest.raises(FaultyInput, match="its sha256 is"):
        sam2_file(finder(weights).find("SAM2"))


def test_sam2_of_ones_own_is_one_file(weights, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    with pytest.raises(InputError, match=r"SAM 2\.0 large as Meta released it"):
        sam2_file(finder(weights).find(str(own)))
    (own / "sam2_hiera_large.pt").write_bytes(b"x")
    assert sam2_file(finder(weights).find(str(own))) == own / "sam2_hiera_large.pt"


# --- the memory ----------------------------------------------------------------------------------
def test_a_second_look_reads_nothing_and_hash_all_reads_everything(weights, folder, reads):
    finder(weights).find(NAME)
    assert sorted(reads) == sorted(CONTENTS)
    finder(weights).find(NAME)
    assert len(reads) == len(CONTENTS)
    finder(weights, hash_all=True).find(NAME)
    assert len(reads) == 2 * len(CONTENTS)


def test_a_changed_file_with_its_old_time_is_noticed(weights, folder):
    finder(weights).find(NAME)
    before = (folder / SHARD).stat()
    change_content(folder)
    os.utime(folder / SHARD, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(FaultyInput, match="its sha256 is"):
        finder(weights).find(NAME)


def test_a_copied_folder_is_hashed_anew_though_its_record_came_along(weights, folder, reads):
    finder(weights).find(NAME)
    shutil.copytree(folder, folder.with_name("copy"))
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)
    reads.clear()
    finder(weights).find(NAME)
    assert sorted(reads) == sorted(CONTENTS)


def test_the_record_beside_the_files_serves_another_user(weights, folder, reads, monkeypatch):
    finder(weights).find(NAME)
    reads.clear()
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")  # empty, and nothing can be kept there
    finder(weights).find(NAME)
    assert reads == []


def test_without_any_place_to_remember_it_still_works(weights, folder, reads, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    (folder / hashes.RECORD).mkdir()  # cannot be replaced by a file
    for _ in range(2):
        finder(weights).find(NAME)
    assert len(reads) == 2 * len(CONTENTS)


def test_a_damaged_memory_is_no_memory(weights, folder):
    (folder / hashes.RECORD).write_text("{")
    assert finder(weights).find(NAME) == folder


# --- provenance ----------------------------------------------------------------------------------
def test_a_checkpoint_is_recognised_by_its_content():
    other = LockedCheckpoint("B", "Lab/B", "", "", ())
    files = [file.sha256 for file in pinned().files]
    assert locked_as([*files, "and another"], [other, pinned()]) == [pinned()]
    assert locked_as(files[1:], [other, pinned()]) == []
