"""An expert that is a container: somebody else's image answers a folder of videos with PNGs."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated, Any

from pydantic import Field

from submission.compute import Gigabytes
from submission.container import engine
from submission.container.hardening import mount_faults, request_gpus
from submission.container.program import Program, Running, remove_left_behind
from submission.dataset.records import Split, Video
from submission.errors import Fault, FaultyInput, InputError
from submission.experts.container.job import SCORES as SCORES_FILE
from submission.experts.container.job import JobFolder, job_folder, part_of, read_scores
from submission.experts.container.one_pass import ContainerPass
from submission.experts.expert import Expert, Predictions, Tools
from submission.masks.store import Prediction
from submission.output.given_masks import look_at_masks, size_faults
from submission.output.mask_files import MaskFolder
from submission.video.session import VideoSession
from submission.video.transforms import FrameRequest

_DIGEST = r"sha256:[0-9a-f]{64}"
AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """The keys of its [[expert]], beside name, kind and weight."""

    image: Annotated[str, Field(min_length=1)]  # registry/name@sha256:..., or the id of one here
    allow_tag: bool = False  # a name that may mean another image tomorrow
    command: tuple[str, ...] = ()  # in place of the image's own
    env: Mapping[str, str] = field(default_factory=dict)
    gpus: str = AUTO  # none, all, "2" or "device=0,1"; auto: those of [compute] device
    memory_gb: Gigabytes = 0.0  # its limit; 0: all but 2 GB of the machine's
    time_limit_s: Annotated[float, Field(gt=0)] = 3600.0  # in which one video must be finished

    def __post_init__(self) -> None:
        faults = [Fault("image", what) for what in _image_faults(self.image, self.allow_tag)]
        faults += [
            Fault("env", f"{name!r} is no name of a variable")
            for name in self.env
            if not name or "=" in name or "\0" in name
        ]
        try:
            request_gpus("none" if self.gpus == AUTO else self.gpus)
        except InputError as error:
            faults.append(Fault("gpus", str(error)))
        if faults:
            raise FaultyInput("the container cannot be:", faults)

    @property
    def digest(self) -> str:
        """The digest that is stated, "" for a tag."""
        found = re.search(f"(?:^|@)({_DIGEST})$", self.image)
        return found.group(1) if found else ""


def _image_faults(image: str, allow_tag: bool) -> Iterator[str]:
    stated = image.partition("@")[2] if "@" in image else image
    if "@" in image or image.startswith("sha256:"):
        if not re.fullmatch(_DIGEST, stated):
            yield f"{stated!r} is no digest: it must be sha256: and 64 hexadecimal digits"
    elif not allow_tag:
        yield (
            f"{image!r} may mean another image tomorrow: write NAME@sha256:..., as "
            f"\"docker image inspect --format '{{{{.RepoDigests}}}}' {image}\" prints it (or "
            "sha256:... alone, its Id, for one that was built here), or allow_tag = true"
        )


def build(name: str, settings: Settings, tools: Tools) -> Expert:
    """Build one; no engine is asked."""
    return ContainerExpert(name, settings, tools)


class ContainerExpert(Expert):
    """Answers with the PNGs that a container writes; docs/container_expert.md has the contract."""

    def __init__(self, name: str, settings: Settings, tools: Tools) -> None:
        self.name = name
        self.settings = settings
        self.tools = tools
        self._pass: ContainerPass | None = None  # while it goes through videos

    # --- what it does ----------------------------------------------------------------------------
    def identity(self) -> dict[str, Any]:
        """The image's digest, command and environment; a tag means what it means now.

        An engine is asked for a tag, and where there is something left to answer.
        """
        digest = self.settings.digest
        if not digest or self._has_work():
            try:
                image = engine.find_image(engine.connect(), self.settings.image)
            except InputError as error:
                raise InputError(f"expert {self.name}: {error}") from None
            digest = digest or engine.digest_of(image, self.settings.image)
        env = dict(sorted(self.settings.env.items()))
        return {"image": digest, "command": list(self.settings.command), "env": env}

    def faults(self, split: Split) -> Sequence[Fault]:
        """The folders that it would have to see and cannot, where it has something left to do."""
        run = self.tools.reporter.folder
        return mount_faults([split.folder, *([run] if run else [])]) if self._has_work() else []

    def frames(self, video: Video) -> tuple[FrameRequest, ...]:
        """None: the container reads the files itself."""
        return ()

    @contextmanager
    def working_on(self, videos: Sequence[Video]) -> Iterator[None]:
        """One container for all of them; it is started when the first is asked for."""
        asked = [part for video in videos if (part := self._unanswered(video)).expressions]
        with ExitStack() as stack:
            place = stack.enter_context(self._place())
            folder = stack.enter_context(job_folder(place, self._split))
            if asked:  # before it is seen what lies there
                remove_left_behind(engine.connect(), folder.output)
            folder.begin(self.identity(), asked)
            self._pass = one = ContainerPass(
                f"expert {self.name}", asked, folder, lambda some: self._start(folder, some),
                self.settings.time_limit_s, self.tools.reporter, whole=not self.tools.may_lack,
            )  # fmt: skip
            patiently = False
            try:
                yield
                patiently = True
            finally:
                self._pass = None
                one.close(patiently=patiently)

    def predict(self, video: Video, session: VideoSession) -> Predictions:
        """Wait for the container's masks, look at them as at any, and read them behind it.

        Asked outside of `working_on`, by whoever learns of one video at a time, it starts a
        container for this video alone.
        """
        if self._pass is None:
            with self.working_on([video]):
                return iter(list(self._answer(video)))
        return self._answer(video)

    @contextmanager
    def _place(self) -> Iterator[Path]:
        """Where its folders are: in the run, or for a worker, which has none, short-lived ones."""
        if (run := self.tools.reporter.folder) is not None:
            yield run / "containers" / self.name
            return
        place = Path(mkdtemp(prefix=f"mevis-{self.name}-"))
        yield place  # after a fault it stays, with its log
        shutil.rmtree(place)

    def _answer(self, video: Video) -> Predictions:
        assert self._pass is not None
        if not self._pass.asks(video.name):
            return iter(())  # another call on this run was first
        asked = self._pass.wait_for(video.name)
        taken = self._pass.folder.take(video.name)
        if links := [path for path in taken.rglob("*") if path.is_symlink()]:
            raise InputError(f"{links[0]}: a link; masks must be files")
        files, part = MaskFolder(taken), part_of(self._split, asked)
        given = look_at_masks(files, part, may_lack=self.tools.may_lack)
        if faults := [*given.faults, *size_faults(files, part, given.members)]:
            raise FaultyInput(f"the container's masks have faults ({taken}):", faults)
        scores = read_scores(taken / video.name / SCORES_FILE, asked)
        return self._read(files, asked, given.members, scores)

    def _read(
        self, files: MaskFolder, asked: Video, members: Mapping[str, str],
        scores: Mapping[str, list[float | None]],
    ) -> Predictions:  # fmt: skip
        answered = {name.rpartition("/")[0] for name in members}
        for one in asked.expressions:
            if f"{asked.name}/{one.id}" in answered:
                track = files.read_track(asked, one.id, members)
                details = {"confidence": scores[one.id]} if one.id in scores else {}
                yield one, Prediction(one.sentence, track, details)
        shutil.rmtree(files.path)  # the store has them

    def _start(self, folder: JobFolder, videos: Sequence[Video]) -> Running:
        client = engine.connect()
        program = Program(
            engine.find_image(client, self.settings.image).id, folder.output,
            folder.write_job(videos), self.settings.command, self.settings.env,
            gpus=self._gpus(), memory=int(self.settings.memory_gb * 1e9) or None,
        )  # fmt: skip
        return Running(client, program, folder.log)

    def _gpus(self) -> str:
        if self.settings.gpus != AUTO:
            return self.settings.gpus
        return gpus_of(self.tools.compute.device, os.environ.get("CUDA_VISIBLE_DEVICES"))

    # --- what is left ----------------------------------------------------------------------------
    @property
    def _split(self) -> Split:
        if self.tools.split is None:
            raise InputError(f"expert {self.name}: a container needs the split that it answers")
        return self.tools.split

    def _unanswered(self, video: Video) -> Video:
        """The video with the sentences that the store has no answer to."""
        path = self.tools.store.path
        left = (
            one for one in video.expressions if not path(self.name, video.name, one.id).exists()
        )
        return replace(video, expressions=tuple(left))

    def _has_work(self) -> bool:
        split = self.tools.split
        return split is None or any(self._unanswered(one).expressions for one in split.videos)

    # --- what is said of it ----------------------------------------------------------------------
    def summary(self, videos: Sequence[Video]) -> str:
        """Its image, and which engine has it."""
        try:
            client = engine.connect()
            engine.find_image(client, self.settings.image)
        except InputError:
            return f"container {self.settings.image}"
        return f"container {self.settings.image} ({engine.version_of(client)} has it)"

    def warnings(self) -> tuple[str, ...]:
        """Why it could not be started now, and what a tag means now."""
        if not self._has_work():
            return ()
        try:
            image = engine.find_image(engine.connect(), self.settings.image)
        except InputError as error:
            return (f"cannot be started: {error}",)
        if self.settings.digest:
            return ()
        digest = engine.digest_of(image, self.settings.image)
        return (f"runs what {self.settings.image} is today: {digest}",)


def gpus_of(device: str, visible: str | None) -> str:
    """Return the GPUs of a device of torch ("cpu", "cuda", "cuda:1"), in the engine's words.

    `visible` is CUDA_VISIBLE_DEVICES, by whose places torch counts.
    """
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return "none"
    seen = [name for name in (visible or "").split(",") if name]
    if index:
        return f"device={seen[int(index)] if int(index) < len(seen) else index}"
    return f"device={','.join(seen)}" if seen else "all"
