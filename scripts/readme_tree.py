"""Redraw the captioned file tree in README.md from the modules' docstrings, in order of data flow.

python -m scripts.readme_tree
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Order inside a folder: as the data flows; what is not named here follows in alphabetical order.
FLOW = """
cli __main__ verbs verb data recipe recipes submit planning plan dataset records meta_file
strict_json names mevis selection frame_files images frames rle ground_truth sampling sam2_sizes
cost forecast limits weights lock fetch folders hashes experts expert making from_checkpoint
model_shelf given_masks passes sharing showing pictures model configuration network tensor_names
checkpoint loading tokenizer prompt vision language frame_features grounding quick_organs tracking
memory_bank memory_attention attention_kernel approximation sa2va answer drawing device predict
masks track store keeping voting assemble output layout png_files mask_files team zip_file check
judge score region_and_boundary scoring report run folder record stages results progress
whole_files errors
""".split()  # noqa: SIM905


def caption(path: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def draw(folder: Path, depth: int = 0) -> list[str]:
    """Lines for a folder of modules: names and captions, two spaces for each level."""
    indent = "  " * depth
    lines = [f"{indent}{folder.name}/  {caption(folder / '__init__.py')}"]
    for path in sorted(folder.iterdir(), key=_place):
        if (path / "__init__.py").is_file():
            lines += draw(path, depth + 1)
        elif path.suffix == ".py" and path.name != "__init__.py":
            lines.append(f"{indent}  {path.name}  {caption(path)}")
    return lines


def _place(path: Path) -> tuple[int, str]:
    return (FLOW.index(path.stem) if path.stem in FLOW else len(FLOW), path.stem)


def main() -> None:
    readme = ROOT / "README.md"
    tree = "\n".join(draw(ROOT / "submission"))
    text = readme.read_text(encoding="utf-8")
    text = re.sub(r"(?ms)^```\nsubmission/ .*?^```", lambda _: f"```\n{tree}\n```", text)
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
