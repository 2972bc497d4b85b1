"""Building and running through the Docker API, with a pretended engine and without one."""

import os
import subprocess
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
from docker.errors import APIError, ImageNotFound

from submission.cli import main
from submission.container.engine import digest_of
from submission.container.image import ImageBuild, build, public_address
from submission.container.named import named_by
from submission.container.run import ContainerRun, docker_command, run
from submission.errors import FaultyInput, InputError


class Container:
    """Prints `output`, ends with `status`; a kind of BaseException in `output` is raised."""

    def __init__(self, output, status):
        self.output, self.status, self.history = output, status, []

    def attach(self, **options):
        assert options == {"stream": True, "logs": True, "demux": True}
        for item in self.output:
            if isinstance(item, BaseException):
                raise item
            yield item

    def start(self):
        self.history.append("start")

    def stop(self, timeout):
        self.history.append("stop")

    def wait(self):
        return {"StatusCode": self.status}

    def remove(self, force):
        self.history.append("remove")


def engine(container=None, *, refuses=None, chunks=(), rootless=False):
    """A client of the Docker SDK that knows one container and one image."""

    def create(**options):
        client.asked = options
        if refuses:
            raise refuses
        return container

    options = ["name=rootless"] if rootless else []
    client = SimpleNamespace(
        containers=SimpleNamespace(create=create),
        images=SimpleNamespace(get=lambda name: SimpleNamespace(id="sha256:abc")),
        api=SimpleNamespace(build=lambda **options: iter(chunks)),
        info=lambda: {"SecurityOptions": options},
    )
    return client


# --- run -----------------------------------------------------------------------------------------
@pytest.fixture
def what(tmp_path):
    return ContainerRun("kit", ("submit",), tmp_path / "runs")


def test_a_run_hands_on_both_streams_and_the_status_and_removes_the_container(what):
    container = Container([(b"zip\n", None), (None, b"vote\n")], 1)
    heard = []
    assert run(engine(container), what, lambda *both: heard.append(both)) == 1
    assert heard == [(b"zip\n", None), (None, b"vote\n")]
    assert container.history == ["start", "remove"]
    assert what.runs.is_dir()


def test_ctrl_c_stops_the_container_before_it_is_removed(what):
    container = Container([KeyboardInterrupt()], 130)
    with pytest.raises(KeyboardInterrupt):
        run(engine(container), what, lambda *both: None)
    assert container.history == ["start", "stop", "remove"]


def test_missing_folders_are_all_named_before_anything_is_asked_of_the_engine(tmp_path):
    what = ContainerRun("kit", (), tmp_path, data=tmp_path / "a", weights=tmp_path / "b")
    client = engine()
    with pytest.raises(FaultyInput) as caught:
        run(client, what, lambda *both: None)
    assert len(caught.value.faults) == 2
    assert not hasattr(client, "asked")
    assert not (tmp_path / "a").exists()


def test_in_a_rootless_engine_the_caller_is_root_inside_unless_a_user_is_named(what, tmp_path):
    client = engine(Container([], 0), rootless=True)
    run(client, what, lambda *both: None)
    assert client.asked["user"] == "0:0"
    named = ContainerRun("kit", (), tmp_path, user="5:6")
    run(client, named, lambda *both: None)
    assert client.asked["user"] == "5:6"


def test_the_container_is_told_which_image_it_is(what):
    client = engine(Container([], 0))
    run(client, what, lambda *both: None)
    assert client.asked["environment"]["MEVIS_IMAGE"] == "sha256:abc"


@pytest.mark.parametrize(
    ("gpus", "count", "devices"),
    [("all", -1, []), ("2", 2, []), ("device=1,2", 0, ["1", "2"])],
)
def test_gpus_are_asked_for_as_the_command_line_of_docker_does(tmp_path, gpus, count, devices):
    assert ContainerRun("kit", (), tmp_path).options()["device_requests"] == []
    (request,) = ContainerRun("kit", (), tmp_path, gpus=gpus).options()["device_requests"]
    assert (request.count, request.device_ids) == (count, devices)
    assert request.capabilities == [["gpu"]]


def test_other_words_for_gpus_are_refused(tmp_path):
    for wrong in ("some", "0", "device=", "-1"):
        with pytest.raises(InputError, match="device=0,1"):
            ContainerRun("kit", (), tmp_path, gpus=wrong).options()


