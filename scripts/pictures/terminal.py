"""Draw what a command shows in a terminal of 80 columns, at work and at its end, as an SVG.

    .venv/bin/python -m scripts.pictures.terminal docs/images/terminal.svg mevis-submission submit

Needs tmux ('sudo apt install tmux'), which is the terminal; rich draws what stands in it.
"""

import io
import re
import shlex
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 80, 30
AT_WORK = "eta 0:"  # the first estimate of what is left
FONT_FROM_AFAR = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)  # a picture asks no network
PAUSE = 0.05  # seconds between two looks


class Terminal:
    """A tmux session that runs one command and stays open when the command is done."""

    def __init__(self, words: list[str]) -> None:
        self.name = f"picture-{uuid.uuid4().hex[:8]}"
        self.done = f"done-{self.name}"
        line = f"{shlex.join(words)}; tmux wait-for -S {self.done}; exec cat"
        self._tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), "-s", self.name, line)

    def screen(self) -> str:
        """What stands in it now, with colours, without the empty lines at the end."""
        return self._tmux("capture-pane", "-p", "-e", "-t", self.name).rstrip("\n")

    def at_work_and_at_the_end(self) -> tuple[str, str]:
        """The first screen with an estimate on it, "" when there was none, and the last screen."""
        ended = subprocess.Popen(["tmux", "wait-for", self.done])
        at_work = ""
        while ended.poll() is None:
            screen = self.screen()
            if not at_work and AT_WORK in Text.from_ansi(screen).plain:
                at_work = screen
            time.sleep(PAUSE)
        return at_work, self.screen()

    def close(self) -> None:
        """End the session."""
        self._tmux("kill-session", "-t", self.name)

    @staticmethod
    def _tmux(*words: str) -> str:
        return subprocess.run(["tmux", *words], check=True, capture_output=True, text=True).stdout


def draw(screens: tuple[str, ...], title: str, picture: Path) -> None:
    """Write screens with ANSI colours, one under the other, as an SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for screen in filter(None, screens):
        console.print(Text.from_ansi(screen), end="\n\n")
    svg = console.export_svg(title=title, unique_id="terminal")
    picture.write_text(FONT_FROM_AFAR.sub("", svg), encoding="utf-8")


def main() -> None:
    """Run the words of the command line in a terminal of their own, and draw it."""
    if shutil.which("tmux") is None or len(sys.argv) < 3:
        sys.exit(__doc__)
    picture, words = Path(sys.argv[1]), sys.argv[2:]
    terminal = Terminal(words)
    try:
        draw(terminal.at_work_and_at_the_end(), shlex.join(words), picture)
    finally:
        terminal.close()


if __name__ == "__main__":
    main()
