"""The 25 traps of the server, one test each, in the order of the recorded list."""

import json

import pytest

from submission.errors import FaultyInput, FaultyResult, InputError
from submission.upload.answers import said
from submission.upload.codabench import Codabench
from submission.upload.credentials import VARIABLE
from submission.upload.journal import read_zip
from submission.upload.steps import stored_name
from submission.upload.transport import Refusal, Token, Transport
from submission.weights.retry import Patience

from .codabench_server import HTML_500, LIMIT, TOKEN, WAY


def api(server, token=TOKEN) -> Codabench:
    """The questions alone, without a run."""
    login = Token(token) if token else None
    return Codabench(Transport(server.url, Patience(attempts=2), lambda seconds: None, login))


def test_01_no_login_is_403_never_401(desk, monkeypatch):
    monkeypatch.setenv(VARIABLE, "wrong-token-value")
    with pytest.raises(InputError, match=r"does not accept the login: Invalid token\.") as caught:
        desk.send()
    assert "wrong-token-value" not in str(caught.value)
    monkeypatch.setenv(VARIABLE, TOKEN)
    desk.server.inactive = True
    with pytest.raises(InputError, match="User inactive or deleted"):
        desk.send()
    with pytest.raises(Refusal, match="Unable to log in"):
        api(desk.server).log_in("alice", "nope")


def test_02_redirects_are_refused_and_every_address_ends_with_a_slash(desk):
    desk.send()
    calls = [asked.path.partition("?")[0] for asked in desk.server.calls(".*", "")]
    assert all(path.endswith("/") for path in calls if path.startswith("/api/"))
    desk.server.moods = [
        ("GET", "my_profile", (301, "", {"Location": "https://codabench.example/api/"}))
    ]
    before = len(desk.server.asked)
    with pytest.raises(InputError, match=r"sends on to codabench\.example, which is not followed"):
        desk.send()
    assert len(desk.server.asked) == before + 1


def test_03_no_cookie_comes_along_with_the_token(desk):
    desk.send()  # the answer about the account sets one
    assert [asked for asked in desk.server.asked if "cookie" in asked.headers] == []


@pytest.mark.parametrize("generation", ["old", "new"])
def test_04_a_phase_that_is_over_is_refused_although_the_server_would_take_it(desk, generation):
    desk.server.generation, desk.server.status = generation, "Previous"
    with pytest.raises(FaultyInput, match="not going on"):
        desk.send(phase="Validation")
    with pytest.raises(InputError, match=r"no single phase is going on; choose one with --phase"):
        desk.send()
    assert desk.server.runs == {}


@pytest.mark.parametrize("generation", ["old", "new"])
def test_05_a_limit_is_400_or_500_at_the_submit_and_asked_before(desk, generation):
    desk.server.generation = generation
    desk.server.per_day = 0
    with pytest.raises(FaultyInput, match="Reached maximum allowed"):
        desk.send()
    assert desk.server.calls("PUT", "/storage/") == []
    # The last try goes to somebody else between the question and the submit.
    desk.server.per_day = 1
    answer = (400, {"non_field_errors": [LIMIT]}) if generation == "new" else (500, HTML_500)
    desk.server.moods = [("POST", "submissions/", answer)]
    with pytest.raises(InputError, match=r"Reached maximum|failed at the submit"):
        desk.send()
    assert "50.89" in desk.send()
    assert len(desk.server.calls("PUT", "/storage/")) == 1
    assert len(desk.server.runs) == 1


def test_06_the_size_is_told_and_every_shape_of_an_error_is_read(desk):
    desk.send()
    (made,) = desk.server.calls("POST", "datasets/")
    assert json.loads(made.body)["file_size"] == (desk.run / "submission.zip").stat().st_size
    with pytest.raises(Refusal, match=r"file_size: This field is required\."):
        api(desk.server).make_data("a.zip", 0, 1)
    shapes = [{"a": ["x"]}, {"a": "x"}, {"non_field_errors": ["x"]}, {"detail": "x"},
              {"error": "x"}, ["x"], HTML_500]  # fmt: skip
    told = ["a: x", "a: x", "x", "x", "x", "x", "a web page, no reason"]
    assert [said(shape) for shape in shapes] == told
    assert said({"detail": "a\x1b[31mred"}) == "a [31mred"


