"""The way of a zip: handed in once, waited for, its scores brought home."""

import json

import pytest

from submission.cli import main
from submission.errors import FaultyInput, FaultyResult, InputError
from submission.run.folder import RunFolder
from submission.run.record import RunRecord
from submission.upload.credentials import VARIABLE

from .codabench_server import PASSWORD, TOKEN


def test_a_run_is_handed_in_and_its_scores_come_home(desk, told):
    lines = desk.send()
    assert len(desk.server.runs) == 1
    assert "server     50.89  47.39  54.39" in lines
    assert "published  61.98  58.00  66.00" in lines
    assert desk.journal["scores"] == {"J&F": 0.5089, "J": 0.4739, "F": 0.5439}
    record = json.loads((desk.run / "run.json").read_text())
    assert record["uploads"][0]["scores"]["J&F"] == 0.5089
    assert record["uploads"][0]["zip_sha256"] == desk.journal["zip"]["sha256"]
    said = told()
    assert "tries        0 of 2 used today (UTC), 0 of 5 used in all" in said
    assert "submission 1: Scoring" in said


def test_the_same_command_again_sends_nothing_and_shows_the_scores(desk):
    desk.send()
    before = len(desk.server.calls("POST", "."))
    assert "50.89" in desk.send()
    assert len(desk.server.calls("POST", ".")) == before
    assert len(desk.server.runs) == 1


def test_again_submits_the_same_zip_once_more(desk):
    desk.send()
    desk.send(again=True)
    assert len(desk.server.runs) == 2


def test_a_zip_that_another_machine_submitted_is_found_by_its_content(desk, told):
    desk.send()
    (desk.run / "upload.json").unlink()
    assert "50.89" in desk.send()
    assert "submitted before (number 1)" in told()
    assert len(desk.server.runs) == 1


def test_a_dry_run_sends_nothing(desk):
    assert "competition  1, mevis" in desk.send(dry=True)
    assert desk.server.calls("POST", ".") == []
    assert not (desk.run / "upload.json").exists()


def test_a_number_that_no_competition_has_says_where_numbers_are(desk):
    with pytest.raises(InputError, match=r"competition 99: .* docs/upload\.md known ones \(404\)"):
        desk.send(competition=99)


def test_it_asks_once_before_it_submits(desk, monkeypatch):
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "n")
    with pytest.raises(InputError, match="nothing was sent"):
        desk.send(agreed=False)
    assert len(asked) == 1
    assert desk.server.calls("POST", ".") == []


