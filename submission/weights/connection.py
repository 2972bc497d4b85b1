"""What a failed connection means in plain words, and how long a busy server asks to wait."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

CONNECT_SECONDS, READ_SECONDS = 10, 60
NOT_TRUSTED = ("SSLCertVerificationError", "CertificateError")
PLAIN_WORDS = {
    "NameResolutionError": "its name cannot be resolved",
    "NewConnectionError": "it takes no connections",
    "ConnectTimeoutError": f"no answer within {CONNECT_SECONDS} s",
    "ReadTimeoutError": f"silent for {READ_SECONDS} s",
    "IncompleteRead": "it ended early",
    "RemoteDisconnected": "it was closed",
}


def plain_words(error: BaseException) -> str:
    """The plainest words about a failure, without addresses that may hold a secret."""
    error = innermost(error)
    known = PLAIN_WORDS.get(type(error).__name__)
    return known or getattr(error, "strerror", None) or type(error).__name__


def is_not_trusted(error: BaseException) -> bool:
    """Whether a certificate was refused; any other failure of TLS is a connection that broke."""
    return type(innermost(error)).__name__ in NOT_TRUSTED


def innermost(error: BaseException) -> BaseException:
    """The failure that the HTTP libraries have wrapped in their own."""
    while True:
        inner = next((arg for arg in error.args if isinstance(arg, BaseException)), None)
        inner = inner or getattr(error, "reason", None)
        if not isinstance(inner, BaseException) or inner is error:
            return error
        error = inner


def retry_after(value: str) -> float | None:
    """Seconds that the header Retry-After asks to wait: a number, or a date; None for neither."""
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value.strip())
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
