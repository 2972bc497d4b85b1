"""Pack a small part of UNINEXT's recorded reference into tests/reference, for everybody's tests.

`python -m scripts.pack_reference.uninext RECORD KEYS`, where RECORD is a folder with one .npz for
each case and KEYS one with a list of tensors for each released model, one "name<tab>shape" to a
line.
What is left out for size is tested where RECORD itself lies.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np

from scripts.pack_reference import OUT, tell

FOLDER = OUT / "uninext"
CASES = ("r50_256x320", "convnext_tiny_250x331", "vit_base_250x331")
KEYS = ("r50", "convnext_large", "vit_huge")
WHOLE = ("image", "input_ids", "attention_mask", "ori_size", "score", "best", "best_mask", "final",
         "bert")  # fmt: skip
CHANNELS = {"feat0": 1, "feat1": 2, "feat2": 12}  # of every eighth, which were recorded
ROWS = {"vl_head": 20, "memory_head": 20}  # of every seventh token


def main() -> None:
    """Write tests/reference/uninext anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("keys", type=Path)
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        with np.load(arguments.record / f"{case}.npz") as record:
            kept = {name: record[name] for name in WHOLE}
            kept |= {name: record[name][:, :count] for name, count in CHANNELS.items()}
            kept |= {name: record[name][:, :count] for name, count in ROWS.items()}
        np.savez_compressed(FOLDER / f"{case}.npz", allow_pickle=False, **kept)
    for size in KEYS:
        text = (arguments.keys / f"uninext_keys_video_joint_{size}_eval_rvos.txt").read_bytes()
        (FOLDER / f"keys_{size}.txt.gz").write_bytes(gzip.compress(text, 9, mtime=0))
    tell(FOLDER)


if __name__ == "__main__":
    main()
