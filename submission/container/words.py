"""The engine's command line that does the same as a run through its API, to be read and copied."""

from submission.container.run import ContainerRun


def docker_command(what: ContainerRun, program: str = "docker") -> list[str]:
    """Return the words of `docker run` for a run.

    Raises InputError as `ContainerRun.options`.
    """
    options = what.options()
    temporary = [f"{place}:{size}" for place, size in options["tmpfs"].items()]
    words = [
        program, "run", "--rm", "--network", options["network_mode"], "--read-only",
        "--tmpfs", *temporary,
        "--cap-drop", *options["cap_drop"], "--security-opt", *options["security_opt"],
        "--pids-limit", str(options["pids_limit"]), "--memory", str(options["mem_limit"]),
        "--user", options["user"],
    ]  # fmt: skip
    if what.gpus != "none":
        words += ["--gpus", f'"{what.gpus}"' if "," in what.gpus else what.gpus]
    for name, value in options["environment"].items():
        words += ["--env", f"{name}={value}"]
    for volume in options["volumes"]:
        words += ["--volume", volume]
    if what.entrypoint:
        words += ["--entrypoint", what.entrypoint]
    return [*words, what.image, *what.words]
