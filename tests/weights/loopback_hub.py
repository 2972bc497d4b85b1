"""A Hub on this machine: small repositories over HTTP/1.1, and every way to misbehave."""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote, urlsplit

from loopback import LoopbackServer, served
from waiting import LIMIT

REVISION = "0123456789abcdef0123456789abcdef01234567"
NEWER = "89abcdef0123456789abcdef0123456789abcdef"


@dataclass
class Repo:
    """One revision of a repository."""

    files: dict[str, bytes]
    revision: str = REVISION
    license: str = "apache-2.0"
    also_listed: list[str] = field(default_factory=list)  # names in the list, with no content

    def listing(self) -> list[dict[str, object]]:
        return [self._entry(path, content) for path, content in self.files.items()] + [
            self._entry(path, b"") for path in self.also_listed
        ]

    def _entry(self, path: str, content: bytes) -> dict[str, object]:
        entry = {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
        if path.endswith((".safetensors", ".pt")):
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 134}
        return entry


@dataclass(frozen=True)
class Asked:
    """One request, as the server saw it."""

    path: str
    start: int
    authorization: str | None


# A mood answers a request for a file in its own way; what it needs of the request is in `Handler`.
Mood = Callable[["Handler", bytes, int], None]


class LoopbackHub(LoopbackServer):
    """Serve `repos`; `moods` by file path are used up one for each request, the last for ever."""

    def __init__(self) -> None:
        super().__init__(Handler)
        self.repos: dict[str, Repo] = {}
        self.moods: dict[str, list[Mood]] = {}
        self.asked: list[Asked] = []

    def starts(self, path: str) -> list[int]:
        """The first bytes that were asked for of a file, request by request."""
        return [asked.start for asked in self.asked if asked.path.endswith(f"/{path}")]


@contextmanager
def running_hub() -> Iterator[LoopbackHub]:
    hub = LoopbackHub()
    with served(hub):
        yield hub


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LoopbackHub

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).removeprefix("/")
        start = int((self.headers.get("Range") or "bytes=0-")[6:].rstrip("-"))
        self.server.asked.append(Asked(path, start, self.headers.get("Authorization")))
        if path.startswith("api/models/"):
            self.answer_question(path.removeprefix("api/models/"))
        else:
            self.answer_file(path, start)

    def answer_question(self, path: str) -> None:
        owner, name, kind, revision = path.split("/")
        repo = self.server.repos.get(f"{owner}/{name}")
        moods = self.server.moods.get(f"{kind}/{revision}", [])
        if moods:
            (moods.pop(0) if len(moods) > 1 else moods[0])(self, b"", 0)
        elif repo is None:
            self.send(401, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif revision not in ("main", repo.revision):
            self.send(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif kind == "tree":
            self.send(200, json.dumps(repo.listing()).encode())
        else:
            answer = {"sha": repo.revision, "cardData": {"license": repo.license}}
            self.send(200, json.dumps(answer).encode())

    def answer_file(self, path: str, start: int) -> None:
        owner, name, _, revision, inside = path.split("/", 4)
        repo = self.server.repos.get(f"{owner}/{name}")
        moods = self.server.moods.get(inside, [])
        if repo is None or inside not in repo.files:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
        elif moods:
            (moods.pop(0) if len(moods) > 1 else moods[0])(self, repo.files[inside], start)
        elif revision != repo.revision:
            self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            well(self, repo.files[inside], start)

    def send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.head(status, len(body), headers)
        self.wfile.write(body)

    def head(self, status: int, length: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()

    def send_part(self, body: bytes, start: int) -> None:
        """The head of a good answer; the caller sends the bytes."""
        headers = {"X-Repo-Commit": REVISION}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        self.head(206 if start else 200, len(body) - start, headers)

    def hang_up(self) -> None:
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


# --- moods ---------------------------------------------------------------------------------------
def well(handler: Handler, body: bytes, start: int) -> None:
    handler.send_part(body, start)
    handler.wfile.write(body[start:])


def flipped(handler: Handler, body: bytes, start: int) -> None:
    """The right length, and one wrong bit in the last byte."""
    well(handler, body[:-1] + bytes([body[-1] ^ 1]), start)


def cut_short(handler: Handler, body: bytes, start: int) -> None:
    """A complete answer with too few bytes."""
    well(handler, body[:-100], start)


def ignoring_the_range(handler: Handler, body: bytes, start: int) -> None:
    well(handler, body, 0)


def of_another_revision(handler: Handler, body: bytes, start: int) -> None:
    handler.send(200, body, {"X-Repo-Commit": NEWER})


def dropping_after(count: int) -> Mood:
    """Close the connection `count` bytes behind the start that was asked for."""

    def mood(handler: Handler, body: bytes, start: int) -> None:
        handler.send_part(body, start)
        handler.wfile.write(body[start : start + count])
        handler.hang_up()

    return mood


def answering(status: int, headers: dict[str, str] | None = None) -> Mood:
    return lambda handler, body, start: handler.send(status, b"no", headers)


def redirecting_to(url: str) -> Mood:
    headers = {"Location": url, "X-Repo-Commit": REVISION}
    return lambda handler, body, start: handler.send(302, b"", headers)


def holding_back(count: int, gate: threading.Event) -> Mood:
    """Send `count` bytes, and the rest when the gate opens."""

    def mood(handler: Handler, body: bytes, start: int) -> None:
        handler.send_part(body, start)
        handler.wfile.write(body[start : start + count])
        assert gate.wait(LIMIT), "nobody opened the gate"
        handler.wfile.write(body[start + count :])

    return mood
