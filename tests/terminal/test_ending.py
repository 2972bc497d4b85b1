"""However a command ends, the last word is a sentence: errors nobody foresaw, signals, shares."""

import errno
import os
import pwd
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from waiting import LIMIT

from submission.cli import build_parser, main
from submission.errors import InputError
from submission.files import whole
from submission.files.user_cache import cache_folder
from submission.files.user_paths import expand
from submission.output import check as check_module
from submission.terminal.ending import CRASHED, INTERRUPTED, STOPPED, end_with
from submission.terminal.progress import Reporter


@pytest.fixture
def check_words(answer: Path, split) -> list[str]:
    return ["check", str(answer), "--data", str(split.root), "--split", split.name]


@pytest.fixture
def submit_words(answer: Path, split, tmp_path: Path) -> list[str]:
    recipe = tmp_path / "given.toml"
    recipe.write_text(
        f'[data]\nroot = "{split.root}"\nsplit = "{split.name}"\n'
        f'[[expert]]\nname = "given"\nmasks = "{answer}"\n'
    )
    return ["submit", "--recipe", str(recipe), "--run", str(tmp_path / "out"), "--quiet"]


# --- errors --------------------------------------------------------------------------------------
def test_an_error_that_nobody_foresaw_is_one_sentence(submit_words, tmp_path, monkeypatch, capsys):
    def fail(video, *_):
        raise LookupError("odd\nthing")

    monkeypatch.setattr("submission.pipeline.vote._ballot", lambda recipe, video, run: fail(video))
    assert main(submit_words) == CRASHED
    kept = tmp_path / "out/traceback.txt"
    said = capsys.readouterr().err
    assert said.startswith("vote, video dogs: an error that nobody foresaw (LookupError: odd")
    assert f"kept in {kept}" in said
    assert "Traceback" not in said
    assert "Traceback (most recent call last)" in kept.read_text()
    assert main([*submit_words, "--debug"]) == CRASHED
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_the_traceback_goes_elsewhere_where_no_run_is(check_words, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(check_module, "open_submission", lambda path: 1 / 0)
    assert main(check_words) == CRASHED
    (kept,) = (tmp_path / "tmp").iterdir()
    assert f"kept in {kept}" in capsys.readouterr().err
    assert "ZeroDivisionError" in kept.read_text()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("can't start new thread"), "ulimit -u on this machine, --pids-limit of a"),
        (MemoryError(), "the memory of this machine, or of this container or job, is used up"),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't "
                "allocate memory: you tried to allocate 9 bytes"
            ),
            "the memory of this machine",
        ),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate"), "look at nvidia-smi"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors"), "look at nvidia-smi"),
    ],
)
def test_want_of_means_is_named(check_words, monkeypatch, capsys, error, words):
    def fail(thread):
        raise error

    monkeypatch.setattr(threading.Thread, "start", fail)
    assert main(check_words) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def test_a_full_disk_names_file_folder_and_what_to_do(submit_words, tmp_path, monkeypatch, capsys):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert main(submit_words) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path}/out/" in said
    assert "partial" not in said
    assert f"MB are free in {tmp_path}/out" in said
    assert "make room and run the same command again" in said


@pytest.mark.parametrize(
    ("code", "cure"),
    [(errno.EROFS, "name another place with --run"), (errno.EACCES, "ls -l shows who may")],
)
def test_what_may_not_be_written_names_the_file_and_a_cure(
    submit_words, tmp_path, monkeypatch, capsys, code, cure
):
    def refuse(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    assert main(submit_words) == 2
    (line,) = [one for one in capsys.readouterr().err.splitlines() if os.strerror(code) in one]
    assert line.startswith(f"{tmp_path}/out/")
    assert cure in line


@pytest.mark.parametrize("call", [["recipes"], ["--print-completion", "bash"]])
def test_a_reader_that_has_enough_is_no_error(call):
    words = [sys.executable, "-m", "submission", *call]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# --- shares and homes ----------------------------------------------------------------------------
@pytest.mark.parametrize(("call", "code"), [("chmod", errno.EPERM), ("fsync", errno.EINVAL)])
def test_a_share_that_refuses_mode_or_durability(submit_words, tmp_path, monkeypatch, call, code):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(f"os.{call}", refuse)
    assert main(submit_words) == 0
    assert (tmp_path / "out/report/index.html").is_file()


def test_what_a_disk_cannot_keep_is_an_error(tmp_path, monkeypatch):
    def fail(handle):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="Input/output error") as caught:
        whole.write_bytes(tmp_path / "a", b"")
    assert caught.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_the_error_of_another_file_keeps_its_name(tmp_path):
    with (
        pytest.raises(OSError, match="nothing") as caught,
        whole.open_whole(tmp_path / "a"),
    ):
        (tmp_path / "nothing").read_bytes()
    assert caught.value.filename == str(tmp_path / "nothing")


@pytest.mark.parametrize("verb", ["check", "score"])
def test_a_result_is_told_where_it_cannot_be_kept(check_words, tmp_path, verb, capsys):
    (tmp_path / "file").touch()
    words = [verb, *check_words[1:], "--quiet", "--out", str(tmp_path / "file/x")]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "J&F" in said.out if verb == "score" else "no faults" in said.out
    assert "could not be kept here" in said.err
    assert "as JSON:" not in said.out
    assert "every sentence:" not in said.out


