"""Fetching from a Hub that misbehaves: what lies under its final name is always right."""

import errno
import fcntl
import os
import resource
import shlex
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
import urllib3
from waiting import LIMIT, wait_until
from weights.conftest import CONTENTS, NAME, REPO, SHARD, pinned
from weights.loopback_hub import (
    answering,
    cut_short,
    dropping_after,
    flipped,
    holding_back,
    ignoring_the_range,
    of_another_revision,
    redirecting_to,
    running_hub,
    well,
)

from submission.errors import FaultyInput, FaultyResult, InputError
from submission.terminal.progress import Reporter
from submission.weights import hub as hub_module
from submission.weights.download import NO_ROOM, partial_path
from submission.weights.fetch import fetch
from submission.weights.folders import Weights
from submission.weights.hub import Hub
from submission.weights.lock import Lock, LockedCheckpoint, LockedFile
from submission.weights.lock_file import write_lock
from submission.weights.retry import Patience

HASTY = Patience(attempts=3, first_pause=0.01)
SIZE = len(CONTENTS[SHARD])


def run(weights: Weights) -> None:
    fetch([NAME], weights, Reporter("quiet"), hub=Hub(HASTY))


def there(weights: Weights) -> dict[str, bytes]:
    """The files under their final names."""
    folder = weights.folder / NAME
    return {
        path.name: path.read_bytes() for path in folder.glob("*") if not path.name.startswith(".")
    }


def partials(weights: Weights) -> list[Path]:
    return list((weights.folder / NAME).glob(".*.partial"))


def partial_of_shard(weights: Weights) -> Path:
    file = next(file for file in pinned().files if file.path == SHARD)
    return partial_path(weights.folder / NAME, file)


def without_shard() -> dict[str, bytes]:
    return {path: content for path, content in CONTENTS.items() if path != SHARD}


# --- the good case -------------------------------------------------------------------------------
def test_everything_arrives_and_a_second_fetch_asks_for_nothing(hub, weights):
    run(weights)
    assert there(weights) == CONTENTS
    assert partials(weights) == []
    asked = len(hub.asked)
    run(weights)
    assert len(hub.asked) == asked


def test_every_file_is_on_disk_before_it_has_its_name(hub, weights, named):
    run(weights)
    assert {Path(path).name for path in named} >= CONTENTS.keys()
    assert all(named.values())


def test_a_share_that_knows_no_fsync_is_fetched_to(hub, weights, monkeypatch):
    def refuse(handle):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr("os.fsync", refuse)
    run(weights)
    assert there(weights) == CONTENTS


def test_a_file_that_was_changed_is_fetched_again_and_no_other(hub, weights):
    run(weights)
    (weights.folder / NAME / "config.json").write_bytes(b"x" * len(CONTENTS["config.json"]))
    hub.asked.clear()
    run(weights)
    assert there(weights) == CONTENTS
    assert [asked.path.rpartition("/")[2] for asked in hub.asked] == ["config.json"]


# --- wrong bytes ---------------------------------------------------------------------------------
def test_a_flipped_bit_is_named_with_both_hashes_and_deleted(hub, weights):
    hub.moods[SHARD] = [flipped]
    with pytest.raises(FaultyResult) as caught:
        run(weights)
    message = str(caught.value)
    expected = next(file.sha256 for file in pinned().files if file.path == SHARD)
    assert f"{NAME}/{SHARD}" in message
    assert expected in message
    assert message.count("sha256 is") == 1
    assert there(weights) == without_shard()
    assert partials(weights) == []


def test_an_answer_of_another_length_is_refused(hub, weights):
    hub.moods[SHARD] = [cut_short]
    with pytest.raises(FaultyResult, match=f"has {SIZE - 100} bytes and should have {SIZE}"):
        run(weights)
    assert there(weights) == without_shard()


def test_another_revision_is_refused(hub, weights):
    hub.moods[SHARD] = [of_another_revision]
    with pytest.raises(InputError, match=r"asked for revision 0123.*sends 89ab"):
        run(weights)
    assert SHARD not in there(weights)


