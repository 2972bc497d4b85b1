"""An engine that starts a container's command as a process of this machine, for tests of contracts.

It is a client of the Docker SDK as far as the kit uses one. Mounts are links below a folder of its
own, and words of the command that begin with a mounted place become paths there: what reads its
folders from its arguments runs as it would in a container, without being confined.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from types import SimpleNamespace

from docker.errors import ImageNotFound

DIGEST = "sha256:" + "ab" * 32
IMAGE = f"registry.example/motion@{DIGEST}"


class LocalContainer:
    """One process; `engine.history` says what was done to it."""

    def __init__(self, engine, options):
        self.id = f"{len(engine.started):012x}"
        self.options = options
        self.engine = engine
        self.process = None
        self._read, self._write = os.pipe()

    def attach(self, stream, logs):
        assert stream
        assert logs
        return iter(lambda: os.read(self._read, 4096), b"")

    def start(self):
        root = Path(tempfile.mkdtemp(dir=self.engine.folder))
        mounts = {}
        for volume in sorted(self.options["volumes"], key=lambda one: one.split(":")[1]):
            outside, inside, mode = volume.split(":")
            place = root / inside.lstrip("/")
            if mode == "rw":
                place.symlink_to(outside)
            else:
                _link_below(place, Path(outside))
            mounts[inside] = place
        command = [self._inside(word, mounts) for word in self.options["command"]]
        environment = {**os.environ, **self.options["environment"]}
        self.process = subprocess.Popen(
            command, stdout=self._write, stderr=self._write, env=environment
        )
        os.close(self._write)

    def _inside(self, word, mounts):
        fitting = [place for place in mounts if word == place or word.startswith(f"{place}/")]
        return str(mounts[fitting[0]]) + word[len(fitting[0]) :] if fitting else word

    def wait(self):
        code = self.process.wait()
        return {"StatusCode": code if code >= 0 else 128 - code}

    def stop(self, timeout):
        self.engine.history.append("stop")
        self.process.terminate()

    def remove(self, force):
        assert force
        self.engine.history.append("remove")
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            os.close(self._read)


class LocalEngine:
    """The client; `started` are the options of every container."""

    def __init__(self, folder, images=(IMAGE,)):
        self.folder = folder
        self.folder.mkdir()
        self.started = []
        self.history = []
        self.left_behind = []  # containers of a kit that was killed
        self._images = set(images)
        self.containers = SimpleNamespace(create=self._create, list=self._list)
        self.images = SimpleNamespace(get=self._get)

    def ping(self):
        return True

    def info(self):
        return {"SecurityOptions": ["name=rootless"]}

    def version(self):
        return {"Components": [{"Name": "Local Engine", "Version": "1"}]}

    def _create(self, **options):
        self.started.append(options)
        return LocalContainer(self, options)

    def _list(self, all, filters):
        assert all
        assert filters["label"].startswith("mevis-submission.output=")
        return self.left_behind

    def _get(self, name):
        if name not in self._images:
            raise ImageNotFound("404", explanation="No such image")
        return SimpleNamespace(id=DIGEST, attrs={"RepoDigests": []})


def _link_below(place, outside):
    """Links to what a folder holds, for another mount to find room among them."""
    place.is_dir() and [one.unlink() for one in place.iterdir()]
    place.mkdir(parents=True, exist_ok=True)
    for one in outside.iterdir():
        if one.is_dir() and not any(one.iterdir()):
            (place / one.name).mkdir()  # what another folder is mounted on
        else:
            (place / one.name).symlink_to(one)
