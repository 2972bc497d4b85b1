"""HTTP to a Codabench server and to its storage: the only file of this room with the network.

Promises: the token goes to the server alone, never to the storage, into a message or an exception;
no cookie is kept, no redirect followed, nothing sent in the clear except to this machine itself;
what may be sent twice is, with growing pauses, and what may not is sent once.
"""

import ipaddress
import os
from collections.abc import Callable
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.auth import AuthBase

from submission import __version__
from submission.errors import InputError
from submission.upload.answers import plain, said
from submission.weights.connection import (
    CONNECT_SECONDS,
    READ_SECONDS,
    innermost,
    is_not_trusted,
    plain_words,
    retry_after,
)
from submission.weights.retry import Patience, TryAgain, persist

LONGEST_WAIT = 300.0  # seconds that a server may ask us to wait
STORAGE_SECONDS = 300  # the storage answers a PUT when it has everything
LOG_BYTES = 1 << 20
LOST_STATUSES = (408, 502, 503, 504)  # of a gateway: nobody knows whether the server has it
NOT_SENT = ("NameResolutionError", "NewConnectionError", "ConnectTimeoutError")


class Refusal(InputError):
    """The server has read the request and says no."""

    def __init__(self, status: int, reason: str, what: str) -> None:
        super().__init__(f"{what}: {reason} ({status})")
        self.status, self.reason = status, reason


class Unreachable(InputError):
    """No answer after all the attempts that may be made."""


class AnswerLost(Exception):
    """A request that may be sent only once was sent, and nobody knows whether it arrived."""


class Token:
    """An API token that shows itself nowhere."""

    def __init__(self, value: str) -> None:
        self._header = f"Token {value}"

    def sign(self, request: requests.PreparedRequest) -> None:
        """Put the token into a request to the server."""
        request.headers["Authorization"] = self._header

    def __repr__(self) -> str:
        return "Token(...)"