def test_a_damaged_partial_file_is_begun_again(hub, weights):
    hub.moods[SHARD] = [dropping_after(100_000), answering(404)]
    with pytest.raises(InputError):
        run(weights)
    partial_of_shard(weights).write_bytes(b"\0" * 100_000)
    hub.moods.clear()
    run(weights)
    assert there(weights) == CONTENTS
    assert hub.starts(SHARD)[-2:] == [100_000, 0]


# --- a bad line ----------------------------------------------------------------------------------
def test_a_connection_dropped_twice_is_taken_up_where_it_broke(hub, weights):
    hub.moods[SHARD] = [dropping_after(100_000), dropping_after(100_000), well]
    run(weights)
    assert there(weights) == CONTENTS
    assert hub.starts(SHARD) == [0, 100_000, 200_000]


def test_progress_is_not_given_up_however_often_the_line_breaks(hub, weights):
    hub.moods[SHARD] = [dropping_after(40_000)]
    run(weights)
    assert there(weights) == CONTENTS
    assert len(hub.starts(SHARD)) == 8 > HASTY.attempts


def test_a_connection_dropped_for_ever_ends_in_a_sentence_and_keeps_what_came(hub, weights):
    hub.moods[SHARD] = [dropping_after(100_000), dropping_after(0)]
    with pytest.raises(InputError, match=r"gave up after 3 attempts.*is kept"):
        run(weights)
    assert partial_of_shard(weights).stat().st_size == 100_000
    hub.moods.clear()
    run(weights)
    assert hub.starts(SHARD)[-1] == 100_000
    assert there(weights) == CONTENTS


def test_tls_that_breaks_in_the_middle_is_taken_up_and_no_fault_of_the_certificate(
    hub, weights, monkeypatch
):
    whole, broken = hub_module._blocks, []

    def blocks(response):
        if not broken and response.url.endswith(SHARD):
            broken.append(SHARD)
            yield response.raw.read1(1000, decode_content=False)
            raise urllib3.exceptions.SSLError(ssl.SSLError(1, "decryption failed or bad record"))
        yield from whole(response)

    monkeypatch.setattr(hub_module, "_blocks", blocks)
    run(weights)
    assert broken == [SHARD]
    assert there(weights) == CONTENTS


def test_a_certificate_that_is_refused_is_not_asked_again(weights, monkeypatch):
    asked = []

    def get(*args, **named):
        asked.append(args)
        raise requests.exceptions.SSLError(ssl.SSLCertVerificationError(1, "self-signed"))

    monkeypatch.setattr(requests.Session, "get", get)
    with pytest.raises(InputError, match="its certificate is not trusted"):
        Hub(HASTY).describe(REPO, "main")
    assert len(asked) == 1


def test_a_share_without_locks_is_fetched_to_with_a_warning(hub, weights, monkeypatch, capfd):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Reporter("plain") as reporter:
        fetch([NAME], weights, reporter, hub=Hub(HASTY))
    assert there(weights) == CONTENTS
    assert "knows no locks" in capfd.readouterr().err


def test_a_command_that_is_named_can_be_pasted(tmp_path, monkeypatch):
    folder = tmp_path / "my weights"
    command = Weights(Lock(tmp_path / "a lock.toml", (pinned(),)), folder).command("fetch", NAME)
    words = ["mevis-submission", "weights", "fetch", NAME]
    lock = ["--lock", str(tmp_path / "a lock.toml")]
    assert shlex.split(command) == [*words, *lock, "--dir", str(folder)]
    monkeypatch.setenv("MEVIS_WEIGHTS", "~/weights")
    assert Weights(Lock(tmp_path, ())).folder == Path.home() / "weights"


def test_a_server_that_ignores_ranges_is_read_from_the_start(hub, weights):
    hub.moods[SHARD] = [dropping_after(100_000), ignoring_the_range]
    run(weights)
    assert there(weights) == CONTENTS


