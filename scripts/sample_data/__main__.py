"""Write a split of moving shapes, or check the carried one: `python -m scripts.sample_data`."""

import argparse
import sys
from pathlib import Path

from scripts.sample_data.check_split import differences
from scripts.sample_data.write_split import PLANS, digest, draw_plan, write_split

SAMPLE = Path("submission/samples/mevis/valid_u")  # the split that the package carries
HELP = """
    python -m scripts.sample_data                       # the sample split, into the package
    python -m scripts.sample_data --check               # is it what the generator makes?
    python -m scripts.sample_data test build/sample     # 200 held-out clips: build/sample/test
    python -m scripts.sample_data long build/sample     # 50 clips of 60 to 80 frames: .../long
    python -m scripts.sample_data choose build/sample   # 60 clips for choosing: .../choose
"""


def main() -> int:
    """Write or check a split; return 0, or 1 where what is there is not what it should be."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.sample_data", epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("split", choices=PLANS, nargs="?", default="sample")
    parser.add_argument("root", type=Path, nargs="?", default=SAMPLE.parent, help="data root")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    arguments = parser.parse_args()
    plan = PLANS[arguments.split]
    folder = arguments.root / plan.folder
    if arguments.check:
        faults = differences(folder, plan)
        print("\n".join(faults) or f"{folder} is what the generator makes.")
        return 1 if faults else 0
    total = write_split(folder, draw_plan(plan))
    found = digest(folder)
    print(f"{folder}: {plan.num_clips} clips, {total / 1000:.0f} kB, SHA-256 {found}")
    if plan.digest not in ("", found):
        print(f"  ... but it should be {plan.digest}: this machine makes another {plan.folder}.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
