"""`weights lock`: what the Hub is asked, what is taken from it, and what is refused."""

import hashlib
import json

import pytest
import requests
from weights.conftest import CONTENTS, NAME, REPO, SHARD, pinned
from weights.loopback_hub import NEWER, REVISION, Mood, answering, dropping_after, running_hub, well

from submission.errors import FaultyInput, InputError
from submission.weights.hub import Hub
from submission.weights.lock import LockedCheckpoint, LockedFile
from submission.weights.resolve import changes, resolve
from submission.weights.retry import Patience

OPEN = LockedCheckpoint(NAME, REPO)


def ask(checkpoint: LockedCheckpoint, *, update: bool = False) -> LockedCheckpoint:
    return resolve(checkpoint, Hub(Patience(3, 0.01)), update=update)


def test_everything_unresolved_is_filled_in(hub):
    hub.repos[REPO].files |= {"modeling.py": b"import os", ".gitattributes": b"", "a.png": b"x"}
    assert ask(OPEN) == pinned()


def test_only_small_files_are_downloaded_for_their_hash(hub):
    ask(OPEN)
    files = {asked.path.rpartition("/")[2] for asked in hub.asked if "/resolve/" in asked.path}
    assert files == {"config.json", "tokenizer.json"}


def test_nothing_is_asked_where_nothing_is_open(hub):
    assert ask(pinned()) == pinned()
    assert hub.asked == []


def test_what_the_lock_states_is_kept_and_the_rest_filled_in(hub):
    partly = LockedCheckpoint(NAME, REPO, REVISION, "", (*pinned().files[:2], LockedFile("x.json")))
    assert ask(partly) == pinned()
    assert "- x.json" in changes(partly, pinned())


def test_a_pinned_revision_does_not_move_and_an_update_does(hub):
    hub.repos[REPO].revision = NEWER
    hub.repos[REPO].files["config.json"] = b"{}"
    with pytest.raises(InputError, match="this revision is gone"):
        ask(LockedCheckpoint(NAME, REPO, REVISION, "", pinned().files))
    hub.moods["config.json"] = [lambda handler, body, start: handler.send(200, body)]
    hub.moods["tokenizer.json"] = hub.moods["config.json"]
    updated = ask(pinned(), update=True)
    assert updated.revision == NEWER
    digest = hashlib.sha256(b"{}").hexdigest()
    assert LockedFile("config.json", 2, digest) in updated.files
    assert changes(pinned(), updated)[0] == f"revision: {REVISION} -> {NEWER}"


def test_the_hub_does_not_overrule_the_lock(hub):
    changed = dict(CONTENTS)
    del changed["tokenizer.json"]
    changed[SHARD] = CONTENTS[SHARD][:-1] + b"!"
    hub.repos[REPO].files = changed
    unlicensed = LockedCheckpoint(NAME, REPO, REVISION, "", pinned().files)
    with pytest.raises(FaultyInput, match=f"weights lock --update {NAME}") as caught:
        ask(unlicensed)
    assert [fault.where for fault in caught.value.faults] == ["tokenizer.json", SHARD]


def test_a_hub_that_answers_with_another_revision_is_not_believed(hub):
    hub.moods[f"revision/{REVISION}"] = [
        lambda handler, body, start: handler.send(200, b'{"sha": "%s"}' % NEWER.encode())
    ]
    hub.moods[f"tree/{NEWER}"] = [answering(404)]
    with pytest.raises(InputError):
        ask(LockedCheckpoint(NAME, REPO, REVISION))


@pytest.mark.parametrize("name", ["../evil.json", "/etc/evil.json", "a/../../evil.py", "a\\b.json"])
def test_a_listed_path_that_leaves_the_folder_is_refused(hub, name):
    hub.repos[REPO].also_listed = [name]
    with pytest.raises(FaultyInput, match="not safe to write"):
        ask(OPEN)


def test_a_repository_without_weights_for_us(hub):
    hub.repos[REPO].files = {"README.md": b"", "model.bin": b""}
    with pytest.raises(FaultyInput, match="no file that the loader reads"):
        ask(OPEN)


def test_a_repository_that_is_not_there_or_gated(hub):
    with pytest.raises(InputError, match="gated, private or not there"):
        ask(LockedCheckpoint(NAME, "Lab/Other"))


