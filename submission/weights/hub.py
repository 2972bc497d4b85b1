"""The Hub over HTTP: the only file of this room that uses the network.

Honours HF_ENDPOINT (a mirror), HF_TOKEN or a stored login (never printed, sent to the endpoint
alone, and over plain http to this machine alone), the proxy variables and SSL_CERT_FILE. What a
server says is bounded and checked before anybody reads or prints it. Every refusal becomes a
sentence here; what may pass (a dropped connection, 429, 5xx) becomes TryAgain.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from submission import __version__
from submission.errors import InputError
from submission.weights.connection import (
    CONNECT_SECONDS,
    READ_SECONDS,
    is_not_trusted,
    plain_words,
    retry_after,
)
from submission.weights.hub_answers import (
    Body,
    RemoteFile,
    RepoState,
    plain,
    remote_file,
    repo_state,
)
from submission.weights.retry import Patience, TryAgain, persist

ENDPOINT = "https://huggingface.co"
READ_AT_ONCE = 1 << 20  # bytes; a connection keeps about this much in memory
LONGEST_WAIT = 300.0  # seconds that a server may ask us to wait
LARGEST_ANSWER = 1 << 26  # bytes of JSON; a list of a thousand files has 300 kB
MOST_PAGES = 1000
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class Hub:
    """A connection to the Hub, or to the mirror that HF_ENDPOINT names."""

    def __init__(self, patience: Patience | None = None) -> None:
        if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
            raise InputError("HF_HUB_OFFLINE is set, so nothing is asked of the Hub: unset it")
        self.endpoint = (os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
        self.patience = patience or Patience()
        parts = _parts_of(self.endpoint)
        self._origin = _origin(parts)
        self._host = str(parts.hostname)  # without user or password
        self._session = requests.Session()
        self._session.headers["User-Agent"] = f"mevis-submission/{__version__}"
        self._session.headers["Accept-Encoding"] = "identity"  # hashes are of the plain bytes
        is_safe = parts.scheme == "https" or parts.hostname in THIS_MACHINE
        self._session.auth = _Bearer(_token() if is_safe else None)
        if bundle := os.environ.get("SSL_CERT_FILE"):
            self._session.verify = bundle
        self._reached = False

    def describe(self, repo: str, revision: str) -> RepoState:
        """Return what a revision (40-hex or a branch) of a repository is."""
        values = self._json(f"api/models/{repo}/revision/{quote(revision, safe='')}", repo)[0]
        return repo_state(values, f"{self._host}: its answer about {repo}")

    def list_files(self, repo: str, revision: str) -> list[RemoteFile]:
        """Return all files of a revision, with what the Hub knows of each."""
        page: str | None = f"api/models/{repo}/tree/{revision}?recursive=true&expand=false"
        found: list[RemoteFile] = []
        pages: set[str] = set()
        while page:
            if page in pages or len(pages) == MOST_PAGES:
                raise InputError(f"{self._host}: its list of files of {repo} does not end")
            pages.add(page)
            values, page = self._json(page, repo)
            try:
                found += [remote_file(item) for item in values if item["type"] == "file"]
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                reason = plain(str(error))
                raise InputError(f"{self._host}: odd list of files of {repo}: {reason}") from None
        return found

    @contextmanager
    def open(self, repo: str, revision: str, path: str, start: int = 0) -> Iterator[Body]:
        """Open a file at byte `start`; raises TryAgain for what may pass."""
        url = f"{self.endpoint}/{repo}/resolve/{revision}/{quote(path)}"
        what = f"{repo}/{path}"
        headers = {"Range": f"bytes={start}-"} if start else {}
        with self._sentences(what), self._get(url, what, headers) as response:
            self._same_revision(response, repo, revision)
            first, total = _extent(response, start, what)
            yield Body(first, total, _blocks(response))

    def _json(self, path: str, what: str) -> tuple[Any, str | None]:
        """The answer to a question, and the address of its next page."""

        def ask() -> tuple[Any, str | None]:
            url = path if path.startswith(("http:", "https:")) else f"{self.endpoint}/{path}"
            with self._sentences(what), self._get(url, what, {}) as response:
                return self._read_json(response, what), self._next_page(response, what)

        return persist(ask, self.patience)

    def _read_json(self, response: requests.Response, what: str) -> Any:
        content = response.raw.read(LARGEST_ANSWER + 1, decode_content=False)
        if len(content) > LARGEST_ANSWER or response.headers.get("Content-Encoding"):
            raise InputError(
                f"{self._host}: its answer about {what} is packed or larger than "
                f"{LARGEST_ANSWER} bytes, so it is not read"
            )
        try:
            return json.loads(content)
        except (ValueError, RecursionError):  # no JSON, a number too long, nested too deeply
            raise InputError(f"{self._host}: its answer about {what} is not JSON") from None

    def _next_page(self, response: requests.Response, what: str) -> str | None:
        following = response.links.get("next", {}).get("url")
        if following is None:
            return None
        url = urljoin(response.url, str(following))
        if _origin(_split(url)) != self._origin:
            raise InputError(
                f"{self._host}: its list of {what} goes on at another host, which is not asked"
            )
        return url

    def _get(self, url: str, what: str, headers: dict[str, str]) -> requests.Response:
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        response = self._session.get(url, headers=headers, stream=True, timeout=timeout)
        self._reached = True
        if response.status_code not in (200, 206):
            response.close()
            raise self._refusal(response, what)
        return response

    def _refusal(self, response: requests.Response, what: str) -> Exception:
        status, code = response.status_code, response.headers.get("X-Error-Code", "")
        wait = retry_after(response.headers.get("Retry-After", ""))
        if status in (408, 429) or status >= 500:
            if wait is not None and wait > LONGEST_WAIT:
                return InputError(
                    f"{self._host} answers {status} for {what} and asks to wait {wait:.0f} s: run "
                    "the same command again then"
                )
            return TryAgain(f"{self._host} answers {status} for {what}", wait)
        if status in (401, 403):
            return InputError(
                f"{self._host} refuses {what} ({status}): it is gated, private or not there. Ask "
                "for access on its page with your account, set HF_TOKEN to a token of that "
                "account, and run the same command again"
            )
        if status == 404 and code == "RevisionNotFound":
            return InputError(
                f"{what}: this revision is gone from {self._host}. `mevis-submission weights lock "
                "--update NAME` shows and pins the present one"
            )
        if status == 404:
            return InputError(
                f"{what}: not found on {self._host} (404 {code}): the repository, revision or "
                "file is gone, or HF_ENDPOINT names a mirror without it. `mevis-submission weights "
                "lock --update NAME` shows and pins what is there now"
            )
        reason = plain(str(response.reason or ""))
        return InputError(f"{self._host} answers {status} {reason} for {what}")

    def _same_revision(self, response: requests.Response, repo: str, revision: str) -> None:
        for step in (*response.history, response):
            stated = step.headers.get("X-Repo-Commit", revision)
            if stated != revision:
                raise InputError(
                    f"{repo}: asked for revision {revision}, and {self._host} sends {stated}; "
                    "nothing of it was kept. Another HF_ENDPOINT may help"
                )

    @contextmanager
    def _sentences(self, what: str) -> Iterator[None]:
        """Turn what the HTTP libraries raise into TryAgain or a sentence."""
        try:
            yield
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout,
                requests.exceptions.ChunkedEncodingError,
                urllib3.exceptions.HTTPError) as error:  # fmt: skip
            raise self._broken(error, what) from None
        except requests.exceptions.RequestException as error:
            raise InputError(f"{what}: {type(error).__name__} from {self._host}") from None

    def _broken(self, error: Exception, what: str) -> Exception:
        """What a connection that failed or broke means."""
        words = plain_words(error)
        if is_not_trusted(error):
            return InputError(
                f"{self._host}: its certificate is not trusted ({words}). Behind a company proxy, "
                "set SSL_CERT_FILE to the company's CA bundle"
            )
        if not isinstance(error, requests.exceptions.ConnectionError):
            return TryAgain(f"{what}: the connection broke ({words})")
        if not self._reached:
            return InputError(
                f"{self._host} cannot be reached ({words}): is there a network? HTTPS_PROXY names "
                "a proxy, HF_ENDPOINT a mirror. Without a network, fetch on another machine and "
                "copy the folder"
            )
        return TryAgain(f"{what}: the connection failed ({words})")


class _Bearer(AuthBase):
    """Adds the token to requests to the endpoint; on a redirect elsewhere requests drops it."""

    def __init__(self, token: str | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _token() -> str | None:
    from huggingface_hub import get_token  # knows HF_TOKEN and the login of `hf auth login`

    token = get_token()
    for position, character in enumerate(token or "", 1):
        if not "!" <= character <= "~":
            raise InputError(
                f"HF_TOKEN (or the stored login) has a character that no token has, at position "
                f"{position}: copy it again from your account's page, or unset it"
            )
    return token


def _parts_of(endpoint: str) -> SplitResult:
    """Take the address of the Hub apart; raise InputError naming the variable when it is none."""
    parts = _split(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError("HF_ENDPOINT must be an address that begins with https://")
    return parts


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # asking for it says whether it is a number
    except ValueError:
        return urlsplit("")
    return parts


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what a token is for."""
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _extent(response: requests.Response, start: int, what: str) -> tuple[int, int | None]:
    """First byte and total size of what a server sends."""
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return 0, _number(length)
    span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
    if span.partition("-")[0] != str(start):
        raise InputError(f"{what}: asked for bytes from {start} on, and got bytes {span or '?'}")
    return start, _number(total)


def _number(text: str) -> int | None:
    """A header's whole number; None for anything else, and for one beyond all sizes."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """The content of an answer as it comes in."""
    # read1 hands on what is there, so that a kill loses no more than what is on the way.
    while block := response.raw.read1(READ_AT_ONCE, decode_content=False):
        yield block
