"""A Codabench on this machine: API and storage, as the real server was seen to answer.

Time is counted in looks: a submission goes one state further each time somebody polls it, so no
test waits. `Script` says which states; `generation` which of two generations of code answers.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from loopback import LoopbackServer, served

TOKEN = "0123456789abcdef-secret-token"
PASSWORD = "correct horse"
HTML_500 = "<!doctype html>\n<html><head><title>Server Error (500)</title></head></html>"
LIMIT = "Reached maximum allowed submissions for today for this phase"
SCORES = {"J&F": 0.5089, "J": 0.4739, "F": 0.5439}
MISMATCH = (
    "<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we calculated does "
    "not match the signature you provided.</Message></Error>"
)

# The way of a run, one (status, number of scores) for each poll; the last one stays.
WAY = [("Submitting", 0), ("Submitted", 0), ("Running", 0), ("Preparing", 0), ("Scoring", 0),
       ("Running", 0), ("Finished", 0), ("Finished", 1), ("Finished", 3)]  # fmt: skip


@dataclass
class Asked:
    """One request, as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Data:
    """An upload: what was told, what is stored, and the size that the first `completed` fixed."""

    id: int
    key: str
    folder: str
    name: str
    content: bytes | None = None
    size: int = 0
    used: bool = False


@dataclass
class Run:
    """A submission."""

    id: int
    data: Data
    phase: int
    way: list[tuple[str, int]]
    answers: Any = None
    looks: int = 0
    details: str = ""
    status: str = ""  # when it is fixed, as by a cancel
    children: list[int] = field(default_factory=list)
    parent: int | None = None

    def state(self) -> tuple[str, int]:
        if self.status:
            return self.status, 0
        return self.way[min(self.looks, len(self.way) - 1)]


class StandIn(LoopbackServer):
    """The whole server; tests change its fields before they ask."""

    request_queue_size = 50

    def __init__(self) -> None:
        super().__init__(Handler)
        self.reset()

    def reset(self) -> None:
        self.generation = "old"  # or "new": lists by pages, 400 at limits and ended phases
        self.participant: str | None = "approved"
        self.status = "Current"
        self.rule = "Force_Best"
        self.hidden_board = False
        self.hide_output = False
        self.fact_sheet: dict[str, Any] | None = None
        self.auto_run = True
        self.tasks = [1]
        self.per_day, self.in_all = 2, 5
        self.quota, self.used = 15 * 10**9, 0
        self.way = list(WAY)
        self.details = ""
        self.logs = {"scoring_stderr": "", "prediction_stdout": "nothing to run\n"}
        self.board: list[dict[str, Any]] = []
        self.data: dict[str, Data] = {}
        self.runs: dict[int, Run] = {}
        self.asked: list[Asked] = []
        self.etag = True
        self.expired: set[str] = set()
        self.inactive = False
        # (method, pattern, what): "drop before", "drop after", "page after", or an answer instead
        self.moods: list[Any] = []

    def counted(self) -> int:
        return sum(run.state()[0] != "Failed" for run in self.runs.values() if not run.parent)

    def refusal(self) -> str | None:
        if self.participant != "approved":
            return "User not approved to participate in this competition"
        return LIMIT if self.counted() >= self.per_day else None

    def calls(self, method: str, pattern: str) -> list[Asked]:
        return [a for a in self.asked if a.method == method and re.search(pattern, a.path)]


