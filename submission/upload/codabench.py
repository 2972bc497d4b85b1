"""The questions that a Codabench server answers, one method each."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from submission.errors import InputError
from submission.upload.answers import (
    Competition,
    Entry,
    Submission,
    hex_folder,
    plain,
    read_competition,
    read_entries,
    read_logs,
    read_page,
    read_submission,
    reading,
)
from submission.upload.transport import Refusal, Token, Transport

GIGABYTE = 10**9  # bytes; the server's own unit of a quota


@dataclass(frozen=True)
class NewData:
    """A place for a zip on the storage: its key, where to send it, and how to find it again."""

    key: str
    address: str  # signed: whoever has it may write there for five days
    folder: str  # twelve hex digits


@dataclass(frozen=True)
class StoredData:
    """What the server knows of an uploaded zip; the size is 0 until it was called complete."""

    id: int
    bytes: int


class Codabench:
    """One server, and the account whose token the transport has."""

    def __init__(self, transport: Transport) -> None:
        self.http = transport

    def log_in(self, username: str, password: str) -> Token:
        """Return the token of an account, and use it from now on. Raises Refusal."""
        body = {"username": username, "password": password}
        answer = self.http.ask("POST", "api-token-auth/", "log in", json=body)
        with reading("a login", answer):
            token = Token(str(answer["token"]))
        self.http.log_in(token)
        return token

    def username(self) -> str:
        """Return whose token it is. Raises Refusal (403) where the token is good for nothing."""
        answer = self.http.ask("GET", "my_profile/", "your account")
        with reading("your account", answer):
            return plain(answer["username"])

    def competition(self, number: int) -> Competition:
        """Return a competition with its phases. Raises Refusal (404) where it is not shown."""
        what = f"competition {number}"
        try:
            answer = self.http.ask("GET", f"competitions/{number}/", what)
        except Refusal as error:
            if error.status != 404:
                raise
            reason = f"{error.reason} Its address has the number, and docs/upload.md known ones"
            raise Refusal(404, reason, what) from error
        return read_competition(answer)

    def refusal_to_submit(self, phase: int) -> str:
        """Return why the account may not submit now: registration and counts; empty if it may."""
        answer = self.http.ask("GET", f"can_make_submission/{phase}/", "whether you may submit")
        with reading("whether you may submit", answer):
            return "" if answer["can"] else plain(answer.get("reason") or "the server says no")

    def free_bytes(self) -> float:
        """Return what is left of the account's storage."""
        answer = self.http.ask("GET", "user_quota/", "your storage")
        with reading("your storage", answer):
            return float(answer["quota"]) * GIGABYTE - float(answer["storage_used"])

    def make_data(self, name: str, size: int, competition: int) -> NewData:
        """Ask for a place for a zip of `size` bytes."""
        body = {
            "type": "submission", "request_sassy_file_name": name, "file_size": size,
            "competition": competition,
        }  # fmt: skip
        answer = self.http.ask("POST", "datasets/", "a place for the zip", json=body)
        with reading("a place for the zip", answer):
            address = str(answer["sassy_url"])
            return NewData(str(answer["key"]), address, hex_folder(address))

    def complete(self, key: str) -> None:
        """Say that the zip is there: the first call fixes its size for good."""
        self.http.ask("PUT", f"datasets/completed/{key}/", "finish the upload")

    def stored(self, key: str) -> StoredData | None:
        """Return what is stored under a key, None where the server has nothing of it."""
        rows = list(self._rows("datasets/", {"key": key}, "the uploaded zip"))
        if not rows:
            return None
        with reading("the uploaded zip", rows[0]):
            return StoredData(int(rows[0]["id"]), round(float(rows[0]["file_size"] or 0)))

    def delete_data(self, number: int) -> None:
        """Delete a zip that no submission uses."""
        self.http.ask("DELETE", f"datasets/{number}/", "delete the unused zip")

    def submit(self, phase: int, key: str, answers: dict[str, Any] | None) -> Submission:
        """Submit a zip: sent once. Raises AnswerLost, and Refusal (400 or 500 at a limit)."""
        body: dict[str, Any] = {"phase": phase, "data": key, "tasks": []}
        if answers is not None:
            body["fact_sheet_answers"] = answers
        what = "submit the zip"
        return read_submission(self.http.ask("POST", "submissions/", what, once=True, json=body))

    def find(self, phase: int, text: str) -> list[Submission]:
        """Return the account's submissions to a phase whose file name or folder has `text`.

        Children of a submission to several tasks are left out; the oldest comes first.
        """
        rows = self._rows("submissions/", {"phase": phase, "search": text}, "your submissions")
        found = [read_submission(row) for row in rows]
        return sorted((one for one in found if one.parent is None), key=lambda one: one.id)

    def submission(self, number: int) -> Submission:
        """Return a submission as it stands. Raises Refusal (404) where it is gone."""
        what = f"submission {number}"
        return read_submission(self.http.ask("GET", f"submissions/{number}/", what))

    def logs(self, number: int) -> dict[str, str]:
        """Return the logs of a submission that have content, by name; none where hidden."""
        try:
            answer = self.http.ask("GET", f"submissions/{number}/get_details/", "the logs")
        except Refusal as error:
            if error.status in (403, 404):
                return {}  # this phase hides its output
            raise
        texts = {
            name: self.http.read_text(address, name) for name, address in read_logs(answer).items()
        }
        return {name: text for name, text in texts.items() if text.strip()}

    def cancel(self, number: int) -> bool:
        """Ask to cancel; return what the server says, which is no proof while Submitting."""
        answer = self.http.ask("GET", f"submissions/{number}/cancel_submission/", "cancel")
        with reading("a cancel", answer):
            return bool(answer["canceled"])

    def leaderboard(self, phase: int) -> list[Entry]:
        """Return the leaderboard, best first; do not ask where it is hidden."""
        what = "the leaderboard"
        return read_entries(self.http.ask("GET", f"phases/{phase}/get_leaderboard/", what))

    def _rows(self, path: str, params: dict[str, Any], what: str) -> Iterator[Any]:
        """All rows of a list, whether it comes whole or by pages."""
        seen: set[str] = set()
        while True:
            rows, following = read_page(self.http.ask("GET", path, what, params=params))
            yield from rows
            if not following:
                return
            if following in seen:
                raise InputError(f"{self.http.host}: the pages of {what} go in a circle")
            seen.add(following)
            # Only the query of the next page counts: the token goes nowhere else.
            params = dict(parse_qsl(urlsplit(following).query))