def test_nobody_to_ask_means_yes_must_be_said(desk, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(InputError, match="add --yes"):
        desk.send(agreed=False)


def test_everything_that_stands_against_it_is_said_at_once(desk):
    desk.server.participant = None
    desk.server.quota = 100
    desk.server.fact_sheet = {"method": {"is_required": "true"}}
    record = json.loads((desk.run / "run.json").read_text())
    record["data"]["is_part"] = True
    (desk.run / "run.json").write_text(json.dumps(record))
    with pytest.raises(FaultyInput) as caught:
        desk.send(phase="Old")
    text = str(caught.value)
    for what in ("part of the split", "not registered", "not going on (Previous",
                 "twice the zip's", "--fact-sheet"):  # fmt: skip
        assert what in text
    assert desk.server.calls("POST", ".") == []


def test_a_zip_that_was_packed_before_the_last_vote_is_not_sent(desk):
    stages = RunFolder(desk.run).stages
    stages.record("vote/dogs", "the rules then")
    then = [stages.read(f"vote/{name}").get("inputs") for name in ("dogs", "cups")]
    stages.record("pack", "", votes=then)
    stages.record("vote/dogs", "the rules of now")
    with pytest.raises(FaultyInput, match="voted on again since it was packed"):
        desk.send()
    assert desk.server.calls("POST", ".") == []
    stages.record("vote/dogs", "the rules then")
    desk.send()


def test_a_zip_with_faults_is_not_sent(desk):
    (desk.run / "submission.zip").write_bytes(b"PK no zip at all")
    with pytest.raises(FaultyResult, match="fault"):
        desk.send()
    assert desk.server.calls("POST", ".") == []


def test_a_dry_run_without_a_login_looks_at_the_zip(desk, monkeypatch):
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(InputError, match=r"no faults, but the server was not asked: no login"):
        desk.send(dry=True)
    (desk.run / "submission.zip").write_bytes(b"PK no zip at all")
    with pytest.raises(FaultyResult, match="not a zip"):
        desk.send(dry=True)
    with pytest.raises(InputError, match=r"^no login"):  # without --dry-run nothing goes before it
        desk.send()


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_v2_zip_is_not_sent_to_a_v1_competition(desk, monkeypatch, ending):
    from submission.upload.competitions import profiles

    monkeypatch.setattr("submission.pipeline.upload.SERVER", desk.server.url)
    monkeypatch.setattr("submission.pipeline.upload.profiles", lambda: {1: profiles()[12222]})
    with pytest.raises(FaultyInput) as caught:
        desk.send(server=desk.server.url + ending)
    text = str(caught.value)
    assert "is MeViS v2; this competition asks v1" in text
    assert "11420" in text
    assert "4 sentences; this competition asks 2,236" in text


def test_a_run_of_a_split_that_is_asked_for_is_told_how_to_hand_it_in(split, tmp_path):
    from dataclasses import replace
    from pathlib import Path

    from submission.dataset.records import Video
    from submission.verbs.submit import upload_lines

    one = split.videos[0].expressions[1]
    videos = [Video(f"{n}", ("0",), (2, 2), (one,) * (16 if n else 12)) for n in range(140)]
    valid = replace(split, videos=tuple(videos), meta_file=Path("meta_expressions.json"))
    assert valid.num_sentences == 2236
    (line,) = upload_lines(valid, tmp_path)
    assert f"upload {tmp_path} --competition 12222" in line
    assert upload_lines(split, tmp_path) == []


def test_a_competition_that_wants_team_json_gets_no_zip_without(desk, monkeypatch):
    from dataclasses import replace

    from submission.upload.competitions import profiles

    fitting = replace(profiles()[17496], split="valid_u")
    monkeypatch.setattr("submission.pipeline.upload.SERVER", desk.server.url)
    monkeypatch.setattr("submission.pipeline.upload.profiles", lambda: {1: fitting})
    with pytest.raises(FaultyResult, match=r"team\.json: it is missing"):
        desk.send()


def test_status_looks_once_and_cancel_takes_it_back(desk):
    desk.server.way = [("Submitted", 0), ("Running", 0)]
    with pytest.raises(FaultyResult, match="time to wait was over"):
        desk.send(seconds=10)
    assert "submission 1: Running" in "\n".join(desk.upload().status())
    assert desk.upload().cancel(agreed=True) == ["submission 1: Cancelled"]
    with pytest.raises(FaultyResult, match="counts against the limits"):
        desk.send()


def test_waiting_goes_on_where_it_stopped(desk):
    with pytest.raises(FaultyResult, match="nothing is lost"):
        desk.send(seconds=0)
    assert "50.89" in desk.send()
    assert len(desk.server.runs) == 1


def test_a_state_that_stays_is_told_with_its_meaning(desk, told):
    desk.server.way = [("Submitted", 0)]
    with pytest.raises(FaultyResult):
        desk.send(seconds=900)
    said = told()
    assert "no compute worker is there to take it" in said
    assert said.count("Submitted for") == 2  # after two minutes, then every ten
    assert max(desk.time.pauses) == 30


def test_a_network_that_comes_back_ends_no_waiting(desk, told):
    desk.server.moods = [("GET", r"submissions/1/$", "drop before")] * 3
    assert "50.89" in desk.send()
    assert "Waiting goes on" in told()


def test_a_busy_server_is_asked_again_after_what_it_wants(desk):
    desk.server.moods = [("GET", "user_quota", (503, "busy", {"Retry-After": "7"}))]
    desk.send()
    assert 7.0 in desk.time.pauses


def test_a_busy_server_that_wants_hours_is_believed(desk):
    desk.server.moods = [("GET", "user_quota", (503, "busy", {"Retry-After": "7200"}))]
    with pytest.raises(InputError, match="asks to wait 7200 s"):
        desk.send()


def test_a_failure_shows_the_end_of_its_log_and_keeps_all(desk):
    desk.server.way = [("Submitting", 0), ("Failed", 0)]
    desk.server.details = "Child task failed or non-zero return code"
    desk.server.logs = {"scoring_stderr": "Traceback\nFileNotFoundError: 00000.png\n",
                        "prediction_stderr": ""}  # fmt: skip
    with pytest.raises(FaultyResult) as caught:
        desk.send()
    assert "scoring_stderr ends with:" in str(caught.value)
    assert "FileNotFoundError: 00000.png" in str(caught.value)
    assert (desk.run / "upload-logs" / "1" / "scoring_stderr.txt").exists()
    assert caught.value.exit_status == 1


def test_place_and_neighbours_are_printed(desk):
    desk.server.board = [
        {"owner": owner, "scores": [{"column_key": "J&F", "score": score}]}
        for owner, score in [("u1", "0.9"), ("u2", "0.8"), ("bob", "0.7"), ("alice", "0.5"),
                             ("carol", "0.4")]
    ]  # fmt: skip
    lines = desk.upload().leaderboard()
    assert lines[0] == "place 4 of 5, ranked by J&F"
    assert [line.split()[1] for line in lines[2:]] == ["u2", "bob", "4", "carol"]
    assert lines[4].startswith("> 4  alice")
    assert "place 4 of 5" in desk.send()


def test_a_second_command_at_the_same_time_is_turned_away(desk):
    with desk.upload().journal.alone(), pytest.raises(InputError, match="another command"):
        desk.send()


def test_a_bare_zip_has_a_journal_of_its_own(desk, tmp_path):
    path = tmp_path / "mine.zip"
    path.write_bytes((desk.run / "submission.zip").read_bytes())
    assert "50.89" in desk.send(path=path)
    assert (tmp_path / "mine.zip.upload.json").exists()


def test_the_verb_prints_the_outcome(desk, capsys, monkeypatch):
    monkeypatch.setattr("submission.verbs.upload.Upload", lambda call, reporter: desk.upload())
    call = ["upload", str(desk.run), "--competition", "1", "--server", desk.server.url, "--yes"]
    assert main(call) == 0
    assert "server     50.89" in capsys.readouterr().out
    assert main(["upload", str(desk.run), "--wait", "soon"]) == 2
    assert "--wait soon" in capsys.readouterr().err


# --- login ---------------------------------------------------------------------------------------
def test_a_password_is_asked_once_and_kept_nowhere(desk, monkeypatch, told):
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: "alice")
    monkeypatch.setattr("submission.terminal.progress.getpass", lambda question: PASSWORD)
    assert "50.89" in desk.send()
    kept = "".join(path.read_text() for path in desk.run.glob("*.json")) + told()
    assert PASSWORD not in kept
    assert TOKEN not in kept


