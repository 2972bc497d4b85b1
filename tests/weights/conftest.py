"""A loopback Hub with one small checkpoint, a lock that pins it, and an empty weights folder."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from weights.loopback_hub import REVISION, LoopbackHub, Repo, running_hub

from submission.terminal.progress import Reporter
from submission.weights.folders import Weights
from submission.weights.lock import Lock, LockedCheckpoint, LockedFile

NAME, REPO = "Sa2VA-4B", "ByteDance/Sa2VA-4B"  # small stand-ins for its shards
SHARD = "model-00001-of-00002.safetensors"
CONTENTS = {
    "config.json": b'{"template": "qwen_chat"}\n',
    SHARD: random.Random(1).randbytes(300_000),
    "model-00002-of-00002.safetensors": random.Random(2).randbytes(70_000),
    "tokenizer.json": b"{}\n",
}


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this machine's caches, tokens and proxies out of the tests."""
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MEVIS_WEIGHTS", str(tmp_path / "weights"))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    with running_hub() as server:
        server.repos[REPO] = Repo(dict(CONTENTS))
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def pinned(contents: dict[str, bytes] = CONTENTS) -> LockedCheckpoint:
    files = tuple(
        LockedFile(path, len(content), hashlib.sha256(content).hexdigest())
        for path, content in sorted(contents.items())
    )
    return LockedCheckpoint(NAME, REPO, REVISION, "apache-2.0", files)


@pytest.fixture
def weights(tmp_path: Path) -> Weights:
    """A lock that pins the small checkpoint, and an empty folder."""
    return Weights(Lock(tmp_path / "test.lock", (pinned(),)), tmp_path / "weights")


@pytest.fixture
def quiet() -> Reporter:
    return Reporter("quiet")
