"""Networks: tensors in, tensors out; no data set, no recipe, no stored masks."""

from importlib import import_module
from pathlib import Path
from typing import Any

from submission.errors import InputError

# Folders beside this file, one for each family; `loading` of the first that recognises a file or
# folder opens it. Importing this module imports none of them.
FAMILIES = ("cutie", "uninext", "sa2va")


def load(path: str | Path, device: Any = "auto", dtype: Any = "auto", **options: Any) -> Any:
    """Load whatever model lies at `path`; which family it is, is read from the files.

    `device` "auto" is the GPU when there is one; `dtype` "auto" is bfloat16 on a GPU that has it,
    else float32. `options` are those of the family's own `load`. Returns the family's model, such
    as `submission.models.sa2va.model.Sa2VA`. Raises InputError for a file that no family knows, and
    for one that is damaged.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint folder or file")
    for family in FAMILIES:
        loading = import_module(f"submission.models.{family}.loading")
        if loading.recognises(path):
            return loading.load(path, device, dtype, **options)
    raise InputError(f"{path}: no model that this kit knows; known: {', '.join(FAMILIES)}")