def test_the_command_that_is_printed_does_what_the_api_is_asked_for(tmp_path):
    (tmp_path / "data").mkdir()
    what = ContainerRun("kit", ("submit",), tmp_path / "runs", data=tmp_path / "data", memory=7,
                        gpus="device=1,2", threads="3")  # fmt: skip
    command, options = docker_command(what), what.options()

    def values(option):
        return [value for before, value in pairwise(command) if before == option]

    assert values("--volume") == options["volumes"]
    assert values("--volume")[1] == f"{tmp_path}/data:/data:ro"
    assert values("--network") == ["none"]
    assert "--read-only" in command
    assert values("--tmpfs") == ["/tmp:size=8g"]
    assert values("--cap-drop") == options["cap_drop"]
    assert values("--security-opt") == options["security_opt"]
    assert values("--pids-limit") == [str(options["pids_limit"])]
    assert values("--memory") == ["7"]
    assert values("--user") == [options["user"]]
    assert values("--gpus") == ['"device=1,2"']
    assert values("--env") == ["OMP_NUM_THREADS=3"]
    assert command[-2:] == ["kit", "submit"]


def test_without_a_limit_some_memory_is_left_to_the_host(tmp_path):
    limit = ContainerRun("kit", (), tmp_path).options()["mem_limit"]
    assert 0 < limit < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# --- what a recipe names -------------------------------------------------------------------------
def test_everything_a_recipe_names_is_mounted_where_it_lies(tmp_path):
    (tmp_path / "masks.zip").touch()
    (tmp_path / "own").mkdir()
    recipe = tmp_path / "my.toml"
    recipe.write_text(
        'name = "mine"\n[data]\nroot = "../elsewhere"\n'
        '[[expert]]\nname = "a"\nmasks = "masks.zip"\n'
        '[[expert]]\nname = "b"\ncheckpoint = "./own"\n'
        '[[expert]]\nname = "c"\ncheckpoint = "Sa2VA-8B"\n'
    )
    named = named_by(recipe)
    assert named == (recipe, tmp_path / "../elsewhere", tmp_path / "masks.zip", tmp_path / "own")
    what = ContainerRun("kit", (), tmp_path / "runs", named=named)
    (fault,) = what.faults()
    assert fault.where.endswith("../elsewhere")
    (tmp_path.parent / "elsewhere").mkdir(exist_ok=True)
    assert what.faults() == []
    inside = {place for place in what.mounts() if place != "/runs"}
    assert inside == {str(recipe), str(tmp_path.parent / "elsewhere"), f"{tmp_path}/masks.zip",
                      f"{tmp_path}/own"}  # fmt: skip
    assert {mode for place, (_, mode) in what.mounts().items() if place != "/runs"} == {"ro"}


def test_a_place_inside_is_no_file_of_this_machine(tmp_path):
    named = (Path("/weights/small-5"), Path("/data/valid"), Path("/runs/other"))
    folders = {"data": tmp_path, "weights": tmp_path}
    what = ContainerRun("kit", (), tmp_path, named=named, **folders)
    assert not what.faults()
    assert set(what.mounts()) == {"/runs", "/data", "/weights"}
    unmounted = ContainerRun("kit", (), tmp_path, named=named)
    assert [fault.where for fault in unmounted.faults()] == ["/weights/small-5", "/data/valid"]


def test_a_place_with_a_colon_is_refused_which_an_engine_would_take_for_two(tmp_path):
    (fault,) = ContainerRun("kit", (), tmp_path / "at 10:30", data=tmp_path).faults()
    assert (fault.where, "colon" in fault.what) == (f"{tmp_path}/at 10:30", True)


def test_what_would_cover_the_image_is_refused(tmp_path):
    what = ContainerRun("kit", (), tmp_path, named=(Path("/usr/bin"),))
    assert "cover a place of the image" in str(what.faults()[0])


@pytest.mark.parametrize("words", [["--data", "nowhere"], ["--recipe", "nowhere.toml"]])
def test_a_call_names_what_is_missing_where_no_engine_answers(words, monkeypatch, capsys):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert main(["container", "run", *words, "submit"]) == 2
    told = capsys.readouterr().err
    assert words[1] in told
    assert "No container engine" not in told


def test_a_call_hands_on_what_it_mounts(tmp_path, monkeypatch):
    recipe = tmp_path / "my.toml"
    recipe.write_text('[[expert]]\nname = "a"\ncheckpoint = "Sa2VA-8B"\n')
    (tmp_path / "mevis").mkdir()
    asked = []
    monkeypatch.setattr("submission.container.engine.connect", lambda: engine(rootless=True))
    monkeypatch.setattr(
        "submission.container.run.run", lambda client, what, say: asked.append(what) or 0
    )
    words = ["container", "run", "--gpus", "1", "--data", str(tmp_path / "mevis")]
    words += ["--recipe", str(recipe), "--run", str(tmp_path / "runs/mine")]
    assert main([*words, "submit", "--split", "valid"]) == 0
    (what,) = asked
    assert what.words == ("submit", "--split", "valid", "--run", "/runs/mine", "--data", "/data",
                          "--recipe", str(recipe))  # fmt: skip
    assert what.runs == tmp_path / "runs"
    assert what.lock.name == "weights.lock"
    assert what.user == "0:0"  # root in a rootless engine, also in the command that is printed


