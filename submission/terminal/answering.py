"""With --json the answer of a verb is one JSON object on standard output, an error included.

Verbs print for people and tell the reporter their values (`Reporter.answer`); here both become one
object: the values, and the words under "text".
"""

import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from submission.errors import FaultyInput, SubmissionError
from submission.terminal.progress import Reporter


@contextmanager
def answering(verb: str, reporter: Reporter) -> Iterator[None]:
    """Let what is printed in the block become a JSON object where that is asked for.

    An error that a user can mend is in it as "error", and goes on. After any other there is none.
    """
    reporter.answers.clear()
    if reporter.mode != "json":
        yield
        return
    said = io.TextIOWrapper(io.BytesIO(), "utf-8", "backslashreplace", write_through=True)
    failed: dict[str, Any] = {}
    try:
        with redirect_stdout(said):
            yield
    except SubmissionError as error:
        failed = {"error": str(error)}
        if isinstance(error, FaultyInput):
            failed["faults"] = [vars(fault) for fault in error.faults]
        raise
    finally:
        if failed or sys.exc_info()[0] is None:
            said.seek(0)
            text = said.read().splitlines()
            words = {"verb": verb, **reporter.answers, "text": text, **failed}
            print(json.dumps(words, default=str), flush=True)
