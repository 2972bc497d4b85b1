"""Checkpoints that are on no Hub: their record, and what is said until their files are there."""

import hashlib
from pathlib import Path

import pytest

from submission.errors import FaultyInput
from submission.terminal.progress import Reporter
from submission.weights.commands import fetch_weights, lock_weights, verify_weights
from submission.weights.folders import Weights
from submission.weights.lock import Lock, LockedCheckpoint, LockedFile
from submission.weights.lock_file import read_lock, write_lock
from submission.weights.verify import open_locked

CONTENT = b"what the authors published"
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
PAGE = "https://example.org/releases"
RECORD = LockedCheckpoint("Mega", files=(LockedFile("mega.pth", md5=MD5),), source=PAGE)


@pytest.fixture
def by_hand(tmp_path: Path) -> Weights:
    found = Weights(Lock(tmp_path / "hand.lock", (RECORD,)), tmp_path / "weights")
    write_lock(found.lock)
    return found


def bring(weights: Weights, content: bytes = CONTENT) -> None:
    file = weights.place(RECORD) / "mega.pth"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def test_the_record_is_read_as_it_was_written_and_names_no_repository(by_hand):
    assert read_lock(by_hand.lock.path).take("Mega") == RECORD
    text = by_hand.lock.path.read_text()
    assert f'source = "{PAGE}"' in text
    assert "repo" not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((f'source = "{PAGE}"', f'source = "{PAGE}"\nrepo = "Lab/A"'), "either repo"),
        ((f'source = "{PAGE}"\n', ""), "either repo"),
        (("https://", "http://"), "begins with https://"),
        ((f'source = "{PAGE}"', 'repo = "Lab/A"'), "md5 is for files by hand"),
        ((MD5, "xyz"), "32 hexadecimal digits"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(by_hand, change, words):
    path = by_hand.lock.path
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(FaultyInput, match=words):
        read_lock(path)


def test_fetch_says_what_to_take_from_where_until_it_is_there(by_hand, capsys):
    with pytest.raises(FaultyInput, match=f"Take mega.pth from {PAGE}, put it into"):
        fetch_weights(["Mega"], by_hand, Reporter("quiet"))
    bring(by_hand)
    fetch_weights(["Mega"], by_hand, Reporter("quiet"))
    assert "verified" in capsys.readouterr().out


def test_it_is_opened_when_its_md5_is_right_and_refused_when_it_is_not(by_hand):
    bring(by_hand)
    assert open_locked(by_hand, RECORD, again=False) == by_hand.place(RECORD)
    bring(by_hand, CONTENT[::-1])
    with pytest.raises(FaultyInput, match="its md5 is"):
        open_locked(by_hand, RECORD, again=False)
    with pytest.raises(Exception, match="its md5 is"):
        verify_weights(["Mega"], by_hand, Reporter("quiet"))


def test_lock_pins_the_copy_that_agrees_with_what_is_stated(by_hand):
    with pytest.raises(FaultyInput, match="is missing"):
        lock_weights(["Mega"], by_hand, update=False)
    bring(by_hand, CONTENT[::-1])
    with pytest.raises(FaultyInput, match="cannot be pinned"):
        lock_weights(["Mega"], by_hand, update=False)
    bring(by_hand)
    lock_weights(["Mega"], by_hand, update=False)
    (file,) = read_lock(by_hand.lock.path).take("Mega").files
    expected = LockedFile("mega.pth", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), MD5)
    assert file == expected