@contextmanager
def running_server() -> Iterator[StandIn]:
    server = StandIn()
    with served(server):
        yield server


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: StandIn

    def do_GET(self) -> None:
        self.answer()

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *args: object) -> None:
        """A test prints nothing."""

    def answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(Asked(self.command, self.path, headers, body))
        mood = self.mood()
        if mood == "drop before":
            self.connection.close()
            self.close_connection = True
            return
        if isinstance(mood, tuple):
            self.send(*mood)
            return
        if parts.path.startswith("/storage/"):
            made = self.storage(parts.path, body)
        elif not parts.path.endswith("/"):
            made = (301, "", {"Location": f"{parts.path}/"})
        else:
            made = self.api(parts.path.removeprefix("/api/"), dict(parse_qsl(parts.query)), body)
        if mood == "drop after":
            self.connection.close()
            self.close_connection = True
            return
        self.send(*((200, "<html>we are back soon</html>") if mood == "page after" else made))

    def mood(self) -> Any:
        for number, (method, pattern, what) in enumerate(self.server.moods):
            if method == self.command and re.search(pattern, self.path):
                del self.server.moods[number]
                return what
        return None

    def send(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        is_text = isinstance(value, str)
        content = b"" if value is None else (value if is_text else json.dumps(value)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if is_text else "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    # --- storage ---------------------------------------------------------------------------------
    def storage(self, path: str, body: bytes) -> tuple[Any, ...]:
        if "Authorization" in self.headers:
            return 400, "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism"
        if self.command == "GET":
            return 200, self.server.logs[path.rpartition("/")[2].removesuffix(".txt")]
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return 411, "<Error><Code>MissingContentLength</Code><Message>length"
        if self.headers.get("Content-Type") != "application/zip":
            return 403, MISMATCH
        folder = path.split("/")[-2]
        if folder in self.server.expired:
            return 403, "<Error><Code>AccessDenied</Code><Message>Request has expired</Message>"
        data = next((d for d in self.server.data.values() if d.folder == folder), None)
        if data is not None:
            data.content = body
        headers = {"ETag": f'"{hashlib.md5(body).hexdigest()}"'} if self.server.etag else {}
        return 200, "", headers

    # --- API -------------------------------------------------------------------------------------
    def api(self, path: str, query: dict[str, str], body: bytes) -> tuple[Any, ...]:
        values = json.loads(body) if body else {}
        if path == "api-token-auth/":
            if values == {"username": "alice", "password": PASSWORD}:
                return 200, {"token": TOKEN}
            return 400, {"non_field_errors": ["Unable to log in with provided credentials."]}
        sent = self.headers.get("Authorization")
        if sent != f"Token {TOKEN}":
            missing = "Authentication credentials were not provided."
            if sent is None and path in ("submissions/",) and self.command == "POST":
                return 500, HTML_500
            return 403, {"detail": missing if sent is None else "Invalid token."}
        if self.server.inactive:
            return 403, {"detail": "User inactive or deleted."}
        if "Cookie" in self.headers and self.command != "GET":
            return 403, {"detail": "CSRF Failed: CSRF token missing."}
        head, _, rest = path.partition("/")
        name = f"{self.command} {head}"
        answer = getattr(self, f"on_{name.replace(' ', '_').lower()}", None)
        return answer(rest, query, values) if answer else (404, {"detail": "Not found."})

    def on_get_my_profile(self, rest: str, query: Any, values: Any) -> tuple[Any, ...]:
        return 200, {"username": "alice", "email": "alice@example.com"}, {"Set-Cookie": "s=1"}

    def on_get_user_quota(self, rest: str, query: Any, values: Any) -> tuple[Any, ...]:
        return 200, {"quota": self.server.quota / 10**9, "storage_used": float(self.server.used)}

    def on_get_competitions(self, rest: str, query: Any, values: Any) -> tuple[Any, ...]:
        if rest != "1/":
            return 404, {"detail": "No Competition matches the given query."}
        server = self.server
        phases = [
            self.phase(1, "Old", "Previous", []),
            self.phase(2, "Validation", server.status, server.tasks),
            self.phase(3, "Test", "Next", [1]),
        ]
        columns = [
            {"key": key, "title": key, "index": n, "sorting": "desc", "precision": 4,
             "hidden": False}
            for n, key in enumerate(SCORES)
        ]  # fmt: skip
        board = {"id": 1, "primary_index": 0, "columns": columns, "submission_rule": server.rule}
        return 200, {
            "id": 1, "title": "mevis", "phases": phases,
            "leaderboards": [] if server.hidden_board else [board],
            "participant_status": server.participant, "auto_run_submissions": server.auto_run,
            "fact_sheet": server.fact_sheet,
        }  # fmt: skip

    def phase(self, number: int, name: str, status: str, tasks: list[int]) -> dict[str, Any]:
        used = self.server.counted() if number == 2 else 0
        return {
            "id": number, "name": name, "status": status, "start": "2026-11-22T20:23:15.8Z",
            "end": "2026-12-25T20:23:15.8Z", "tasks": [{"id": task} for task in tasks],
            "has_max_submissions": True, "max_submissions_per_day": self.server.per_day,
            "max_submissions_per_person": self.server.in_all, "used_submissions_per_day": used,
            "used_submissions_per_person": used, "hide_output": self.server.hide_output,
        }  # fmt: skip

    def on_get_can_make_submission(self, rest: str, query: Any, values: Any) -> tuple[Any, ...]:
        reason = self.server.refusal()
        return 200, {"can": reason is None, "reason": reason}

    def on_post_datasets(self, rest: str, query: Any, values: Any) -> tuple[Any, ...]:
        if not values.get("file_size"):
            return 400, {"file_size": "This field is required."}
        if values["file_size"] > self.server.quota - self.server.used:
            return 400, {"data_file": ["Insufficient space."]}
        number = len(self.server.data) + 1
        stem, _, ending = values["request_sassy_file_name"].rpartition(".")
        data = Data(
            number, f"00000000-{number:012x}", f"{number:06x}abcdef", f"{stem[:35]}.{ending}"
        )
        self.server.data[data.key] = data
        address = f"{self.server.url}/storage/dataset/2026/{data.folder}/{data.name}?Signature=x"
        return 201, {"key": data.key, "sassy_url": address}

    def on_put_datasets(self, rest: str, query: Any, values: Any) -> tuple[Any, ...]:
        data = self.server.data.get(rest.split("/")[1])
        if data is None:
            return 404, {"detail": "Not found."}
        data.size = data.size or len(data.content or b"")  # the first call's size stays
        return 200, {"key": data.key}

    def on_get_datasets(self, rest: str, query: Any, values: Any) -> tuple[Any, ...]:
        found = [d for d in self.server.data.values() if d.key == query["key"]]
        rows = [{"id": d.id, "key": d.key, "file_size": float(d.size)} for d in found]
        return 200, {"count": len(rows), "next": None, "previous": None, "results": rows}

    def on_delete_datasets(self, rest: str, query: Any, values: Any) -> tuple[Any, ...]:
        self.server.data = {
            key: d for key, d in self.server.data.items() if d.id != int(rest.strip("/"))
        }
        return 204, None

    def on_post_submissions(self, rest: str, query: Any, values: Any) -> tuple[Any, ...]:
        server, new = self.server, self.server.generation == "new"
        data = server.data.get(values["data"])
        if server.participant != "approved":
            return 403, {"detail": "You do not have access to this competition"}
        if data is None:
            return 400, {"data": [f"Object with key={values['data']} does not exist."]}
        answers = values.get("fact_sheet_answers")
        if answers and not server.fact_sheet:
            return 500, HTML_500
        if new and server.status != "Current":
            return 400, {"non_field_errors": ["This phase is not active"]}
        if server.refusal():
            return (400, {"non_field_errors": [LIMIT]}) if new else (500, HTML_500)
        way = server.way
        if not data.size:
            way = [("Submitting", 0), ("Failed", 0)]
        run = Run(len(server.runs) + 1, data, values["phase"], way, answers, details=server.details)
        server.runs[run.id] = run
        if len(server.tasks) > 1:
            for _ in server.tasks:
                child = Run(len(server.runs) + 1, data, run.phase, way, parent=run.id)
                child.looks = len(way)  # a child is looked at when its parent has ended
                server.runs[child.id] = child
                run.children.append(child.id)
        return 201, {"id": run.id, "data": data.key, "phase": run.phase, "status": "Submitting",
                     "status_details": None, "filename": data.name,
                     "created_when": "2026-11-25 20:26", "scores": []}  # fmt: skip

    def row(self, run: Run) -> dict[str, Any]:
        status, number = run.state()
        scores = [
            {"id": 9, "index": n, "score": f"{value:.10f}", "column_key": key}
            for _ in run.children or [0]
            for n, (key, value) in enumerate(list(SCORES.items())[:number])
        ]
        return {
            "id": run.id, "pk": run.id, "filename": run.data.name, "status": status,
            "status_details": run.details or "scoring_hostname", "owner": "alice",
            "parent": run.parent, "children": run.children, "phase": run.phase, "scores": scores,
            "created_when": "2026-11-25T20:26:53.834128Z",
            "on_leaderboard": number == 3 and self.server.rule.startswith("Force"),
        }  # fmt: skip

    def on_get_submissions(self, rest: str, query: Any, values: Any) -> tuple[Any, ...]:
        if not rest:
            return self.list_submissions(query)
        number, _, action = rest.partition("/")
        run = self.server.runs.get(int(number))
        if run is None:
            return 404, {"detail": "No Submission matches the given query."}
        if action.startswith("cancel_submission"):
            status = run.state()[0]
            if status in ("Finished", "Failed", "Cancelled"):
                return 200, {"canceled": False}
            if status != "Submitting":  # while Submitting it is confirmed, and lost
                run.status = "Cancelled"
            return 200, {"canceled": True}
        if action.startswith("get_details"):
            if self.server.hide_output:
                return 403, {"detail": "Cannot access submission details while hidden."}
            address = f"{self.server.url}/storage/details/2026/aaaaaaaaaaaa"
            logs = [{"name": n, "data_file": f"{address}/{n}.txt?Sig=x"} for n in self.server.logs]
            return 200, {"logs": logs}
        answer = self.row(run)
        run.looks += 1
        return 200, answer

    def list_submissions(self, query: dict[str, str]) -> tuple[Any, ...]:
        text, phase = query.get("search", ""), int(query["phase"])
        rows = [
            self.row(run)
            for run in reversed(self.server.runs.values())
            if run.phase == int(query["phase"])
            and (text in run.data.folder or text in run.data.name)
        ]
        if self.server.generation == "old":
            return 200, rows
        page = int(query.get("page", 1))
        # The next page is named with another host: the token must not follow it there.
        following = f"https://elsewhere.example/?phase={phase}&search={text}&page={page + 1}"
        return 200, {"count": len(rows), "results": rows[page - 1 : page], "previous": None,
                     "next": following if page < len(rows) else None}  # fmt: skip

    def on_get_phases(self, rest: str, query: Any, values: Any) -> tuple[Any, ...]:
        return 200, {"title": "Results", "id": 2, "submissions": self.server.board}
