"""Redraw the captioned trees from docstrings: folders in README.md, files in docs/architecture.md.

python -m scripts.file_tree
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Page to whether it shows files, or folders alone.
PAGES = {"README.md": False, "docs/architecture.md": True}
# Order inside a folder: as the data flows; what is not named here follows in alphabetical order.
FLOW = """
cli __main__ verbs verb data recipes pipeline prepare plan limits forecast predict vote pack
check submit dataset records meta_file names mevis selection frame_files images frames rle
ground_truth video transforms session frame_loader sampling weights lock fetch folders hashes cost
experts expert registry scheduling model_cache sa2va mask_files example models checkpoint quantized
mask_packing sam2 sizes network image_features fast_layers memory_bank memory_attention
attention_kernel tracker approximation internvl config tensor_names prompt vision loading tokenizer
language model answer device masks track store writer voting output layout png_files zip_file team
score region_and_boundary scoring report run folder record stages results files terminal
progress whole strict_json mistaken errors
""".split()  # noqa: SIM905


def caption(path: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def draw(folder: Path, depth: int = 0, files: bool = True) -> list[str]:
    """Lines for a folder of modules: names and captions, two spaces for each level."""
    indent = "  " * depth
    lines = [f"{indent}{folder.name}/  {caption(folder / '__init__.py')}"]
    for path in sorted(folder.iterdir(), key=_place):
        if (path / "__init__.py").is_file():
            lines += draw(path, depth + 1, files)
        elif files and path.suffix == ".py" and path.name != "__init__.py":
            lines.append(f"{indent}  {path.name}  {caption(path)}")
    return lines


def _place(path: Path) -> tuple[int, str]:
    return (FLOW.index(path.stem) if path.stem in FLOW else len(FLOW), path.stem)


def main() -> None:
    for page, files in PAGES.items():
        path = ROOT / page
        tree = "\n".join(draw(ROOT / "submission", files=files))
        text = path.read_text(encoding="utf-8")
        text = re.sub(
            r"(?ms)^```\nsubmission/ .*?^```", lambda _, tree=tree: f"```\n{tree}\n```", text
        )
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
