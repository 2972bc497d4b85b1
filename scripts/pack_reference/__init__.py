"""Pack small parts of recorded references into tests/reference, one family at a time."""

from pathlib import Path

OUT = Path(__file__).parents[2] / "tests" / "reference"


def tell(folder: Path) -> None:
    """Say what was written."""
    files = sorted(folder.iterdir())
    print(f"{len(files)} files, {sum(file.stat().st_size for file in files):,} bytes in {folder}")
