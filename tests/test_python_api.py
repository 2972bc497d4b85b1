"""What is promised to Python: the names, that they cost nothing, and the page that shows them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import submission
from submission import Run, check, read_recipe, read_split, score
from submission.errors import InputError

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_every_name_is_there_once_it_is_asked_for():
    assert {name for name in submission.__all__ if not callable(getattr(submission, name))} == {
        "__version__"
    }
    assert set(submission.__all__) <= set(dir(submission))
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        submission.scores  # noqa: B018


def test_importing_it_loads_nothing_and_score_is_called_before_and_after_its_package_is_known():
    code = (
        "import sys, submission;"
        "light = {'torch', 'numpy', 'pydantic'} & set(sys.modules);"
        "from submission import score; import submission.score.scoring as module;"
        "from submission import score as again;"
        "print(light, score is again, callable(score), 'torch' in sys.modules, module.__name__)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "set() True True False submission.score.scoring\n"


def test_the_notebook_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    _, notebook = PAGE.read_text(encoding="utf-8").split("## A notebook")
    (code,) = re.findall(r"```python\n(.*?)```", notebook, re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102
    assert names["verdict"].ok
    assert names["means"] == pytest.approx(names["outcome"].scores.results["vote"].means)
    assert names["answer"].masks.shape == names["frames"].shape[:3]
    assert "no faults" in capsys.readouterr().out


def test_what_is_not_there_is_said(split_folder, tmp_path):
    split = read_split(split_folder.parent, split_folder.name)
    for look in (check, score):
        with pytest.raises(InputError, match="no such file or folder"):
            look(tmp_path / "nothing.zip", split)


def test_a_path_may_be_a_text(split_folder, tmp_path):
    split = read_split(str(split_folder.parent), split_folder.name)
    recipe = read_recipe("sample").with_data(str(split_folder.parent), split_folder.name)
    assert Run(recipe, folder=str(tmp_path / "run")).split == split
    for look in (check, score):
        with pytest.raises(InputError, match="no such file or folder"):
            look(str(tmp_path / "nothing.zip"), split)