def test_a_keyring_is_asked_where_no_token_is_in_the_environment(desk, monkeypatch):
    import sys
    from types import ModuleType

    keyring, errors = ModuleType("keyring"), ModuleType("keyring.errors")
    errors.KeyringError = RuntimeError
    keyring.get_password = lambda service, name: (
        TOKEN if (service, name) == ("mevis-submission", "127.0.0.1") else None
    )
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    monkeypatch.delenv(VARIABLE)
    assert "competition" in desk.send(dry=True)

    def locked(service, name):
        raise RuntimeError("locked")

    keyring.get_password = locked
    with pytest.raises(InputError, match=f"set {VARIABLE}"):
        desk.send(dry=True)


def test_only_https_is_spoken_except_to_this_machine(desk):
    with pytest.raises(InputError, match="only https://"):
        desk.upload(server="http://www.codabench.org")


def test_a_storage_in_the_clear_gets_no_zip(desk, monkeypatch):
    from submission.upload.codabench import Codabench, NewData

    monkeypatch.setattr(
        Codabench, "make_data",
        lambda *_: NewData("k", "http://storage.example/a/0123456789ab/x.zip", "0123456789ab"),
    )  # fmt: skip
    with pytest.raises(InputError, match="only https://"):
        desk.send()


def test_a_call_that_worked_on_the_run_meanwhile_keeps_its_upload(desk):
    recorded = json.loads((desk.run / "run.json").read_text())
    record = RunRecord(desk.run, recipe=recorded["recipe"], data=recorded["data"], experts={})
    desk.send()
    record.save(warnings=[])
    kept = json.loads((desk.run / "run.json").read_text())
    assert [one["submission"] for one in kept["uploads"]] == [1]
    assert kept["warnings"] == []
