"""A number and what it counts, in words."""


def counted(number: int, what: str) -> str:
    """Return "1 video", "0 videos" or "1,200 videos" for the singular of a noun."""
    return f"{number:,} {what}{'s' * (number != 1)}"
