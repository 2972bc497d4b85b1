"""Pack a small part of SaSaSa2VA's recorded reference into tests/reference, for everybody's tests.

`python -m scripts.pack_reference.sasasa2va RECORD`, where RECORD is the folder that tests/models/
sasasa2va_cases.py reads. Its checkpoints of random numbers take 3.4 MB each and stay there: what is
packed needs none, the table of frames and clips and one case's images.
"""

import argparse
import gzip
import json
from pathlib import Path

import numpy as np

from scripts.pack_reference import OUT, tell

FOLDER = OUT / "sasasa2va"
CASE = "qwen2_uniform_T4"


def main() -> None:
    """Write tests/reference/sasasa2va anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    record = parser.parse_args().record
    FOLDER.mkdir(parents=True, exist_ok=True)
    table = (record / "index_table.jsonl").read_bytes()
    (FOLDER / "index_table.jsonl.gz").write_bytes(gzip.compress(table, 9, mtime=0))
    case = record / CASE
    means = json.loads((case / "case.json").read_text())["pixel_values_image_mean"]
    with np.load(case / "mosaics.npz") as mosaics, np.load(case / "frames.npz") as frames:
        kept = {name: mosaics[name] for name in ("key0", "mosaic0", "key9", "mosaic9")}
        kept |= {"frames": frames["frames"], "means": np.array(means)}
    np.savez_compressed(FOLDER / f"{CASE}.npz", allow_pickle=False, **kept)
    tell(FOLDER)


if __name__ == "__main__":
    main()
