"""Whose account it is: a token from the environment or keyring, or a password asked once.

Rule of the keyring: it is looked into where the package `keyring` is installed and no token is in
the environment; a keyring that cannot be opened counts as one without a token. Nothing is ever
written to it, and a password is never kept.
"""

import os
from collections.abc import Callable

from submission.errors import InputError
from submission.upload.codabench import Codabench
from submission.upload.transport import Refusal, Token

VARIABLE = "MEVIS_CODABENCH_TOKEN"
SERVICE = "mevis-submission"  # of the keyring; the name in it is the server's host


def find_token(host: str) -> Token | None:
    """Return a token that is at hand for this server, None where there is none."""
    if value := os.environ.get(VARIABLE, "").strip():
        return Token(value)
    value = _from_keyring(host)
    return Token(value) if value else None


def sign_in(
    server: Codabench, ask: Callable[[str], str] | None, ask_secret: Callable[[str], str]
) -> str:
    """Make sure that the server knows us; return the name of the account.

    `ask` is None where nobody can be asked. Raises InputError with what to do.
    """
    host = server.http.host
    token = find_token(host)
    if token is not None:
        server.http.log_in(token)
    elif ask is None:
        raise InputError(
            f"no login for {host}: set {VARIABLE} to your token (docs/upload.md says where it "
            "comes from), keep it in a keyring, or run this on a terminal to be asked"
        )
    else:
        _ask_password(server, ask, ask_secret)
    try:
        return server.username()
    except Refusal as error:
        if error.status not in (401, 403):
            raise
        raise InputError(
            f"{host} does not accept the login: {error.reason} A token ends when the password "
            "is changed; a new account works after its e-mail was confirmed"
        ) from None


def _ask_password(
    server: Codabench, ask: Callable[[str], str], ask_secret: Callable[[str], str]
) -> None:
    host = server.http.host
    username = ask(f"user name or e-mail at {host} (as you registered it): ")
    try:
        server.log_in(username, ask_secret("password (not shown, not kept): "))
    except Refusal as error:
        raise InputError(
            f"{host}: {error.reason} The e-mail's capitals count; for a login through another "
            "service set a password on the server first"
        ) from None


def _from_keyring(host: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return ""
    try:
        return keyring.get_password(SERVICE, host) or ""
    except KeyringError:
        return ""
