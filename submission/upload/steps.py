"""Hand a zip in: a place for it, the upload, its completion, the comparison, the submit.

Each step is made only where the journal does not have it as done, so that a call after a crash goes
on where the last one was; a submit whose answer was lost is looked for before it is sent again.
"""

import re
from collections.abc import Callable
from typing import Any

from submission.errors import InputError
from submission.upload.answers import Submission
from submission.upload.codabench import Codabench
from submission.upload.journal import Attempt, ZipFile
from submission.upload.transport import AnswerLost, Refusal

LOOKS = (0, 2, 4, 8, 16)  # seconds before each look for a submit whose answer was lost
NAME_CHARACTERS = 35  # the server keeps so many of a file name's stem
HASH_CHARACTERS = 12
_DATA_STEPS = ("data", "put", "complete", "compare")


def stored_name(file: ZipFile) -> str:
    """Return the name under which a zip is sent; its content's hash makes it findable."""
    stem = re.sub(r"[^A-Za-z0-9.-]+", "-", file.path.stem)
    return f"{mark(file)}-{stem}"[:NAME_CHARACTERS].rstrip("-") + ".zip"


def mark(file: ZipFile) -> str:
    """Return what the names of all submissions of this content have in common."""
    return file.sha256[:HASH_CHARACTERS]


def hand_in(
    server: Codabench, attempt: Attempt, file: ZipFile, answers: dict[str, Any] | None,
    on_bytes: Callable[[int], None], pause: Callable[[float], Any],
) -> int:  # fmt: skip
    """Make every step that is not done yet; return the number of the submission.

    Raises InputError when the server refuses, or stores something else than was sent.
    """
    if attempt.is_begun("submit") and attempt.submission is None:
        recover(server, attempt, pause)
    if attempt.submission is None:
        upload(server, attempt, file, on_bytes)
        _submit(server, attempt, answers, pause)
    number = attempt.submission
    assert number is not None
    return number


def recover(server: Codabench, attempt: Attempt, pause: Callable[[float], Any]) -> None:
    """Find out what became of a submit that an earlier call began: it is there, or was never."""
    if found := _look(server, attempt, pause):
        attempt.finish("submit", id=found.id, created=found.created)
    else:
        attempt.forget("submit")


def upload(
    server: Codabench, attempt: Attempt, file: ZipFile, on_bytes: Callable[[int], None]
) -> None:
    """Bring the zip to the storage, whole, and have the server say its size."""
    for _ in range(2):  # a place that has expired, or has another size for good, is given up once
        _make_data(server, attempt, file)
        if _put(server, attempt, file, on_bytes) and _compare(server, attempt, file):
            return
        attempt.forget(*_DATA_STEPS)
    raise InputError(
        f"{file.path}: sent twice, and both times the server stored another size; nothing was "
        "submitted. Upload it in the browser, or try again later"
    )


def _make_data(server: Codabench, attempt: Attempt, file: ZipFile) -> None:
    if attempt.is_done("data"):
        return
    attempt.begin("data")
    data = server.make_data(stored_name(file), file.bytes, attempt.values["competition"])
    attempt.finish("data", key=data.key, folder=data.folder, address=data.address)


def _put(
    server: Codabench, attempt: Attempt, file: ZipFile, on_bytes: Callable[[int], None]
) -> bool:
    """Send the zip and complete it; return False where the place has expired."""
    if not attempt.is_done("put"):
        attempt.begin("put")
        address = attempt.fact("data", "address")
        for _ in range(2):
            try:
                etag = server.http.put_file(address, file.path, "the upload of the zip", on_bytes)
            except Refusal as error:
                if error.status == 403 and "expired" in error.reason.lower():
                    return False
                raise
            # Storages that encrypt name another checksum, or none: then the size alone decides.
            if etag == file.md5 or not re.fullmatch(r"[0-9a-f]{32}", etag):
                break
        attempt.finish("put", etag=etag, etag_is_md5=etag == file.md5)
    if not attempt.is_done("complete"):
        attempt.begin("complete")
        server.complete(attempt.fact("data", "key"))
        attempt.finish("complete")
        attempt.drop("data", "address")
    return True


def _compare(server: Codabench, attempt: Attempt, file: ZipFile) -> bool:
    """Compare the stored size; delete what is of no use and return False where it differs."""
    if attempt.is_done("compare"):
        return True
    attempt.begin("compare")
    stored = server.stored(attempt.fact("data", "key"))
    if stored is not None and stored.bytes == file.bytes:
        attempt.finish("compare", bytes=stored.bytes)
        return True
    if stored is not None:
        server.delete_data(stored.id)
    return False


def _submit(
    server: Codabench, attempt: Attempt, answers: dict[str, Any] | None,
    pause: Callable[[float], Any],
) -> None:  # fmt: skip
    phase, key = attempt.values["phase"], attempt.fact("data", "key")
    _refuse_if_not_allowed(server, phase)
    attempt.begin("submit")
    found: Submission | None
    try:
        found = server.submit(phase, key, answers)
    except AnswerLost:
        found = _look(server, attempt, pause)
    except Refusal as error:
        found = _after_refusal(server, attempt, error)
    if found is None:
        raise InputError(
            f"{server.http.host} did not answer the submit, and has no submission of this zip: "
            "run the same command again, it looks once more before it submits"
        )
    attempt.finish("submit", id=found.id, created=found.created)


def _look(server: Codabench, attempt: Attempt, pause: Callable[[float], Any]) -> Submission | None:
    """Look for a submission of this upload, again while it may still be on its way."""
    for seconds in LOOKS:
        if seconds:
            pause(seconds)
        if found := server.find(attempt.values["phase"], attempt.fact("data", "folder")):
            return found[0]
    return None


def _after_refusal(server: Codabench, attempt: Attempt, error: Refusal) -> Submission | None:
    """Explain a no; a limit is a 400 of one generation of servers and a 500 of the other."""
    if error.status >= 500:
        if found := server.find(attempt.values["phase"], attempt.fact("data", "folder")):
            return found[0]
        attempt.forget("submit")
        _refuse_if_not_allowed(server, attempt.values["phase"])
        raise InputError(
            f"{server.http.host} failed at the submit ({error.status}) and has no submission of "
            "this zip, though none of its limits is reached: run the same command again later. "
            "What is uploaded is kept"
        )
    attempt.forget("submit")
    if error.status == 400 and error.reason.startswith("data:"):
        attempt.forget(*_DATA_STEPS)
        raise InputError(
            f"{server.http.host} no longer has the uploaded zip ({error.reason}): run the same "
            "command again, it uploads anew"
        )
    raise error


def _refuse_if_not_allowed(server: Codabench, phase: int) -> None:
    if reason := server.refusal_to_submit(phase):
        raise InputError(
            f"{server.http.host} takes no submission now: {reason}. Days are counted in UTC; "
            "failed submissions are free, cancelled ones count. What is uploaded is kept: the "
            "same command submits it when it may"
        )
