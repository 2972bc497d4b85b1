"""Compare a run of the embedded sample with tests/golden, or make it the golden one.

make regress            exit status 1 and a table when anything changed
make regress-accept     write tests/golden anew and print what changed

The run is made on one thread of a CPU, in a process of its own, from nothing.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.regress.difference import (
    PIXELS_ELSEWHERE,
    compare,
    mask_changes,
    pixels,
    same_platform,
    table,
)
from scripts.regress.golden import Record, collect, read_golden, write_golden
from scripts.regress.overlays import draw_changes
from submission.dataset.frames import open_frames
from submission.dataset.mevis import read_split
from submission.dataset.records import Split
from submission.recipes.find import SAMPLE, read_recipe

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden"
FOLDER = ROOT / "runs/regress"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--accept", action="store_true", help="make this run the golden one")
    parser.add_argument("--exact", action="store_true",
                        help="allow no pixel to differ, on another platform either")  # fmt: skip
    arguments = parser.parse_args()
    recipe = read_recipe(SAMPLE)
    assert recipe.root is not None
    assert recipe.split is not None
    split = read_split(recipe.root, recipe.split)
    if not make_run(FOLDER / "run"):
        return 1
    now = collect(FOLDER / "run", split, [expert.name for expert in recipe.experts])
    golden = read_golden(GOLDEN)
    if arguments.accept:
        return accept(golden, now)
    if golden is None:
        print("There are no golden outputs yet: make them with 'make regress-accept'.")
        return 1
    return judge(golden, now, split, exact=arguments.exact)


def make_run(folder: Path) -> bool:
    """Run the sample from nothing; tell whether that went well."""
    shutil.rmtree(folder, ignore_errors=True)
    words = ["submit", "--recipe", SAMPLE, "--run", str(folder), "--device", "cpu",
             "--dtype", "float32", "--quiet"]  # fmt: skip
    made = subprocess.run(
        [sys.executable, "-m", "submission", *words], cwd=ROOT, env={**os.environ, **ONE_THREAD},
        stdout=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    return made.returncode == 0


def judge(golden: Record, now: Record, split: Split, *, exact: bool) -> int:
    """Print what differs, draw it, and return the exit status."""
    here = same_platform(golden, now)
    differences = compare(golden, now, exact=exact)
    changes = mask_changes(golden, now)
    shutil.rmtree(FOLDER / "differences", ignore_errors=True)
    if not here:
        names = [key for key, value in golden.platform.items() if value != now.platform.get(key)]
        print(f"Not the platform of the golden outputs ({', '.join(names)}): "
              f"{PIXELS_ELSEWHERE} pixels of a frame may differ; {len(changes)} masks do, at most "
              f"{pixels(changes[0].pixels if changes else 0)}.")  # fmt: skip
    if not differences:
        print(f"Regression: {len(now.masks)} tracks, {len(now.files)} files and all scores agree "
              "with tests/golden.")  # fmt: skip
        return 0
    print(f"Regression: {len(differences)} differences from tests/golden:")
    print("\n".join(table(differences)))
    drawn = draw_changes(FOLDER / "differences", changes, (golden, now), split, open_frames(split))
    if drawn:
        print(f"{len(drawn)} pictures of them: {FOLDER / 'differences'}")
    print("If this is meant, make it the golden one: make regress-accept")
    return 1


def accept(golden: Record | None, now: Record) -> int:
    """Make a record the golden one and print what that changes."""
    write_golden(GOLDEN, now)
    if golden is None:
        print(f"tests/golden: new; {len(now.masks)} tracks, {len(now.files)} files")
        return 0
    differences = compare(golden, now, exact=True)
    print(f"tests/golden: {len(differences)} changes" + (":" if differences else ""))
    if differences:
        print("\n".join(table(differences)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