def test_a_busy_hub_is_asked_again(hub):
    hub.moods["config.json"] = [answering(503), dropping_after(3), well]
    assert ask(OPEN) == pinned()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"size": -5}, "a size of -5"),
        ({"size": 10**30}, "a size of 1000"),
        ({"size": 1, "lfs": {"oid": "zz", "size": 1}}, "a sha256 of 'zz'"),
        ({"size": 1, "lfs": {"oid": ["x"], "size": 1}}, "a sha256 of"),
        ({"size": 1, "lfs": {"oid": "\x1b[31m", "size": 1}}, r"a sha256 of '\\x1b"),
        ({"size": 1, "path": 3}, "a path that is no text"),
    ],
)
def test_an_odd_entry_of_a_list_is_refused_before_anything_is_written(hub, entry, words):
    listed = json.dumps([{"type": "file", "path": "config.json"} | entry]).encode()
    hub.moods[f"tree/{REVISION}"] = [lambda handler, body, start: handler.send(200, listed)]
    with pytest.raises(InputError, match=f"odd list of files of {REPO}: {words}"):
        ask(OPEN)


@pytest.mark.parametrize(
    ("content", "headers", "words"),
    [
        (b" " * 2000, {}, "packed or larger than 1000 bytes"),
        (b"[]", {"Content-Encoding": "gzip"}, "packed or larger"),
        (b"[" * 900, {}, "is not JSON"),
        (b'[{"type": "file", "path": "a", "size": Infinity}]', {}, "odd list of files"),
        (b"[" + b"9" * 900 + b"]", {}, "odd list of files"),
    ],
)
def test_an_answer_is_bounded_and_read_as_it_is(hub, monkeypatch, content, headers, words):
    monkeypatch.setattr("submission.weights.hub.LARGEST_ANSWER", 1000)
    hub.moods[f"tree/{REVISION}"] = [
        lambda handler, body, start: handler.send(200, content, headers)
    ]
    with pytest.raises(InputError, match=words):
        ask(OPEN)


def page(following: str) -> Mood:
    link = {"Link": f'<{following}>; rel="next"'}
    return lambda handler, body, start: handler.send(200, b"[]", link)


def test_a_next_page_at_another_port_or_behind_a_false_name_is_not_asked(hub):
    with running_hub() as other:
        host, port = "127.0.0.1", hub.server_port
        for following in (f"{other.url}/page", f"http://{host}:{port}@localhost:1/page"):
            hub.moods[f"tree/{REVISION}"] = [page(following)]
            with pytest.raises(InputError, match="goes on at another host, which is not asked"):
                ask(OPEN)
        assert other.asked == []


def test_a_list_that_goes_round_ends(hub):
    hub.moods[f"tree/{REVISION}"] = [page(f"/api/models/{REPO}/tree/{REVISION}")]
    with pytest.raises(InputError, match="does not end"):
        ask(OPEN)


def test_a_token_goes_over_plain_http_to_this_machine_alone(monkeypatch, hub):
    ask(OPEN)
    assert {asked.authorization for asked in hub.asked} == {"Bearer hf_secret"}
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example")
    request = requests.Request("GET", "http://mirror.example/x")
    assert "Authorization" not in Hub()._session.prepare_request(request).headers


def test_variables_that_were_pasted_wrongly_are_named(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_abc\u200b")
    with pytest.raises(InputError, match="no token has, at position 7") as error:
        Hub()
    assert "hf_abc" not in str(error.value)
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    for endpoint in ("mirror.example", "ftp://mirror.example", "https://a:port"):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(InputError, match="HF_ENDPOINT must be an address"):
            Hub()


def test_a_license_with_control_characters_steers_no_terminal(hub):
    hub.repos[REPO].license = "mit\x1b[31m\nverified ok"
    assert ask(OPEN).license == "mit?[31m?verified ok"


@pytest.mark.parametrize("answer", [b"<html>", b"[1]", b"{}", b"[" * 200_000, b"9" * 6000])
def test_an_answer_that_is_not_the_hubs(hub, answer):
    hub.moods["revision/main"] = [lambda handler, body, start: handler.send(200, answer)]
    with pytest.raises(InputError, match=r"is not JSON|names no revision"):
        ask(OPEN)
