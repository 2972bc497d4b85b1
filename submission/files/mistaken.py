"""Recognise what lies where another file should be by its first bytes, and say the cure."""

_BEGINNINGS = {
    b"version https://git-lfs": "a git-lfs pointer instead of the file; run: git lfs pull",
    b"<!doctype": "a web page instead of the file; download it again",
    b"<html": "a web page instead of the file; download it again",
    b"<?xml": "an XML answer of a server instead of the file; download it again",
    b"PK\x03\x04": "a zip archive; unpack it, or give the file that it stands for",
    b"\x1f\x8b": "a gzip archive; unpack it (gunzip, or tar -xzf)",
    b"\xfd7zXZ\x00": "an xz archive; unpack it (unxz, or tar -xJf)",
    b"\x80\x02": "a pickle (.bin, .pt); it can run code, so only safetensors are read",
}
LOOKED_AT = 64  # bytes that decide


def mistaken_for(content: bytes) -> str | None:
    """Say what the first bytes of a file show that it is, and what to do; None for nothing known.

    For files of which none rightly begins so: ask only where the expected form was not found.
    """
    if not content:
        return "the file is empty"
    beginning = content[:LOOKED_AT].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    for known, words in _BEGINNINGS.items():
        if beginning.startswith(known.lower()):
            return words
    if not any(content[:LOOKED_AT]):
        return "nothing but zeros (a download that was cut off); fetch it again"
    return None