# --- who owns the results ------------------------------------------------------------------------
def test_nobody_is_root_inside_an_engine_that_root_runs(what, tmp_path, monkeypatch):
    owners = []
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda path, *owner: owners.append((path, *owner)))
    client = engine(Container([], 0))
    run(client, what, lambda *both: None)
    mine = what.runs.stat()
    if mine.st_uid:  # the folder's owner, where it is not root
        assert client.asked["user"] == f"{mine.st_uid}:{mine.st_gid}"
        return
    assert client.asked["user"] == "10001:10001"
    assert owners == [(what.runs, 10001, 10001)]
    (what.runs / "old").mkdir()
    with pytest.raises(InputError, match="chown -R 10001:10001"):
        run(client, what, lambda *both: None)


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (ImageNotFound("404", explanation="No such image: kit:latest"), "make image"),
        (APIError("500", explanation='could not select device driver ""'),
         "nvidia-container-toolkit"),
        (APIError("500", explanation="no space left on device"), "no space left on device"),
    ],
)  # fmt: skip
def test_a_refusal_of_the_engine_becomes_a_sentence(what, refusal, advice):
    with pytest.raises(InputError, match=advice):
        run(engine(refuses=refusal), what, lambda *both: None)


def test_without_an_engine_the_command_line_says_so_and_ends_with_2(monkeypatch, capsys):
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    assert main(["container", "run", "submit"]) == 2
    said = capsys.readouterr().err
    assert "No container engine answers at tcp://127.0.0.1:9: Connection refused" in said


@pytest.mark.parametrize(
    ("name", "digests", "pin"),
    [
        ("here:5000/a/motion:1", ["else/motion@sha256:1", "here:5000/a/motion@sha256:2"], "2"),
        ("motion", ["docker.io/library/motion@sha256:3"], "3"),
        ("here:5000/motion", ["other/thing@sha256:4"], "id"),
        ("emotion", ["docker.io/motion@sha256:5"], "id"),
    ],
)
def test_an_image_is_pinned_by_the_digest_of_its_own_registry_else_by_its_id(name, digests, pin):
    image = SimpleNamespace(id="sha256:id", attrs={"RepoDigests": digests})
    assert digest_of(image, name) == f"sha256:{pin}"


# --- build ---------------------------------------------------------------------------------------
@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "Dockerfile").touch()
    return ImageBuild(tmp_path, "kit")


def test_a_build_tells_whole_lines_and_no_progress_bars(checkout):
    chunks = [
        {"stream": "Step 1"}, {"stream": " : FROM x\nStep 2\r\n"},
        {"status": "Downloading", "progressDetail": {"current": 1}, "id": "a1"},
        {"status": "Pull complete", "progressDetail": {}, "id": "a1"},
        {"aux": {"ID": "sha256:abc"}},
    ]  # fmt: skip
    lines = []
    assert build(engine(chunks=chunks), checkout, lines.append) == "sha256:abc"
    assert lines == ["Step 1 : FROM x", "Step 2", "Pull complete a1"]


def test_a_failed_build_repeats_the_last_lines(checkout):
    chunks = [{"stream": "no such wheel\n"}, {"error": "exit status 1"}]
    with pytest.raises(InputError, match=r"kit was not built: exit status 1\n  no such wheel"):
        build(engine(chunks=chunks), checkout, lambda line: None)


def test_only_a_checkout_can_be_built(tmp_path):
    with pytest.raises(InputError, match="--source"):
        build(engine(), ImageBuild(tmp_path, "kit"), lambda line: None)


@pytest.mark.parametrize(
    ("origin", "address"),
    [
        ("https://user:token@example.org/kit.git", "https://example.org/kit.git"),
        ("git@example.org:kit.git", ""),
        ("/home/somebody/kit", ""),
        ("", ""),
    ],
)
def test_the_label_of_the_source_is_a_public_address_or_nothing(tmp_path, origin, address):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    if origin:
        subprocess.run(["git", "remote", "add", "origin", origin], cwd=tmp_path, check=True)
    assert public_address(Path(tmp_path)) == address
