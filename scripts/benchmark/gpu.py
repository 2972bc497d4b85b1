"""What a GPU does with the kit, in order of value: one call, one page.

    python -m scripts.benchmark.gpu --out build/gpu --minutes 9
    python -m scripts.benchmark.gpu --out build/rehearsal --rehearse     # small models, any machine

Each part is one command in a process of its own, so that what fails takes nothing with it; the page
is written after each. With `--minutes` no part is begun when they are over, and the one that is
under way is ended.
"""

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.benchmark.resources import revision
from submission.files.whole import write_bytes

REHEARSED = {"Sa2VA-1B": "small", "Sa2VA-8B": "reference-internlm2", "Sa2VA-26B": "sample"}
LAST_LINES = 25  # of what a part that failed said
HD, FULL_HD, SMALL = (720, 1280), (1080, 1920), (120, 160)


@dataclass(frozen=True)
class Part:
    """One command."""

    name: str
    words: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What became of a part."""

    name: str
    command: str
    status: str  # "done", "failed", "ended"
    seconds: float
    text: str  # what it printed, and the end of what it said when it failed


def main(words: Sequence[str] | None = None) -> int:
    """Run all parts; return 1 when one of them failed."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark.gpu", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("build/gpu"), metavar="DIR")
    parser.add_argument("--minutes", type=float, help="end by then (default: when all is done)")
    parser.add_argument("--rehearse", action="store_true", help="small models, few frames")
    parser.add_argument("--public", type=Path, metavar="DIR", help="a checkout of bytedance/Sa2VA")
    parser.add_argument("--public-python", default=sys.executable, metavar="PYTHON")
    arguments = parser.parse_args(words)
    end = None if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
    results: list[Result] = []
    for part in parts(
        rehearse=arguments.rehearse, checkout=arguments.public, python=arguments.public_python
    ):  # fmt: skip
        if end is not None and time.monotonic() >= end:
            break
        results.append(run_part(part, end))
        print(f"{results[-1].status:>7} {results[-1].seconds:6.1f} s  {part.name}", flush=True)
        write_bytes(arguments.out / "gpu.md", page(results).encode())
    return int(any(result.status == "failed" for result in results))


def parts(
    *, rehearse: bool, checkout: Path | None = None, python: str = sys.executable
) -> list[Part]:
    """Everything that is worth knowing of a GPU, the most valuable first."""

    def script(name: str, title: str) -> Part:
        return Part(title, _python(f"scripts.benchmark.{name}", *(["--rehearse"] * rehearse)))

    def case(size: str, key_frames: int, sentences: str, frame: tuple[int, int]) -> list[str]:
        (height, width), frames = (SMALL, 8) if rehearse else (frame, 80)
        return [
            "--size", REHEARSED[size] if rehearse else size, "--sentences", sentences,
            "--frames", str(frames), "--key-frames", str(key_frames), "--height", str(height),
            "--width", str(width),
        ]  # fmt: skip

    def ours(
        size: str, *, key_frames: int, sentences: str, frame: tuple[int, int] = HD,
        compile: str = "off", traced: int = 0, first: bool = False,
    ) -> Part:  # fmt: skip
        """Ours alone, the first cases with where their time goes."""
        words = [*case(size, key_frames, sentences, frame), "--repeats", "2"]
        recorded = "" if compile == "off" else ", and with parts recorded"
        name = f"{size}, M = {key_frames}, {frame[0]} x {frame[1]}{recorded}"
        words += ["--compile", compile, "--traced", str(traced), *["--first"] * first]
        return Part(name, _python("scripts.benchmark.trace", *words))

    def beside_the_plain_loop(size: str) -> Part:
        """Ours and the public procedure re-created, which is timed on one sentence."""
        words = [*case(size, 5, "16,1", HD), "--public-sentences", "1"]
        return Part(f"{size}, beside the plain loop", _python("scripts.benchmark", *words))

    def against_public_code(size: str) -> Iterator[Part]:
        """The code of a checkout itself, in turn with ours."""
        words = [*case(size, 5, "16", HD), "--public", str(checkout), "--public-python", python]
        yield Part(f"{size}, the public code itself", _python("scripts.benchmark", *words))

    return [
        script("environment", "Environment"),
        script("same_masks", "Same masks as on the CPU"),
        Part("Tests that need a GPU", _python("pytest", "-m", "gpu", "tests")),
        script("kernels", "Attention kernels"),
        script("operations", "Small operations, as they run and as they might"),
        ours("Sa2VA-8B", key_frames=5, sentences="16,5,1", compile="off,parts", traced=1),
        *(against_public_code("Sa2VA-8B") if checkout else ()),
        ours("Sa2VA-26B", key_frames=20, sentences="16", frame=FULL_HD),
        ours("Sa2VA-1B", key_frames=5, sentences="16,1", first=True),
        beside_the_plain_loop("Sa2VA-8B"),
        script("feeding", "Feeding: JPEG files to stored answers"),
        script("submit_twice", "`submit` of the sample on GPU and CPU"),
    ]


def run_part(part: Part, end: float | None) -> Result:
    """Run a part, and end it at `end` (time.monotonic)."""
    started = time.monotonic()
    limit = None if end is None else max(1.0, end - started)
    try:
        done = subprocess.run(
            part.words, capture_output=True, text=True, timeout=limit, check=False
        )
        status, text, said = ("failed" if done.returncode else "done"), done.stdout, done.stderr
    except subprocess.TimeoutExpired as ended:
        status = "ended"
        text, said = (_text(stream) for stream in (ended.stdout, ended.stderr))
    if status != "done":
        text += "\n```text\n" + "\n".join(said.rstrip().splitlines()[-LAST_LINES:]) + "\n```"
    command = shlex.join("python" if word == sys.executable else word for word in part.words)
    return Result(part.name, command, status, time.monotonic() - started, text)


def page(results: Sequence[Result]) -> str:
    """Everything on one page: what was done, and then the parts."""
    head = ["# A GPU and the kit", "", f"Revision {revision()}", "", "| part | | s |",
            "|---|---|---:|"]  # fmt: skip
    head += [f"| {result.name} | {result.status} | {result.seconds:.0f} |" for result in results]
    for result in results:
        head += ["", f"## {result.name}", f"`{result.command}`", "", result.text.strip()]
    return "\n".join(head) + "\n"


def _python(module: str, *words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *words)


def _text(stream: str | bytes | None) -> str:
    return stream.decode(errors="replace") if isinstance(stream, bytes) else stream or ""


if __name__ == "__main__":
    sys.exit(main())
