"""Write run.json: what made this result, so that it can be made again.

Recipe, data, checkpoints with hashes, code revision, versions, hardware and time per stage, of
every call: shards and resumed calls included. It is written when the work starts and after each
stage, so a run that was stopped has one, too.
"""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from submission import __version__
from submission.code_digest import code_revision
from submission.dataset.records import Split
from submission.errors import InputError, StoreMismatch
from submission.files.strict_json import read_json
from submission.files.whole import write_json
from submission.run.calls import join_attention, new_call_file, read_calls, sum_seconds
from submission.weights.lock import Lock
from submission.weights.verify import locked_as

LIBRARIES = ("numpy", "pillow", "pycocotools", "safetensors", "sam2", "torch", "transformers")
NAME = "run.json"


class RunRecord:
    """The record of one run folder while the run goes on."""

    def __init__(
        self,
        run: Path,
        *,
        recipe: Mapping[str, Any],
        data: Mapping[str, Any],
        experts: Mapping[str, Any],
        checkpoints: Sequence[Mapping[str, str]] = (),
    ) -> None:
        self.path = run / NAME
        self.seconds: dict[str, float] = {}  # by stage, of this call
        self.attention: dict[str, str] = {}  # by expert: the kernel that ran in this call
        self.workers: dict[str, Any] = {}  # where several worked: who, what each did, and losses
        self._call_file = new_call_file(run)
        self._made_for = {"recipe": _digest(recipe), "experts": _digest(experts)}
        self._values = {
            "started": _now(),
            "command": ["mevis-submission", *sys.argv[1:]],
            "recipe": recipe,
            "data": data,
            "experts": experts,
            "checkpoints": checkpoints,
            "code": describe_code(),
            "libraries": versions(),
        }
        self.save()

    def save(self, **results: Any) -> None:
        """Write this call's file and the record of all calls, with what `results` adds."""
        self._values |= {"hardware": describe_hardware(), "updated": _now(), **results}
        shared = ("started", "updated", "command", "data", "code", "libraries", "hardware")
        call = (
            {name: self._values[name] for name in shared}
            | {
                "made_for": self._made_for,
                "seconds": self.seconds,
                "attention": self.attention,
            }
            | ({"workers": self.workers} if self.workers else {})
        )
        write_json(self._call_file, call)
        calls = read_calls(self.path.parent)
        if uploads := _uploads(self.path):  # an upload may have ended meanwhile
            self._values["uploads"] = uploads
        self._values |= {
            "seconds": sum_seconds(calls, call),
            "attention": join_attention(calls, call),
            "calls": calls,
        }
        write_json(self.path, self._values)


def _uploads(path: Path) -> list[Any]:
    """What was uploaded from this run: each names its zip by hash, so it outlives a new vote."""
    try:
        return list(dict(read_json(path)).get("uploads", []))
    except (InputError, TypeError, ValueError):
        return []


def describe_code() -> dict[str, str]:
    """Version and revision of the code, and the id of the image where the engine's call told it."""
    image = os.environ.get("MEVIS_IMAGE")
    return {"version": __version__, "revision": code_revision()} | (
        {"image": image} if image else {}
    )


def describe_data(split: Split, is_part: bool) -> dict[str, Any]:
    """Where the data came from, which meta file was read, and how much of it was asked for."""
    return {
        "root": str(split.root.resolve()),
        "split": split.name,
        "meta": split.meta_file.name,
        "meta_sha256": hashlib.sha256(split.meta_file.read_bytes()).hexdigest(),
        "videos": len(split.videos),
        "sentences": split.num_sentences,
        "masks": split.num_masks,
        "is_part": is_part,
    }


def refuse_other_data(run: Path, split: Split) -> None:
    """Raise StoreMismatch where a run folder was made from another split or meta file."""
    try:
        data = dict(dict(read_json(run / NAME))["data"])
        then = data["split"], data["meta"], data["meta_sha256"]
    except (InputError, KeyError, TypeError, ValueError):
        return  # no run yet, or a record of which nobody can tell: predictions are compared anyway
    digest = hashlib.sha256(split.meta_file.read_bytes()).hexdigest()
    if then == (split.name, split.meta_file.name, digest):
        return
    if then[:2] != (split.name, split.meta_file.name):
        what = f"{then[0]} ({then[1]}), and this call is on {split.name} ({split.meta_file.name})"
    else:
        what = f"{split.name}, and its {split.meta_file.name} has changed since"
    raise StoreMismatch(
        f"{run}: this run is on {what}. Choose another folder with --run; or, where the split is "
        f"the same and was mended, delete {run / NAME}: predictions that still fit are kept"
    )


def describe_checkpoints(identities: Iterable[Any], lock: Lock) -> list[dict[str, str]]:
    """Name the checkpoints of the lock whose content, by hash, the experts used."""
    hashes = [
        digest
        for identity in identities
        if isinstance(identity, dict)
        for digest in identity.get("files", {}).values()
    ]
    return [
        {"name": item.name, "repo": item.repo, "revision": item.revision}
        for item in locked_as(hashes, lock.checkpoints)
    ]


def _digest(value: Any) -> str:
    """Name a JSON value by its content."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:16]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that have a say in results."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found


def cpu_name() -> str:
    """What the CPU calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(x.split(":", 1)[1].strip() for x in lines if "model name" in x)
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def describe_hardware() -> dict[str, Any]:
    """CPU, cores and, where torch is at work, the GPUs of this machine."""
    hardware: dict[str, Any] = {
        "machine": platform.machine(), "cores": os.cpu_count(), "cpu": cpu_name()
    }  # fmt: skip
    torch = sys.modules.get("torch")  # only a run that used torch has a GPU to speak of
    if torch is not None and torch.cuda.is_available():
        count = torch.cuda.device_count()
        hardware["gpus"] = [torch.cuda.get_device_name(index) for index in range(count)]
        hardware["cuda"] = torch.version.cuda
    return hardware