def test_a_run_folder_in_another_encoding(submit_words, tmp_path, capsys):
    words = [*submit_words]
    words[words.index("--run") + 1] = os.fsdecode(bytes(tmp_path) + b"/out\xff")
    assert main(words) == 0
    assert main(words) == 0


@pytest.fixture
def no_home(monkeypatch):
    """A user id that no passwd file has, without HOME."""

    def unknown(*_):
        raise KeyError("no such user")

    for name in ("HOME", "XDG_CACHE_HOME", "MEVIS_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)


def test_a_user_without_a_home_goes_on_without_a_cache(no_home, submit_words, capsys):
    assert main(["weights", "list"]) == 0
    assert main(submit_words) == 0
    assert not cache_folder().exists()
    capsys.readouterr()
    assert main(["weights", "fetch", "Sa2VA-4B"]) == 2
    said = capsys.readouterr().err
    assert "MEVIS_WEIGHTS" in said or "nothing was fetched" in said


def test_a_home_that_no_shell_has_replaced_is_found_by_every_verb():
    words = ["calibrate", "--run=~/runs/a", "--share=0.1", "--out=~/gate.json"]
    found = build_parser().parse_args(words)
    assert (found.run, found.out) == (Path.home() / "runs/a", Path.home() / "gate.json")


def test_the_home_of_an_unknown_user_is_a_fault_of_the_call(capsys):
    assert expand("~") == Path.home()
    with pytest.raises(SystemExit) as ended:
        main(["check", "x.zip", "--data", "~nobody-here/mevis", "--split", "valid"])
    assert ended.value.code == 2
    assert "~nobody-here/mevis: this machine knows no home folder" in capsys.readouterr().err


# --- signals -------------------------------------------------------------------------------------
# A command that waits for ever, says when it does, and lets go at once or never.
WAITING = """
import sys, threading
from submission import cli
from submission.output import check
def wait(path):
    while True:
        try:
            print("waiting", flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            if sys.argv[1] == "let go":
                raise
check.open_submission = wait
sys.exit(cli.main(sys.argv[2:]))
"""


def stop(words, *numbers):
    """Start it, send the signals one after the other, and return its exit status and last word."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, *words], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        for number in numbers:
            assert process.stdout.readline() == "waiting\n"
            process.send_signal(number)
        said = process.communicate(timeout=LIMIT)[1]
    assert "Traceback" not in said
    return process.returncode, said.strip().splitlines()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_every_signal_that_stops_has_its_word(check_words, number):
    assert stop(["let go", *check_words], number) == (INTERRUPTED, STOPPED)


def test_a_third_signal_ends_what_does_not_let_go(check_words):
    assert stop(["hold on", *check_words], *[signal.SIGINT] * 3) == (INTERRUPTED, STOPPED)


@pytest.mark.parametrize(("given", "taken"), [(None, "1000"), ("7", "7")])
def test_threads_spin_little_unless_the_user_says_otherwise(given, taken):
    """In a process of its own: the variable is read when torch is loaded, which is later."""
    code = (
        "import os, sys; from submission.cli import main; assert 'torch' not in sys.modules; "
        "main(['recipes', '--quiet']); print(os.environ['GOMP_SPINCOUNT'], file=sys.stderr)"
    )
    kept = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    own = kept if given is None else kept | {"GOMP_SPINCOUNT": given}
    done = subprocess.run(
        [sys.executable, "-c", code], env=own, capture_output=True, text=True, check=True
    )
    assert done.stderr.split()[-1] == taken


def test_another_pipe_that_breaks_is_a_failure(capfd):
    with Reporter("plain") as reporter:
        status = end_with(BrokenPipeError(errno.EPIPE, "Broken pipe"), reporter)
    assert status == InputError.exit_status
    assert "Broken pipe" in capfd.readouterr().err


def test_folders_whose_names_are_no_unicode_are_worked_in(answer, split, tmp_path):
    odd = tmp_path / os.fsdecode(b"f\xfcr mich")
    shutil.copytree(split.root, odd / "data")
    shutil.copytree(answer, odd / "mine")
    recipe = odd / "given.toml"
    recipe.write_text(
        f'[data]\nroot = "data"\nsplit = "{split.name}"\n[[expert]]\nname = "a"\nmasks = "mine"\n'
    )
    words = ["submit", "--recipe", str(recipe), "--run", str(odd / "out"), "--quiet"]
    assert main(words) == main(words) == 0


def test_a_key_set_to_no_unicode_is_a_sentence(submit_words, capsys):
    assert main([*submit_words, "--set", os.fsdecode(b"expert.given.masks=f\xfcr mich")]) == 2
    assert "the recipe has faults" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "last"),
    [
        ("KeyboardInterrupt", INTERRUPTED, "Stopped before anything was done."),
        ("ZeroDivisionError", 1, "ZeroDivisionError"),  # of the kit's own making: it must be seen
    ],
)
def test_a_signal_while_modules_load_is_no_traceback(error, status, last):
    code = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == 'submission.cli': raise {error}\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from submission.__main__ import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (status, last)
    assert ("Traceback" in done.stderr) == (status == 1)
