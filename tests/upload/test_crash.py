"""A crash at every request, before it is sent and after its answer, and answers that are lost.

Whatever happens, the same command once more ends with one submission and its scores.
"""

import errno
import fcntl
import json
import os
import ssl

import pytest
import requests
import urllib3

from submission.errors import InputError
from submission.upload.credentials import VARIABLE
from submission.upload.journal import Journal, Target, ZipFile
from submission.upload.transport import AnswerLost, Refusal, Transport
from submission.weights.retry import Patience

from .codabench_server import TOKEN

# What the way asks, in order; polls, of which there are more, are one kind.
REQUESTS = ("my_profile", "competitions", "submissions/?", "user_quota", "can_make_submission",
            "datasets/ POST", "storage PUT", "completed", "datasets/?", "submissions/ POST",
            "submissions/1/")  # fmt: skip


class Crash(BaseException):
    """The machine goes off: nothing in the kit may catch it."""


def kind(method: str, address: str, params: object) -> str:
    """The name of a request in REQUESTS."""
    if "/storage/" in address:
        return f"storage {method}"
    path = address.partition("/api/")[2]
    if path == "submissions/" and method == "GET":
        return "submissions/?"
    if path == "datasets/":
        return "datasets/?" if method == "GET" else "datasets/ POST"
    if path == "submissions/":
        return "submissions/ POST"
    return next((name for name in REQUESTS if name in path), path)


@pytest.fixture
def crash(monkeypatch):
    """Let the process die at the first request of a kind, before or after it."""
    original = Transport._send

    def arm(wanted: str, when: str) -> None:
        def send(self, session, method, address, **how):
            this = kind(method, address, how.get("params")) == wanted
            if this and when == "before":
                raise Crash
            response = original(self, session, method, address, **how)
            if this:
                raise Crash
            return response

        monkeypatch.setattr(Transport, "_send", send)

    return arm


def test_the_list_of_requests_is_the_way(desk, monkeypatch):
    seen = []
    original = Transport._send

    def send(self, session, method, address, **how):
        seen.append(kind(method, address, how.get("params")))
        return original(self, session, method, address, **how)

    monkeypatch.setattr(Transport, "_send", send)
    desk.send()
    assert set(seen) - {"phases/2/get_leaderboard/"} == set(REQUESTS)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("request_", REQUESTS)
def test_after_a_crash_the_same_command_goes_on(desk, crash, monkeypatch, request_, when):
    crash(request_, when)
    with pytest.raises(Crash):
        desk.send()
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, TOKEN)
    assert "50.89" in desk.send()
    assert len(desk.server.runs) == 1
    assert desk.journal["scores"]["F"] == 0.5439
    assert len(desk.server.calls("PUT", "/storage/")) <= 2


@pytest.mark.parametrize("mood", ["drop before", "drop after"])
@pytest.mark.parametrize(
    ("method", "pattern"),
    [("GET", "my_profile"), ("POST", "datasets/"), ("PUT", "/storage/"), ("PUT", "completed"),
     ("GET", "datasets"), ("POST", "submissions/"), ("GET", "submissions/1/")],
)  # fmt: skip
def test_a_connection_that_breaks_is_made_good_in_the_same_call(desk, method, pattern, mood):
    desk.server.moods = [(method, pattern, mood)]
    if (method, mood) == ("POST", "drop before") and pattern == "submissions/":
        # Nobody knows whether it arrived, and it did not: the next call finds that out.
        with pytest.raises(Exception, match="did not answer the submit"):
            desk.send()
    assert "50.89" in desk.send()
    assert len(desk.server.runs) == 1


def test_a_submit_whose_answer_a_proxy_replaced_is_found_and_not_sent_again(desk):
    desk.server.moods = [("POST", "submissions/", "page after")]
    assert "50.89" in desk.send()
    assert len(desk.server.runs) == 1
    assert len(desk.server.calls("POST", "submissions/")) == 1


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), AnswerLost),
        (ssl.SSLCertVerificationError(1, "self-signed certificate"), Refusal),
    ],
)
def test_only_a_certificate_that_is_not_trusted_says_that_nothing_was_sent(
    monkeypatch, failure, expected
):
    def fail(*args, **named):
        wrapped = urllib3.exceptions.SSLError(failure)
        raise requests.exceptions.SSLError(
            urllib3.exceptions.MaxRetryError(None, "https://judge.example", wrapped)
        )

    monkeypatch.setattr(requests.Session, "request", fail)
    transport = Transport("https://judge.example", Patience(attempts=2), lambda seconds: None)
    with pytest.raises(expected, match=r"EOF occurred|certificate is not trusted"):
        transport.ask("POST", "submissions/", "submit the zip", once=True)


def test_a_submit_behind_a_gateway_that_gave_up_is_found(desk):
    desk.server.moods = [("POST", "submissions/", (504, "<html>gateway</html>"))]
    with pytest.raises(Exception, match="run the same command again"):
        desk.send()
    assert "50.89" in desk.send()
    assert len(desk.server.runs) == 1
    assert len(desk.server.calls("POST", "submissions/")) == 2


def test_an_interrupted_upload_sends_the_zip_to_the_same_place(desk, crash, monkeypatch):
    crash("storage PUT", "before")
    with pytest.raises(Crash):
        desk.send()
    assert "Signature" in desk.journal["steps"]["data"]["address"]
    monkeypatch.undo()
    monkeypatch.setenv(VARIABLE, TOKEN)
    desk.send()
    assert len(desk.server.data) == 1
    assert "address" not in desk.journal["steps"]["data"]


def test_a_journal_that_is_damaged_is_no_empty_one(desk):
    (desk.run / "upload.json").write_text('{"uploads": [{"steps"')
    with pytest.raises(Exception, match="upload"):
        desk.send()
    (desk.run / "upload.json").write_text('{"uploads": [{"steps": {}}]}')
    with pytest.raises(Exception, match="look at your submissions on the server"):
        desk.send()


def test_two_commands_keep_what_the_other_wrote(tmp_path):
    path, file = tmp_path / "upload.json", ZipFile(tmp_path / "a.zip", 1, "0" * 64, "")
    first, second = (Journal(path, lambda: 0.0) for _ in range(2))
    with first.alone():
        waiting = first.begin(Target("https://judge.example", 1, 1), file)
    with second.alone():
        later = second.begin(Target("https://judge.example", 2, 1), file)
    waiting.note(scores={"J": 0.5})
    later.note(scores={"J": 0.7})
    uploads = json.loads(path.read_text())["uploads"]
    assert [(one["competition"], one["scores"]["J"]) for one in uploads] == [(1, 0.5), (2, 0.7)]


def test_a_share_without_locks_is_uploaded_from(desk, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert "50.89" in desk.send()
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(BlockingIOError()))
    with pytest.raises(InputError, match="another command is uploading from here"):
        desk.send()
