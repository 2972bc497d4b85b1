"""One process at a time in a run folder, one split in it, and nothing left of dead processes."""

import errno
import fcntl
import json
import os
import shutil
import threading

import pytest
from tiny_split import write_meta
from waiting import LIMIT

from submission.cli import main
from submission.dataset.mevis import read_split
from submission.errors import InputError
from submission.run.holding import LOCK, hold
from submission.terminal.progress import Reporter


class Ears(Reporter):
    """A reporter that lets a test wait for what is said."""

    def __init__(self):
        super().__init__("quiet")
        self.heard: list[str] = []
        self.spoke = threading.Event()

    def say(self, words):
        self.heard.append(words)
        self.spoke.set()

    def warn(self, words):
        self.say(words)


@pytest.mark.parametrize(
    ("first", "second", "waits"),
    [(False, False, True), (True, False, True), (False, True, True), (True, True, False)],
)
def test_who_waits_for_whom(tmp_path, first, second, waits):
    ears, entered = Ears(), threading.Event()

    def come_second():
        with hold(tmp_path, ears, together=second):
            entered.set()

    other = threading.Thread(target=come_second)
    with hold(tmp_path, Reporter("quiet"), together=first):
        other.start()
        if waits:
            assert ears.spoke.wait(LIMIT)
            assert not entered.is_set()
            who = f"process {os.getpid()} on {os.uname().nodename}"
            assert ears.heard == [f"another process ({who}) works in {tmp_path}: waiting"]
        else:
            assert entered.wait(LIMIT)
            assert ears.heard == []
    other.join(LIMIT)
    assert entered.is_set()
    assert (tmp_path / LOCK).read_bytes() == b""


@pytest.mark.parametrize(("together", "wanted"), [(False, fcntl.LOCK_EX), (True, fcntl.LOCK_SH)])
def test_who_waits_asks_for_the_lock_until_it_is_given(tmp_path, monkeypatch, together, wanted):
    asked = []

    def busy(file, operation):
        asked.append(operation)
        if operation & fcntl.LOCK_NB:
            raise BlockingIOError

    monkeypatch.setattr(fcntl, "flock", busy)
    with hold(tmp_path, Ears(), together=together):
        assert asked[-1] == wanted


def test_partial_files_go_unless_somebody_may_be_writing_them(tmp_path):
    (tmp_path / "predictions/a").mkdir(parents=True)
    left = [tmp_path / ".submission.zip.x1.partial", tmp_path / "predictions/a/.0.json.y2.partial"]
    kept = [tmp_path / "mine.partial", tmp_path / ".hidden"]
    for path in (*left, *kept):
        path.touch()
    quiet = Reporter("quiet")
    with (tmp_path / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with hold(tmp_path, quiet, together=True):
            assert all(path.exists() for path in left)
    with hold(tmp_path, quiet, together=True):
        assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


def test_a_run_folder_that_is_none_is_named(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    for name, words in (("file", "not a folder"), ("link", "a link to nowhere, which is not")):
        with (
            pytest.raises(InputError, match=f"{name}: {words}"),
            hold(tmp_path / name, Reporter("quiet")),
        ):
            pass


@pytest.mark.parametrize(("name", "status"), [("file", 2), ("new", 0)])
def test_a_dry_run_refuses_what_the_run_would(split, answer, tmp_path, capsys, name, status):
    (tmp_path / "file").touch()
    recipe = tmp_path / "given.toml"
    recipe.write_text(f'[[expert]]\nname = "given"\nmasks = "{answer}"\n')
    words = ["submit", "--recipe", str(recipe), "--data", str(split.folder), "--dry-run"]
    assert main([*words, "--run", str(tmp_path / name)]) == status
    assert ("file: not a folder" in capsys.readouterr().err) is bool(status)


def test_a_share_without_locks_is_worked_in_with_a_warning(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    ears = Ears()
    with hold(tmp_path, ears):
        pass
    assert "knows no locks" in ears.heard[0]


@pytest.fixture
def call(tmp_path, answer, split):
    """The words of a call that submits given masks for the tiny split."""
    recipe = tmp_path / "given.toml"
    shutil.copytree(answer, tmp_path / "mine")
    recipe.write_text('[[expert]]\nname = "given"\nmasks = "mine"\n[compute]\ndevice = "cpu"\n')
    return ["--recipe", str(recipe), "--data", str(split.root), "--run", str(tmp_path / "out")]


def test_the_run_folder_of_another_split_is_refused(call, tmp_path, split, capsys):
    assert main(["submit", *call, "--split", "valid_u", "--quiet"]) == 0
    shutil.copytree(split.folder, split.root / "valid")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    for words in (["submit", "--dry-run"], ["submit"], ["vote"], ["predict"]):
        assert main([*words, *call, "--split", "valid"]) == 2
        said = capsys.readouterr().err
        assert "this run is on valid_u (meta_expressions.json), and this call is on valid" in said
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}


def test_a_mended_meta_file_is_told_and_what_fits_is_kept(call, tmp_path, split, capsys):
    out = tmp_path / "out"
    assert main(["submit", *call, "--split", "valid_u", "--quiet"]) == 0
    meta = json.loads(split.meta_file.read_text())
    del meta["videos"]["cups"]
    write_meta(split.folder, meta)
    assert [video.name for video in read_split(split.root, "valid_u").videos] == ["dogs"]
    assert main(["submit", *call, "--split", "valid_u"]) == 2
    assert "its meta_expressions.json has changed since" in capsys.readouterr().err
    (out / "run.json").unlink()
    kept = (out / "predictions/given/dogs/0.json").stat().st_mtime_ns
    assert main(["submit", *call, "--split", "valid_u", "--quiet"]) == 0
    assert (out / "predictions/given/dogs/0.json").stat().st_mtime_ns == kept
    assert [path.name for path in (out / "Annotations").iterdir()] == ["dogs"]


def test_a_part_of_the_split_leaves_the_other_videos_alone(call, tmp_path):
    words = [*call, "--split", "valid_u", "--quiet"]
    assert main(["submit", *words]) == 0
    assert main(["submit", *words, "--limit", "1"]) == 0
    assert {path.name for path in (tmp_path / "out/Annotations").iterdir()} == {"dogs", "cups"}


@pytest.mark.parametrize("below", ["run", "run/deeper"])
def test_a_place_where_no_folder_can_be_made_is_named(tmp_path, below):
    (tmp_path / "file").write_text("in the way")
    place = tmp_path / "file" / below
    with (
        pytest.raises(InputError, match=r"run folder cannot be made there .*--run") as told,
        hold(place, Reporter("plain")),
    ):
        pass
    assert str(told.value).startswith(f"{place}: ")