def test_busy_servers_are_asked_again_after_the_time_they_name(hub, weights):
    hub.moods[SHARD] = [answering(429, {"Retry-After": "1"}), answering(503), well]
    started = time.monotonic()
    run(weights)
    assert time.monotonic() - started >= 1.0
    assert there(weights) == CONTENTS


def test_a_wait_of_an_hour_is_not_waited_for(hub, weights):
    hub.moods[SHARD] = [answering(429, {"Retry-After": "3600"})]
    with pytest.raises(InputError, match="asks to wait 3600 s"):
        run(weights)


# --- refusals ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "headers", "words"),
    [
        (401, {}, "gated, private or not there.*HF_TOKEN"),
        (403, {"X-Error-Code": "GatedRepo"}, "gated, private or not there.*HF_TOKEN"),
        (404, {"X-Error-Code": "RevisionNotFound"}, "this revision is gone.*weights lock --update"),
        (404, {"X-Error-Code": "RepoNotFound"}, "not found on 127.0.0.1"),
        (418, {}, "answers 418"),
    ],
)
def test_a_refusal_is_one_sentence_and_not_repeated(hub, weights, status, headers, words):
    hub.moods[SHARD] = [answering(status, headers)]
    with pytest.raises(InputError, match=words):
        run(weights)
    assert len(hub.starts(SHARD)) == 1


def test_without_a_network_the_sentence_names_proxy_and_mirror(weights, monkeypatch):
    with running_hub() as gone:
        monkeypatch.setenv("HF_ENDPOINT", f"http://user:pass@127.0.0.1:{gone.server_port}")
    with pytest.raises(InputError, match=r"cannot be reached.*HTTPS_PROXY") as caught:
        run(weights)
    assert "pass" not in str(caught.value)


def test_a_name_that_nobody_knows_is_no_network(weights, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    with pytest.raises(InputError, match=r"hub\.invalid cannot be reached"):
        run(weights)


def test_offline_means_offline(hub, weights, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="HF_HUB_OFFLINE is set"):
        run(weights)
    assert hub.asked == []


def test_the_token_goes_to_the_endpoint_and_not_where_it_redirects(hub, weights):
    with running_hub() as store:
        store.repos[REPO] = hub.repos[REPO]
        revision = pinned().revision
        hub.moods[SHARD] = [redirecting_to(f"{store.url}/{REPO}/resolve/{revision}/{SHARD}")]
        run(weights)
        assert [asked.authorization for asked in store.asked] == [None]
    assert {asked.authorization for asked in hub.asked} == {"Bearer hf_secret"}
    assert there(weights) == CONTENTS


def test_the_token_is_neither_printed_nor_stored(hub, weights, capfd):
    hub.moods[SHARD] = [answering(403)]
    with pytest.raises(InputError) as caught:
        run(weights)
    kept = [path.read_bytes() for path in weights.folder.rglob("*") if path.is_file()]
    assert kept
    for text in (str(caught.value).encode(), *(x.encode() for x in capfd.readouterr()), *kept):
        assert b"hf_secret" not in text


def test_a_proxy_is_used(hub, weights, monkeypatch):
    monkeypatch.setenv("http_proxy", hub.url)
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    run(weights)  # the request line then names the whole address, and the server takes its path
    assert there(weights) == CONTENTS


# --- what the lock must say ----------------------------------------------------------------------
def test_nothing_unresolved_is_fetched(hub, tmp_path):
    item = LockedCheckpoint(NAME, REPO, "", "", (LockedFile("config.json"), *pinned().files[1:]))
    weights = Weights(Lock(tmp_path / "test.lock", (item,)), tmp_path / "weights")
    with pytest.raises(FaultyInput, match=f"weights lock {NAME}") as caught:
        run(weights)
    (fault,) = caught.value.faults  # a line for each checkpoint, however many files it has
    assert "its revision is unresolved, config.json" in fault.what
    assert hub.asked == []


def test_a_planted_link_does_not_lead_the_download_to_another_file(hub, weights):
    victim = weights.folder.parent / "victim"
    victim.write_text("mine")
    file = pinned().files[0]
    folder = weights.place(pinned())
    folder.mkdir(parents=True)
    partial_path(folder, file).symlink_to(victim)
    with pytest.raises(InputError, match="a link lies where the download is to be kept"):
        run(weights)
    assert victim.read_text() == "mine"


def test_an_unknown_name_lists_the_known_ones(weights, quiet):
    with pytest.raises(InputError, match=rf"'Sa2VA-9B'; did you mean .{NAME}"):
        fetch(["Sa2VA-9B"], weights, quiet)


# --- the disk ------------------------------------------------------------------------------------
def test_room_is_looked_at_before_anything_is_asked(hub, weights, monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1_300_000))
    with pytest.raises(InputError, match=r"not enough room for this fetch: 370 kB needed, 1.*free"):
        run(weights)
    assert hub.asked == []


