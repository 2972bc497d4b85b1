"""A container goes through videos: one start for all of them, and another one where it crashed."""

import time
from collections.abc import Callable, Sequence

from submission.container.program import Running
from submission.dataset.records import Video
from submission.errors import InputError
from submission.experts.container.job import JobFolder
from submission.terminal.progress import Reporter

POLL = 0.3  # seconds between looks at what it has finished
SECONDS_TO_END = 30  # for what it does after its last video
MOST_BARREN = 2  # crashes in a row without one finished video: then it is not the video


class ContainerPass:
    """The videos that one container after another answers; most often one is enough.

    One that crashes is started again without the video that it was at. It is given up when it
    crashes `MOST_BARREN` times without having finished a video, and when it ends well.
    """

    def __init__(
        self, who: str, videos: Sequence[Video], folder: JobFolder,
        start: Callable[[Sequence[Video]], Running], limit_s: float, reporter: Reporter, *,
        whole: bool,
    ) -> None:  # fmt: skip
        """`start` begins with some videos; `whole`: no mask of a finished video may be missing."""
        self.folder = folder
        self._who = who
        self._left = {video.name: video for video in videos}  # not handed on yet
        self._start = start
        self._limit_s = limit_s
        self._reporter = reporter
        self._whole = whole
        self._process: Running | None = None
        self._seen: set[str] = set()  # videos that were finished when it was looked
        self._since = 0.0  # when the last of them was
        self._has_finished = False  # this container, any video
        self._is_late = False
        self._barren = 0
        self._why = ""  # it will not be started again

    def wait_for(self, name: str) -> Video:
        """Return a video, as it was asked, when it is finished; the earlier ones are over.

        Raises InputError when it will not be.
        """
        video = self._left.pop(name)
        if self._process is None and not self._has(video) and not self._why:
            self._begin([video, *self._left.values()])
        why = self._why
        while not self._has(video):
            if self._process is None:
                raise InputError(why)
            why = self._look()
        self._note_finished()
        return video

    def asks(self, name: str) -> bool:
        """Whether a video is still to be handed on."""
        return name in self._left

    def close(self, *, patiently: bool) -> None:
        """End what still runs; `patiently` when all its work is done."""
        if self._process is not None:
            if not (patiently and self._process.ended.wait(SECONDS_TO_END)):
                self._process.stop()
            elif fault := self._process.fault():
                self._tell(fault, self._process.last_lines())
            self._process.remove()
            self._process = None
        self.folder.remove_job()

    def _begin(self, videos: Sequence[Video]) -> None:
        self._seen, self._has_finished = self.folder.finished(), False
        try:
            self._process = self._start([one for one in videos if one.name not in self._seen])
        except InputError:
            self._why = "the container was not started"  # the first video tells why
            raise
        self._since = time.monotonic()
        many = self._reporter.folder is None  # a worker begins one for each video
        (self._reporter.detail if many else self._reporter.say)(
            f"{self._who}: container {self._process.name} has begun; it prints to {self.folder.log}"
        )

    def _has(self, video: Video) -> bool:
        if video.name not in self.folder.finished():
            return False
        # While it runs, a video that is written in place is there before it is finished.
        return self._process is None or not self._whole or self.folder.is_whole(video)

    def _look(self) -> str:
        """Wait a little; say why the video in hand will not come when the container is over."""
        assert self._process is not None
        is_over = self._process.ended.wait(POLL)
        self._note_finished()
        if not is_over and time.monotonic() - self._since > self._limit_s:
            self._is_late = is_over = True
            self._process.stop()
        return self._end() if is_over else ""

    def _note_finished(self) -> None:
        if new := self.folder.finished() - self._seen:
            self._seen |= new
            self._since, self._has_finished = time.monotonic(), True

    def _end(self) -> str:
        process, self._process = self._process, None
        assert process is not None
        fault = process.fault()
        if self._is_late:
            fault = f"no video was finished for {self._limit_s:g} s (time_limit_s): it was stopped"
        last = process.last_lines()
        process.remove()
        log = f"what it printed is in {self.folder.log}"
        if not fault:
            self._why = f"the container has ended without an answer to this video; {log}"
            return self._why
        self._tell(fault, last)
        self._is_late = False
        self._barren = 0 if self._has_finished else self._barren + 1
        if self._barren >= MOST_BARREN:
            self._why = f"the container was given up: {fault}; {log}"
        return f"the container was at this video when {fault}; {log}"

    def _tell(self, fault: str, last: Sequence[str]) -> None:
        said = "".join(f"\n  {line}" for line in last)
        words = f"; the last it printed:{said}" if last else " and printed nothing"
        self._reporter.warn(f"{self._who}: the container is over: {fault}{words}")