@pytest.mark.parametrize(
    ("method", "pattern"),
    [("GET", "my_profile"), ("GET", "user_quota"), ("GET", "can_make"), ("POST", "datasets/"),
     ("GET", "datasets/")],
)  # fmt: skip
@pytest.mark.parametrize("shape", [None, {"other": 1}, ["alice"], {"results": ["x"]}])
def test_06b_an_answer_of_another_shape_is_a_sentence(desk, method, pattern, shape):
    desk.server.moods = [(method, pattern, (200, shape))]
    with pytest.raises(InputError, match=r"is not what it should be"):
        desk.send()
    assert desk.server.runs == {}


def test_06c_a_login_of_another_shape_is_a_sentence(server):
    server.moods = [("POST", "api-token-auth", (200, {"key": "x"}))]
    with pytest.raises(InputError, match="about a login is not what it should be"):
        api(server, None).log_in("alice", "x")


def test_07_the_upload_has_the_one_content_type_a_length_and_no_token(desk, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    desk.send()
    (put,) = desk.server.calls("PUT", "/storage/")
    assert put.headers["content-type"] == "application/zip"
    assert put.headers["content-length"] == str((desk.run / "submission.zip").stat().st_size)
    assert "authorization" not in put.headers
    assert "transfer-encoding" not in put.headers
    mismatch = (403, "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>")
    desk.server.moods = [("PUT", "/storage/", mismatch)]
    with pytest.raises(Refusal, match="SignatureDoesNotMatch"):
        desk.send(again=True)


def test_08_an_upload_that_arrived_empty_is_noticed(desk, monkeypatch):
    from submission.upload import transport

    monkeypatch.setattr(transport._Counted, "__len__", lambda self: 0)
    monkeypatch.setattr(transport._Counted, "read", lambda self, size=-1: b"")
    with pytest.raises(InputError, match="stored another size; nothing was submitted"):
        desk.send()
    lengths = [asked.headers["content-length"] for asked in desk.server.calls("PUT", "/storage/")]
    assert set(lengths) == {"0"}
    assert len(lengths) == 4  # again at once, for its checksum, and again in a new place
    assert desk.server.runs == {}
    assert desk.server.data == {}


def test_09_completed_is_called_once_and_after_the_upload(desk):
    desk.server.moods = [("PUT", "/storage/", "drop before")]
    desk.send()
    puts = [asked.path for asked in desk.server.asked if asked.method == "PUT"]
    assert ["completed" in path for path in puts] == [False, False, True]
    assert len({path for path in puts if "/storage/" in path}) == 1


def test_10_a_broken_upload_begins_anew_and_leaves_no_orphans(desk):
    desk.server.moods = [("PUT", "/storage/", (400, "IncompleteBody"))]
    desk.send()
    assert len(desk.server.data) == 1
    desk.server.expired = {"000002abcdef"}
    desk.send(again=True)  # its first place has expired: another is asked for
    assert len(desk.server.runs) == 2


def test_11_a_submit_whose_answer_is_lost_is_looked_for_by_its_folder(desk):
    desk.server.moods = [("POST", "submissions/", "drop after")]
    assert "50.89" in desk.send()
    assert len(desk.server.runs) == 1
    assert len(desk.server.calls("POST", "submissions/")) == 1
    assert any("search=000001abcdef" in asked.path for asked in desk.server.asked)


def test_12_the_content_is_in_the_name_since_the_list_has_no_hash(desk, tmp_path):
    file = read_zip(desk.run / "submission.zip")
    path = tmp_path / "ok é +&#?name of a very long file that goes on and on.zip"
    path.write_bytes(file.path.read_bytes())
    name = stored_name(read_zip(path))
    assert name.startswith(file.sha256[:12])
    assert name == "".join(c for c in name if c.isascii() and (c.isalnum() or c in ".-"))
    assert len(name) <= 35 + len(".zip")


def test_13_fact_sheets_are_checked_here(desk):
    with pytest.raises(FaultyInput, match="has none: leave out --fact-sheet"):
        desk.send(answers={"method": "x"})
    desk.server.fact_sheet = {
        "method": {"key": "method", "is_required": "true", "type": "text"},
        "data": {"key": "data", "is_required": "false", "selection": ["mevis", "extra"]},
    }
    with pytest.raises(FaultyInput) as caught:
        desk.send(answers={"method": "", "data": "coco", "x": "y"})
    for what in ('"x" is not asked for', '"method" requires', '"data" must be one of mevis, extra'):
        assert what in str(caught.value)
    with pytest.raises(FaultyInput, match="it asks for answers"):
        desk.send()
    desk.send(answers={"method": "m", "data": "mevis"})
    assert desk.server.runs[1].answers == {"method": "m", "data": "mevis"}


def test_14_states_may_be_missed_or_set_back(desk):
    desk.server.way = [("Scoring", 0), ("Submitted", 0), ("Running", 0), ("Finished", 3)]
    assert "50.89" in desk.send()


def test_15_finished_is_before_the_scores_and_may_turn_into_failed(desk):
    desk.server.way = [*WAY[:-3], *[("Finished", 0)] * 4, ("Finished", 1), ("Finished", 3)]
    assert "50.89  47.39  54.39" in desk.send()
    desk.server.way = [("Finished", 0), ("Finished", 0), ("Failed", 0)]
    desk.server.details = "Could not decode scores json properly"
    with pytest.raises(FaultyResult, match="Could not decode scores"):
        desk.send(again=True)


def test_16_the_reason_of_a_failure_is_in_the_logs(desk):
    desk.server.way = [("Failed", 0)]
    desk.server.details = "Pull failed! Check the logs for more information"
    desk.server.logs = {"scoring_stderr": "", "prediction_ingestion_stderr": "\n404 Client Error\n"}
    with pytest.raises(FaultyResult, match="prediction_ingestion_stderr ends with:"):
        desk.send()
    reads = desk.server.calls("GET", "/storage/")
    assert len(reads) == 2
    assert all("authorization" not in asked.headers for asked in reads)


def test_17_a_cancel_while_submitting_is_not_sent(desk, told):
    desk.server.way = [("Submitting", 0)] * 3 + [("Submitted", 0)]
    with pytest.raises(FaultyResult):
        desk.send(seconds=0)
    assert desk.upload().cancel(agreed=True) == ["submission 1: Cancelled"]
    assert len(desk.server.calls("GET", "cancel_submission")) == 1
    assert "a cancel would be lost" in told()
    desk.server.way = [("Submitting", 0)]
    with pytest.raises(FaultyResult):
        desk.send(seconds=0, again=True)
    with pytest.raises(InputError, match="still Submitting"):
        desk.upload(seconds=60).cancel(agreed=True)
    assert len(desk.server.calls("GET", "cancel_submission")) == 1


def test_18_what_counts_against_the_limits_is_said_and_nothing_is_deleted(desk, monkeypatch):
    desk.server.way = [("Submitted", 0)]
    with pytest.raises(FaultyResult):
        desk.send(seconds=0)
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "y")
    desk.upload().cancel(agreed=False)
    assert "counts against the limits" in asked[0]
    assert desk.server.calls("DELETE", ".") == []


