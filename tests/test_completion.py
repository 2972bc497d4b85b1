import subprocess

import pytest

from submission.cli import main

ASK = """
source "$1"; shift
COMP_WORDS=(mevis-submission "$@"); COMP_CWORD=$#
_shtab_mevis_submission
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def completed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    with pytest.MonkeyPatch.context() as patched, (folder / "words.bash").open("w") as file:
        patched.setattr("sys.stdout", file)
        with pytest.raises(SystemExit):
            main(["--print-completion", "bash"])

    def complete(*words):
        done = subprocess.run(
            ["bash", "-c", ASK, "bash", folder / "words.bash", *words],
            cwd=folder, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.split()

    (folder / "mine.toml").touch()
    return complete


def test_a_shell_completes_verbs_options_choices_and_paths(completed):
    assert completed("sub") == ["submit"]
    assert "--dry-run" in completed("submit", "--dr")
    assert completed("container", "build", "--torch", "cuda1") == ["cuda12"]
    assert completed("submit", "--recipe", "mi") == ["mine.toml"]
    assert completed("check", "mi") == ["mine.toml"]
    assert completed("submit", "--nothing") == []