@pytest.fixture
def short_files(request):
    """Let no file grow above 200,000 bytes, as a full disk would; Python ignores the signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_up_ends_in_a_sentence_and_the_rest_resumes(hub, weights, short_files):
    with pytest.raises(InputError, match=f"not enough room for {NAME}/{SHARD}: 100 kB needed"):
        run(weights)
    assert partial_of_shard(weights).stat().st_size == 200_000
    resource.setrlimit(resource.RLIMIT_FSIZE, resource.getrlimit(resource.RLIMIT_FSIZE)[1:] * 2)
    run(weights)
    assert hub.starts(SHARD) == [0, 200_000]
    assert there(weights) == CONTENTS


def test_a_small_file_system_that_is_full(hub, tmp_path, quiet, monkeypatch):
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], check=False,
        capture_output=True,
    )  # fmt: skip
    if mounted.returncode != 0:
        pytest.skip("a file system can only be mounted by root")
    try:
        weights = Weights(Lock(tmp_path / "test.lock", (pinned(),)), place)
        with pytest.raises(InputError, match="not enough room for this fetch"):
            run(weights)
        plenty = shutil.disk_usage("/")  # what a quota would not tell
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda path: plenty._replace(free=1 << 40))
            with pytest.raises(InputError, match=f"not enough room for {NAME}/"):
                run(weights)
        assert SHARD not in there(weights)
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_full_disks_have_these_error_numbers():
    assert {errno.ENOSPC, errno.EDQUOT} < NO_ROOM


# --- several processes ---------------------------------------------------------------------------
def start(weights: Weights) -> subprocess.Popen[str]:
    """The same fetch in a process of its own, by the command line."""
    write_lock(weights.lock)
    words = ["weights", "fetch", NAME, "--lock", weights.lock.path, "--dir", weights.folder]
    return subprocess.Popen(
        [sys.executable, "-m", "submission", *map(str, words)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(os.environ),
    )  # fmt: skip


def wait_for_partial(weights: Weights, size: int) -> None:
    partial = partial_of_shard(weights)
    wait_until(
        lambda: partial.exists() and partial.stat().st_size >= size, "no partial file has grown"
    )


def test_a_killed_fetch_goes_on_in_another_process(hub, weights):
    gate = threading.Event()
    hub.moods[SHARD] = [holding_back(100_000, gate), well]
    process = start(weights)
    wait_for_partial(weights, 100_000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    gate.set()
    assert SHARD not in there(weights)
    run(weights)
    assert hub.starts(SHARD) == [0, 100_000]
    assert there(weights) == CONTENTS


def test_two_processes_fetch_once(hub, weights):
    gate = threading.Event()
    hub.moods[SHARD] = [holding_back(20_000, gate), well]
    first = start(weights)
    wait_for_partial(weights, 20_000)
    second = start(weights)
    assert second.stdout is not None
    assert "another process is fetching" in second.stdout.readline()
    gate.set()
    outputs = [process.communicate(timeout=LIMIT)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], outputs
    assert there(weights) == CONTENTS
    assert hub.starts(SHARD) == [0]