def test_19_finished_without_scores_is_told_with_what_it_does_to_the_board(desk):
    desk.server.way = [("Finished", 0)]
    with pytest.raises(FaultyResult, match=r"no scores came.*ranks it on top"):
        desk.send()
    desk.server.rule = "Add_And_Delete"
    with pytest.raises(FaultyResult) as caught:
        desk.send()
    assert "on top" not in str(caught.value)


def test_20_the_leaderboard_is_the_one_for_participants(desk):
    desk.server.board = [{"owner": "ghost", "scores": []}, {"owner": "alice", "scores": [
        {"column_key": "J&F", "score": "0.5089"}]}]  # fmt: skip
    lines = desk.upload().leaderboard()
    assert "place 2 of 2, ranked by J&F" in lines
    assert "without scores and so ranked on top: ghost" in lines[-1]
    assert desk.server.calls("GET", "results") == []


@pytest.mark.parametrize("generation", ["old", "new"])
def test_21_lists_come_bare_or_by_pages(desk, generation):
    desk.send()
    desk.send(again=True)
    desk.server.generation = generation
    found = api(desk.server).find(2, "abcdef")
    assert [one.id for one in found] == [1, 2]
    hosts = {asked.headers["host"] for asked in desk.server.asked}
    assert hosts == {desk.server.url.removeprefix("http://")}


