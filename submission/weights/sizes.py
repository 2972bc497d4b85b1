"""Numbers of bytes as people say them."""


def in_words(count: float) -> str:
    """Return a number of bytes as people say it, in powers of ten."""
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.2f} GB" if count < 10 else f"{count:.1f} GB"
