"""Names from a meta file become folders and files; here the ones that must not are refused."""

LONGEST_NAME = 200  # bytes; file systems take 255, and a partial file adds a suffix


def name_fault(name: str) -> str | None:
    """Say why `name` cannot be one folder or file inside the output, or None when it can.

    A video, expression or frame called `../x` would leave the output folder, both here and
    when the judge unpacks the archive.
    """
    if not name:
        return "the name is empty"
    shown = ascii(name if len(name) <= 40 else name[:40] + "...")
    if any(ord(character) < 32 or ord(character) == 127 for character in name):
        return f"the name {shown} has a control character"
    if "/" in name or "\\" in name:
        return f"the name {shown} has a path separator, so it would leave its folder"
    if set(name) <= {"."}:
        return f"the name {shown} means a folder, not a file"
    if name != name.strip() or name.endswith("."):
        return f"the name {shown} begins or ends with a space, or ends with a dot"
    if len(name) > 1 and name[1] == ":" and name[0].isalpha():
        return f"the name {shown} begins like a drive letter, so it would leave its folder"
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return f"the name {shown} is not valid Unicode"
    if len(encoded) > LONGEST_NAME:
        return f"the name {shown} is longer than {LONGEST_NAME} bytes"
    return None
