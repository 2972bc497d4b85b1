"""The code behind a result: a digest, so that a stage knows other code; a revision, for people.

The digest is over the modules that are really imported, from the stage's own on down. Comments,
docstrings and layout have no part in it: editing them makes nothing again and refuses nothing.
"""

import ast
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path

# What has no say in a result: words and wiring, where things lie, and what a stage hands over as
# its inputs anyway (values of the recipe, hashes of weights). Whole packages where one is named.
WITHOUT_A_SAY = (
    "submission.cli",
    "submission.code_digest",
    "submission.compute",
    "submission.container",
    "submission.cost",
    "submission.errors",
    "submission.experts.model_cache",
    "submission.experts.registry",
    "submission.files.whole",
    "submission.pool",
    "submission.recipes",
    "submission.run",
    "submission.terminal",
    "submission.verbs",
    "submission.weights",
)

# What only tells how much work a model is, whoever's it is.
COUNTING = (
    "submission.experts.count_memory",
    "submission.experts.*cost",
    "submission.models.counting",
    "submission.models.*.countable",
)


@cache
def code_digest(*modules: str, apart_from: tuple[str, ...] = ()) -> str:
    """Return a digest of these modules and of all that they import, wherever in the code.

    Followed are imports of `submission` and of the modules' own packages, so that a family from
    outside may hand in its `__name__`, too; `apart_from` names modules or packages that are left
    out, and "*" in one stands for anything. An import by a name in a string is not seen: hand that
    module in as well. Type checkers' imports do not count.
    """
    tops = {name.partition(".")[0] for name in (*modules, "submission")}
    folders = {top: _folder(top) for top in tops}
    return digest_of(modules, folders, (*WITHOUT_A_SAY, *apart_from))


def prediction_code(*modules: str) -> str:
    """Return the digest of the code behind an expert's predictions, `modules` being the expert's.

    It is the family's own wing with what that imports, and how frames are decoded; how answers are
    stored, and what counts its work, has no say in them.
    """
    apart_from = ("submission.masks.store", *COUNTING)
    return code_digest(*modules, "submission.dataset.images", apart_from=apart_from)


def code_revision(folder: Path = Path(__file__).parent) -> str:
    """The git revision of the code, marked when it was changed; the image states its own."""
    if stated := os.environ.get("MEVIS_REVISION"):
        return stated
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=folder, capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return described.stdout.strip() or "unknown"


def digest_of(
    modules: Iterable[str], folders: Mapping[str, Path], left_out: Sequence[str] = ()
) -> str:
    """Return the digest for packages in these folders, by their top names.

    Raises ValueError for one of `modules` that is not there.
    """
    digest = hashlib.sha256()
    for name, code in sorted(_reached(modules, folders, left_out).items()):
        digest.update(f"{name}\0{code}\0".encode())
    return digest.hexdigest()[:16]


def _reached(
    modules: Iterable[str], folders: Mapping[str, Path], left_out: Sequence[str]
) -> dict[str, str]:
    """Return every module that is imported on the way, with the digest of its code.

    The packages that a module lies in are not taken along: what it computes does not hang on them.
    """
    reached: dict[str, str] = {}
    waiting = list(modules)
    for name in waiting:
        if _file(name, folders) is None:
            raise ValueError(f"{name}: no such module below {sorted(map(str, folders.values()))}")
    while waiting:
        name = waiting.pop()
        file = _file(name, folders)
        if name in reached or file is None or _is_below(name, left_out):
            continue
        reached[name], imports = _parse(file.read_text(encoding="utf-8"))
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        for level, source, target in imports:
            base = ".".join([*package.split(".")[: 1 - level or None], source]) if level else source
            base = base.rstrip(".")
            below = f"{base}.{target}"
            waiting.append(below if target and _file(below, folders) else base)
    return reached


def _file(name: str, folders: Mapping[str, Path]) -> Path | None:
    """Return the file of a module, None where it is none of these packages or no module."""
    top, _, below = name.partition(".")
    if top not in folders or not below:
        # A package's own first file holds its version and the like; a single file is all code.
        file = folders.get(top)
        return file if file is not None and file.is_file() else None
    path = folders[top].joinpath(*below.split("."))
    return next((f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()), None)


def _folder(top: str) -> Path:
    """Return where a top-level package lies, or the file of a top-level module."""
    spec = find_spec(top)
    if spec is None or spec.origin is None:
        raise ValueError(f"{top}: no such package")
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _is_below(name: str, left_out: Sequence[str]) -> bool:
    return any(fnmatchcase(name, other) or name.startswith(f"{other}.") for other in left_out)


_Import = tuple[int, str, str]  # dots in front, module, and the name that is taken from it


@lru_cache(maxsize=1024)  # stages of one run share most modules
def _parse(source: str) -> tuple[str, tuple[_Import, ...]]:
    """Return the digest of a module's code without comments and docstrings, and its imports."""
    tree = ast.parse(source)
    imports = tuple(_imports(tree.body))
    return hashlib.sha256(_dump(tree).encode()).hexdigest(), imports


def _dump(tree: ast.Module) -> str:
    """Write a module's code in the same words whichever Python it is that reads it."""
    if sys.version_info >= (3, 13):  # where empty lists are left out unless they are asked for
        words = ast.dump(tree, show_empty=True)
    else:
        words = ast.dump(tree)
    return words.replace(", type_params=[]", "")  # which 3.11 does not know


def _imports(body: list[ast.stmt]) -> Iterator[_Import]:
    """Give the imports of a body and of all blocks in it, and take bare strings out of them."""
    body[:] = [node for node in body if not _is_bare_text(node)]
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((0, alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, node.module or "", alias.name) for alias in node.names)
        elif not (isinstance(node, ast.If) and _asks_for_type_checking(node.test)):
            for block in ("body", "orelse", "finalbody", "handlers", "cases"):
                yield from _imports(getattr(node, block, []))


def _is_bare_text(node: ast.stmt) -> bool:
    """Whether a statement is a docstring, or another text that does nothing."""
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _asks_for_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", ""))