def test_22_a_submission_that_is_gone_is_told(desk):
    desk.send()
    desk.server.runs.clear()
    with pytest.raises(Refusal, match="No Submission matches"):
        desk.send()


@pytest.mark.parametrize(
    ("participant", "what"),
    [(None, "not registered"), ("pending", "not yet approved"), ("denied", "denied"),
     ("unknown", "unknown")],
)  # fmt: skip
def test_23_who_does_not_take_part_is_told_what_to_do(desk, participant, what):
    desk.server.participant = participant
    with pytest.raises(FaultyInput, match=what):
        desk.send()
    assert desk.server.calls("POST", ".") == []


def test_23b_a_hidden_board_is_not_asked_and_its_columns_are_waited_for(desk):
    desk.server.hidden_board = True
    assert "50.89  47.39  54.39" in desk.send()
    assert desk.upload().leaderboard() == ["the leaderboard is hidden"]
    assert desk.server.calls("GET", "get_leaderboard") == []


def test_23c_hidden_output_leaves_scores_and_shows_no_log(desk):
    desk.server.hide_output = True
    assert "50.89" in desk.send()
    desk.server.way = [("Failed", 0)]
    with pytest.raises(FaultyResult, match="no log is shown"):
        desk.send(again=True)


def test_23d_a_phase_with_two_tasks_has_scores_of_both(desk, told):
    desk.server.tasks = [6, 7]
    lines = desk.send()
    assert lines.count("50.89") == 2
    assert "2: the zip is scored by each" in told()
    assert set(desk.journal["scores"]) >= {"J&F (2)", "J&F (3)"}


def test_24_polling_is_gentle(desk):
    desk.server.way = [("Running", 0)]
    with pytest.raises(FaultyResult):
        desk.send(seconds=3600)
    polls = len(desk.server.calls("GET", r"submissions/1/$"))
    assert polls < 3600 / 25
    assert min(desk.time.pauses) >= 0.1


def test_25_nothing_is_asked_that_breaks_the_server(desk, monkeypatch):
    desk.send()
    paths = [asked.path for asked in desk.server.asked]
    assert not any("secret_key" in path or "register" in path for path in paths)
    desk.server.asked.clear()
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(InputError, match="no login for"):
        desk.send()
    assert desk.server.asked == []


def test_the_token_shows_nowhere(desk, told, monkeypatch):
    desk.send()
    kept = "".join(p.read_text() for p in desk.run.rglob("*.json")) + told()
    assert TOKEN not in kept
    assert TOKEN not in repr(Token(TOKEN))
    desk.server.moods = [("GET", "my_profile", "drop before")] * 3
    with pytest.raises(InputError) as caught:
        desk.send()
    chain, texts = caught.value, []
    while chain is not None:
        texts.append(f"{chain!r} {chain}")
        chain = chain.__cause__ or chain.__context__
    assert TOKEN not in "".join(texts)
    with_token = [asked for asked in desk.server.asked if "authorization" in asked.headers]
    assert all(asked.path.startswith("/api/") for asked in with_token)
    assert with_token  # a negative control: it does go to the server
