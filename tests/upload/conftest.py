"""One server for the folder, a run of the tiny split to hand in, and time that passes when told."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny_split import HEIGHT, WIDTH, meta, square, write_meta

from submission.dataset.mevis import read_split
from submission.dataset.records import DataNames
from submission.masks.track import Track
from submission.output.png_files import write_track
from submission.output.zip_file import write_zip
from submission.pipeline.upload import Call, Upload
from submission.recipes.find import read_recipe
from submission.recipes.recipe import Published
from submission.recipes.stored import as_json
from submission.run.folder import RunFolder
from submission.run.record import RunRecord, describe_data
from submission.terminal.progress import Reporter
from submission.upload.credentials import VARIABLE
from submission.upload.waiting import Clock
from submission.weights.retry import Patience

from .codabench_server import TOKEN, StandIn, running_server


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal is written some twenty times a test; a power cut is not among what is tried."""
    monkeypatch.setattr("submission.files.whole.os.fsync", lambda handle: None)


@pytest.fixture(scope="session")
def running() -> Iterator[StandIn]:
    with running_server() as server:
        yield server


@pytest.fixture
def server(running: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The server as new, and a token for it."""
    running.reset()
    monkeypatch.setenv(VARIABLE, TOKEN)
    return running


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with run.json and submission.zip; its data lie beside it."""
    folder = tmp_path_factory.mktemp("upload")
    data = folder / "data" / "valid_u"
    for video, entry in meta()["videos"].items():
        (data / "JPEGImages" / video).mkdir(parents=True)
        for frame in entry["frames"]:
            image = Image.new("RGB", (WIDTH, HEIGHT))
            image.save(data / "JPEGImages" / video / f"{frame}.jpg")
    write_meta(data, meta())
    split = read_split(data.parent, data.name)
    run = RunFolder(folder / "run")
    for video in split.videos:
        for one in video.expressions:
            masks = [square(2, index) for index in range(len(video.frame_names))]
            track = Track.encode([np.asarray(mask) for mask in masks])
            write_track(run.annotations / video.name / one.id, video.frame_names, track, "1bit")
    write_zip(run.annotations, split, run.zip)
    published = Published("a paper", "valid", {"J&F": 61.98, "J": 58.0, "F": 66.0})
    (folder / "tiny.toml").write_text('[[expert]]\nname = "one"\nkind = "example"\n')
    recipe = replace(read_recipe(folder / "tiny.toml"), root=data.parent, split=data.name,
                     published=published)  # fmt: skip
    RunRecord(run.path, recipe=as_json(recipe), data=describe_data(split, False), experts={})
    return run.path


@dataclass
class Time:
    """A clock that only pauses move."""

    now: float = 1_800_000_000.0
    pauses: list[float] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.now, self.pause)


@dataclass
class Desk:
    """A run, and everything that is needed to hand it in."""

    run: Path
    server: StandIn
    time: Time
    reporter: Reporter

    def upload(self, **changes: Any) -> Upload:
        call = Call(changes.pop("path", self.run), changes.pop("competition", 1),
                    server=changes.pop("server", self.server.url), **changes)  # fmt: skip
        return Upload(call, self.reporter, self.time.clock, Patience(attempts=3))

    def send(self, *, dry: bool = False, agreed: bool = True, **changes: Any) -> str:
        recorded = json.loads((self.run / "run.json").read_text())["data"]
        data = DataNames(Path(recorded["root"]), recorded["split"], recorded["meta"])
        return "\n".join(self.upload(**changes).send(data, dry=dry, agreed=agreed))

    @property
    def journal(self) -> dict[str, Any]:
        return json.loads((self.run / "upload.json").read_text())["uploads"][-1]


@pytest.fixture
def desk(server: StandIn, finished_run: Path, tmp_path: Path) -> Iterator[Desk]:
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    with Reporter("plain") as reporter:
        yield Desk(run, server, Time(), reporter)


Told = Callable[[], str]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """What was said on standard error so far."""
    return lambda: capsys.readouterr().err
