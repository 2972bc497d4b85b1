"""Pack the small tables of Sa2VA on Qwen-VL's recorded reference into tests/reference.

`python -m scripts.pack_reference.qwenvl RECORD`, where RECORD is the folder that
tests/models/qwenvl_cases.py reads. Its checkpoints of random numbers take 4 MB each and stay there:
what is packed needs none, the sizes of resized frames and the texts of prompts.
"""

import argparse
import json
from pathlib import Path

from scripts.pack_reference import OUT, tell

FOLDER = OUT / "qwenvl"


def main() -> None:
    """Write tests/reference/qwenvl anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    record = parser.parse_args().record
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = json.loads((record / "resize_table.json").read_text())
    lines = ",\n".join(json.dumps(row) for row in rows)
    (FOLDER / "resize_table.json").write_text(f"[\n{lines}\n]\n")
    prompts = json.loads((record / "prompts.json").read_text())
    texts = {name: prompt["text"] for name, prompt in prompts.items()}
    (FOLDER / "prompts.json").write_text(json.dumps(texts, indent=1) + "\n")
    tell(FOLDER)


if __name__ == "__main__":
    main()
