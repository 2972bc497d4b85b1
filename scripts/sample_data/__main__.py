"""Write a sample split, or check one: `python -m scripts.sample_data OUT --clips 10 --seed 7`."""

import argparse
import sys
from pathlib import Path

from scripts.sample_data.check_split import differences
from scripts.sample_data.write_split import write_split

SAMPLE = Path("submission/samples/mevis/valid_u")  # the split that the package carries


def main() -> int:
    """Write or check a split; return 0, or 1 where the check finds differences."""
    parser = argparse.ArgumentParser(prog="python -m scripts.sample_data", description=__doc__)
    parser.add_argument("out", type=Path, nargs="?", default=SAMPLE, help=f"default: {SAMPLE}")
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    arguments = parser.parse_args()
    if arguments.check:
        faults = differences(arguments.out, arguments.clips, arguments.seed)
        print("\n".join(faults) or f"{arguments.out} is what the generator makes.")
        return 1 if faults else 0
    total = write_split(arguments.out, arguments.clips, arguments.seed)
    print(f"{arguments.out}: {arguments.clips} clips, {total / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
