"""Everything that a short lease of a GPU should bring, in one call and within its minutes.

    python -m scripts.benchmark.gpu_lease --minutes 8 --out build/lease
    python -m scripts.benchmark.gpu_lease --minutes 5 --out build/rehearsal --rehearse

Each part is a process of its own with a time limit. After each, what is known is written anew:
`lease.md` to read, `lease.jsonl` and `rows.jsonl` to work with.
"""

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.benchmark.budget import Budget
from scripts.benchmark.lease_parts import Part, lease_parts
from scripts.benchmark.resources import revision
from submission.whole_files import write_bytes

LAST_LINES = 25  # of what a failed part said
MARGIN = 5.0  # seconds kept for writing


@dataclass(frozen=True)
class Result:
    """What became of a part."""

    name: str
    status: str  # "done", "failed", "ended", or "skipped: why"
    seconds: float
    command: str
    text: str  # Markdown


def main(words: Sequence[str] | None = None) -> int:
    """Run the parts; return 0 when all were done, 1 when one failed or was left out."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.benchmark.gpu_lease", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--rehearse", action="store_true",
                        help="small models and few frames, also without a GPU")  # fmt: skip
    arguments = parser.parse_args(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    arguments.out.mkdir(parents=True, exist_ok=True)
    budget = Budget(60 * arguments.minutes - MARGIN)
    parts = lease_parts(arguments.out, rehearse=arguments.rehearse)
    write = Report(arguments.out, " ".join(sys.argv[1:] if words is None else words))
    results = work(parts, budget, gpu_is_there(), run_part, write)
    return 0 if all(result.status == "done" for result in results) else 1


def work(
    parts: Sequence[Part],
    budget: Budget,
    has_gpu: bool,
    run: Callable[[Part, float], Result],
    write: Callable[[Sequence[Result]], None],
) -> list[Result]:
    """Run part after part while there is time; `write` is called after each."""
    results: list[Result] = []
    for part in parts:
        if part.needs_gpu and not has_gpu:
            results.append(_skipped(part, "no GPU"))
        elif not budget.allows(part.least):
            results.append(_skipped(part, f"{budget.left:.0f} s left"))
        else:
            results.append(run(part, min(part.seconds, budget.left)))
        write(results)
        print(f"{results[-1].status:>8}  {results[-1].seconds:6.1f} s  {part.name}", flush=True)
    return results


def _skipped(part: Part, reason: str) -> Result:
    return Result(part.name, f"skipped: {reason}", 0.0, _shown(part.words), "")


def run_part(part: Part, seconds: float) -> Result:
    """Run a part and end it, with all that it started, after so many seconds."""
    words = [word.format(budget=f"{0.85 * seconds:.0f}") for word in part.words]
    started = time.monotonic()
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            text, said = process.communicate(timeout=seconds)
            status = "done" if process.returncode == 0 else "failed"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            text, said = process.communicate()
            status = "ended"
        except BaseException:  # the part has a session of its own, and would go on without this one
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if status != "done":
        text = f"{text}\n```text\n{_tail(said)}\n```"
    return Result(part.name, status, round(time.monotonic() - started, 1), _shown(words), text)


def _tail(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-LAST_LINES:])


def _shown(words: Sequence[str]) -> str:
    """The command as one would type it."""
    return shlex.join(["python" if word == sys.executable else word for word in words])


def gpu_is_there() -> bool:
    """Ask PyTorch, in a process of its own: CUDA is not to be opened in this one."""
    code = "import sys, torch; sys.exit(not torch.cuda.is_available())"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    return done.returncode == 0


class Report:
    """Writes what is known so far."""

    def __init__(self, out: Path, arguments: str) -> None:
        self.out = out
        self.arguments = arguments

    def __call__(self, results: Sequence[Result]) -> None:
        lines = [json.dumps(asdict(result), ensure_ascii=False) for result in results]
        write_bytes(self.out / "lease.jsonl", ("\n".join(lines) + "\n").encode())
        write_bytes(self.out / "lease.md", self.markdown(results).encode())

    def markdown(self, results: Sequence[Result]) -> str:
        """Everything on one page: what was done, and then the parts."""
        told = [f"| {result.name} | {result.status} | {result.seconds:.0f} |" for result in results]
        head = [
            "# A lease of a GPU", "",
            f"`python -m scripts.benchmark.gpu_lease {self.arguments}`, revision {revision()}", "",
            "| part | | s |", "|---|---|---:|", *told,
        ]  # fmt: skip
        for result in results:
            if result.text.strip():
                head += ["", f"## {result.name}", f"`{result.command}`", "", result.text.strip()]
        return "\n".join(head) + "\n"


if __name__ == "__main__":
    sys.exit(main())