class Transport:
    """Requests to one server, in its own words; and to the storage that it names."""

    def __init__(
        self, server: str, policy: Patience, pause: Callable[[float], Any],
        token: Token | None = None,
    ) -> None:  # fmt: skip
        self.server = server.rstrip("/")
        refuse_in_the_clear(self.server)
        self.host = urlsplit(self.server).hostname or self.server
        self._policy, self._pause = policy, pause
        self._session = _session(_TokenAuth(token))
        self._storage = _session(_NoAuth())

    def log_in(self, token: Token) -> None:
        """Use this token from now on."""
        self._session.auth = _TokenAuth(token)

    def ask(
        self, method: str, path: str, what: str, *, once: bool = False,
        params: dict[str, Any] | None = None, json: Any = None,
    ) -> Any:  # fmt: skip
        """Return the JSON of an answer, None for an empty one; `path` ends with a slash.

        Raises Refusal for a no, Unreachable when the attempts are used up, and with `once`
        AnswerLost where the request may have been acted on without an answer.
        """

        def attempt() -> Any:
            try:
                response = self._send(
                    self._session, method, f"{self.server}/api/{path}", params=params, json=json,
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                )  # fmt: skip
            except TryAgain as error:
                if once and not isinstance(error, _NotSent):
                    raise AnswerLost(str(error)) from None
                raise
            if once and response.status_code in LOST_STATUSES:
                raise AnswerLost(f"{self.host} answers {response.status_code} for {what}")
            self._refuse(response, what, may_pass=not once)
            try:
                return self._json(response, what) if response.content else None
            except Refusal as error:  # it was acted on: only what was said of it is lost
                if once:
                    raise AnswerLost(str(error)) from None
                raise

        return self._persist(attempt)

    def put_file(self, address: str, path: Path, what: str, on_bytes: Callable[[int], None]) -> str:
        """Send a file to the storage; return its ETag without quotes, empty where it has none.

        Sent again as a whole when it breaks off. `on_bytes` gets how far it is, so a smaller
        number than before when it begins anew. Raises Refusal; its status is 403 where the
        address has expired.
        """
        refuse_in_the_clear(address)

        def attempt() -> str:
            with path.open("rb") as file:
                response = self._send(
                    self._storage, "PUT", address, data=_Counted(file, path, on_bytes),
                    headers={"Content-Type": "application/zip", "x-ms-blob-type": "BlockBlob"},
                    timeout=(CONNECT_SECONDS, STORAGE_SECONDS),
                )  # fmt: skip
            if response.status_code == 400 and "IncompleteBody" in response.text:
                raise TryAgain("the storage did not get the whole file")
            self._refuse(response, what, may_pass=True)
            return str(response.headers.get("ETag", "")).strip('"')

        return str(self._persist(attempt))

    def read_text(self, address: str, what: str) -> str:
        """Return a text from the storage, its end where it is long."""
        refuse_in_the_clear(address)

        def attempt() -> str:
            response = self._send(
                self._storage, "GET", address, timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
            self._refuse(response, what, may_pass=True)
            return response.content[-LOG_BYTES:].decode(errors="replace")

        return str(self._persist(attempt))

    def _persist(self, attempt: Callable[[], Any]) -> Any:
        try:
            return persist(attempt, self._policy, pause=self._pause)
        except Refusal:
            raise
        except InputError as error:
            raise Unreachable(str(error)) from None

    def _send(
        self, session: requests.Session, method: str, address: str, **how: Any
    ) -> requests.Response:
        host = urlsplit(address).hostname or "the server"
        try:
            return session.request(method, address, allow_redirects=False, **how)
        except (
            requests.exceptions.ConnectionError,
            requests.exceptions.Timeout,
            requests.exceptions.ChunkedEncodingError,
            urllib3.exceptions.HTTPError,
        ) as error:
            if is_not_trusted(error):
                raise Refusal(
                    0, f"its certificate is not trusted ({plain_words(error)}). Behind a company "
                    "proxy, set SSL_CERT_FILE to the company's CA bundle", host,
                ) from None  # fmt: skip
            unsent = type(innermost(error)).__name__ in NOT_SENT
            reason = f"{host}: the connection failed ({plain_words(error)})"
            raise (_NotSent(reason) if unsent else TryAgain(reason)) from None
        except requests.exceptions.RequestException as error:
            raise Refusal(0, type(error).__name__, host) from None

    def _refuse(self, response: requests.Response, what: str, *, may_pass: bool) -> None:
        """Raise what an answer other than 2xx means."""
        status = response.status_code
        host = urlsplit(response.url).hostname or self.host
        if 200 <= status < 300:
            return
        if 300 <= status < 400:
            target = urlsplit(response.headers.get("Location", "")).hostname or "another address"
            raise Refusal(status, f"{host} sends on to {plain(target)}, which is not followed: "
                          "name the final address with --server", what)  # fmt: skip
        wait = retry_after(response.headers.get("Retry-After", ""))
        if status == 429 or (may_pass and (status == 408 or status >= 500)):
            if wait is not None and wait > LONGEST_WAIT:
                reason = f"{host} asks to wait {wait:.0f} s: run the same command again then"
                raise Refusal(status, reason, what)
            raise TryAgain(f"{host} answers {status} for {what}", wait)
        raise Refusal(status, said(_body(response)), what)

    def _json(self, response: requests.Response, what: str) -> Any:
        try:
            return response.json()
        except requests.exceptions.JSONDecodeError:
            raise Refusal(
                response.status_code, f"the answer of {self.host} is not JSON", what
            ) from None


class _NotSent(TryAgain):
    """No connection came about: nothing can have arrived."""


class _TokenAuth(AuthBase):
    # A session with an `auth` of its own does not look into ~/.netrc.
    def __init__(self, token: Token | None) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token is not None:
            self._token.sign(request)
        return request


class _NoAuth(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Counted:
    """A file whose length is known beforehand (storages take no chunks), counted as it is read."""

    def __init__(self, file: Any, path: Path, on_bytes: Callable[[int], None]) -> None:
        self._file, self._on_bytes = file, on_bytes
        self._length = path.stat().st_size

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1) -> bytes:
        block: bytes = self._file.read(size)
        self._on_bytes(self._file.tell())
        return block


def refuse_in_the_clear(address: str) -> None:
    """Raise InputError for an address that is not https, except on this machine itself."""
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return
    raise InputError(
        f"{parts.hostname or plain(address)}: only https:// is spoken there, so that nobody on "
        "the way reads the login or changes the zip"
    )


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _session(auth: AuthBase) -> requests.Session:
    session = requests.Session()
    session.auth = auth
    session.headers["User-Agent"] = f"mevis-submission/{__version__}"
    session.headers["Accept-Encoding"] = "identity"
    # A session cookie beside a token makes the server ask for a CSRF token: keep none.
    policy = DefaultCookiePolicy(allowed_domains=[])
    session.cookies.set_policy(policy)
    if bundle := os.environ.get("SSL_CERT_FILE"):
        session.verify = bundle
    return session


def _body(response: requests.Response) -> Any:
    try:
        return response.json()
    except requests.exceptions.JSONDecodeError:
        text = response.text
        if "<Code>" not in text:
            return text
        parts = [text.partition(f"<{tag}>")[2].partition("<")[0] for tag in ("Code", "Message")]
        return ": ".join(parts)
