"""Pack the small tables of Sa2VA on Qwen-VL's recorded reference into tests/reference.

`python -m scripts.pack_qwenvl RECORD`, where RECORD is the folder that tests/models/qwenvl_cases.py
reads. Its checkpoints of random numbers take 4 MB each and stay there: what is packed needs none,
the sizes of resized frames and the texts of prompts.
"""

import argparse
import json
import sys
from pathlib import Path

OUT = Path(__file__).parents[1] / "tests" / "reference" / "qwenvl"


def main() -> int:
    """Write tests/reference/qwenvl anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    record = parser.parse_args().record
    OUT.mkdir(parents=True, exist_ok=True)
    rows = json.loads((record / "resize_table.json").read_text())
    lines = ",\n".join(json.dumps(row) for row in rows)
    (OUT / "resize_table.json").write_text(f"[\n{lines}\n]\n")
    prompts = json.loads((record / "prompts.json").read_text())
    texts = {name: prompt["text"] for name, prompt in prompts.items()}
    (OUT / "prompts.json").write_text(json.dumps(texts, indent=1) + "\n")
    files = sorted(OUT.iterdir())
    print(f"{len(files)} files, {sum(file.stat().st_size for file in files):,} bytes in {OUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
