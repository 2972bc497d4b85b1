"""What a short lease of a GPU is used for, in order of value; each part is one command."""

import sys
from dataclasses import dataclass
from pathlib import Path

REHEARSED = {"Sa2VA-1B": "small", "Sa2VA-8B": "reference-internlm2", "Sa2VA-26B": "sample"}


@dataclass(frozen=True)
class Part:
    """One command in a process of its own, so that what fails takes nothing with it."""

    name: str
    words: tuple[str, ...]
    seconds: float  # after which it is ended
    least: float = 10.0  # it is not begun with less left
    needs_gpu: bool = True


def lease_parts(out: Path, *, rehearse: bool) -> list[Part]:
    """The parts of a lease; a rehearsal runs small models and a few frames on any machine."""
    rows = _Rows(out / "rows.jsonl", rehearse)

    def script(name: str) -> tuple[str, ...]:
        return _python(f"scripts.benchmark.{name}", *(("--rehearse",) if rehearse else ()))

    return [
        Part("Environment", script("environment"), 40, needs_gpu=False),
        Part("Attention kernels", script("kernels"), 60),
        Part("Same masks as on the CPU", script("same_masks"), 60, needs_gpu=False),
        Part("Tests that need a GPU", _python("pytest", "-m", "gpu", "tests/models"), 60),
        rows.part("Sa2VA-1B", key_frames=5, sentences=2, seconds=70),
        rows.part("Sa2VA-8B", key_frames=5, sentences=2, seconds=100),
        rows.part("Sa2VA-26B", key_frames=20, sentences=1, seconds=150, full_hd=True),
        Part("Small model, `submit` on GPU and CPU", script("submit_twice"), 100),
        Part("Feeding: JPEG files to stored answers", script("feeding"), 80, needs_gpu=False),
        rows.part("Sa2VA-8B", key_frames=20, sentences=1, seconds=100, full_hd=True),
        rows.part(
            "Sa2VA-8B", key_frames=20, sentences=1, seconds=100, full_hd=True, attention="cudnn"
        ),
        Part("Attention by flex, compiled", (*script("kernels"), "--flex"), 90),
        rows.grid("Grid, as far as time allows", seconds=600),
    ]


def _python(module: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *words)


@dataclass(frozen=True)
class _Rows:
    """Parts that time the public procedure against ours and append rows to one file."""

    file: Path
    rehearse: bool

    def part(
        self, size: str, *, key_frames: int, sentences: int, seconds: float, full_hd: bool = False,
        attention: str = "auto",
    ) -> Part:  # fmt: skip
        """One case with sixteen sentences; the public loop is timed on `sentences` of them."""
        height, width, frames = (1080, 1920, 80) if full_hd else (720, 1280, 80)
        if self.rehearse:
            height, width, frames, size = 120, 160, 12, REHEARSED[size]
            attention = "auto"  # no other outside a GPU
        words = (
            "--size", size, "--sentences", "16", "--frames", str(frames),
            "--key-frames", str(key_frames), "--height", str(height), "--width", str(width),
            "--public-sentences", str(sentences), "--attention", attention,
        )  # fmt: skip
        name = f"{size}, M = {key_frames}, {height} x {width}, attention {attention}"
        return self._bench(name, words, seconds)

    def grid(self, name: str, *, seconds: float) -> Part:
        """Whatever still fits into the time that is left."""
        sizes, axes = "Sa2VA-1B,Sa2VA-8B,Sa2VA-4B,Sa2VA-26B", ("M=5,20", "E=1,4,16", "T=40,80,200")
        if self.rehearse:
            sizes, axes = "small", ("M=2", "E=1,2", "T=8")
        words = ("--grid", f"size={sizes}", *axes, "--public-sentences", "1", "--no-stages")
        return self._bench(name, (*words, "--height", "720", "--width", "1280"), seconds)

    def _bench(self, name: str, words: tuple[str, ...], seconds: float) -> Part:
        words = ("--rows", str(self.file), "--budget", "{budget}", *words)
        return Part(
            name, _python("scripts.benchmark", *words), seconds, least=30.0,
            needs_gpu=not self.rehearse,
        )  # fmt: skip
