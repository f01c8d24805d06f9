"""One run on Kubeflow Pipelines, against a fake of its API."""

from pathlib import Path
from typing import Any

import kfp_server_api as api
import pytest

from foreact.errors import ForeactError
from foreact.kubeflow.api import Kubeflow
from foreact.kubeflow.connection import Refused, Unreachable
from foreact.kubeflow.package import Package
from foreact.kubeflow.settings import KubeflowSettings
from foreact.kubeflow.verdict import Task
from pipelines.cluster.submit import make_run_name, make_run_url, submit_run, watch_run
from tests.kubeflow.fake import Fake

GIVEN = {"history": "https://a.blob.core.windows.net/sales/", "horizon": 14}


def send(kubeflow: Kubeflow, package: Package, name: str = "one") -> Any:
    return submit_run(
        kubeflow, package, GIVEN, name=name, experiment="foreact", account="foreact-pipelines", settling=0.001
    )


def test_a_run_has_what_it_was_given(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    sent = send(kubeflow, package)
    (run,) = fake.kept("runs")
    (version,) = fake.kept("versions")
    assert (run.run_id, run.display_name, run.service_account) == (sent.id, "one", "foreact-pipelines")
    assert run.runtime_config.parameters == GIVEN
    assert run.pipeline_version_reference.pipeline_version_id == version.pipeline_version_id
    assert version.display_name == f"20261128-0841-{package.hash[:8]}"
    assert version.description == f"sha256:{package.hash}"
    assert version.pipeline_spec["platform_spec"]["platforms"], "the second document goes with the first"


def test_a_version_is_named_by_its_commit_and_when_it_was_uploaded(
    fake: Fake, kubeflow: Kubeflow, package: Package
) -> None:
    built = Package(package.path, b"# Commit: da2e0a1c5b7d-dirty\n" + package.content)
    assert send(kubeflow, built).version == f"da2e0a1c5b7d-dirty-20261128-0841-{built.hash[:8]}"


def test_the_same_content_is_uploaded_once(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    assert send(kubeflow, package, "one").uploaded
    assert not send(kubeflow, package, "two").uploaded
    changed = Package(package.path, package.content + b"# changed\n")
    assert send(kubeflow, changed, "three").uploaded
    assert len(fake.kept("pipelines")) == len(fake.kept("experiments")) == 1
    assert len(fake.kept("versions")) == 2
    assert len(fake.kept("runs")) == 3


def test_finds_its_things_on_later_pages(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    fake.most = 2
    for number in range(5):
        send(kubeflow, Package(package.path, package.content + b"#" * number), str(number))
    again = send(kubeflow, package, "4")
    assert again.adopted
    assert len(fake.kept("versions")) == 5


def test_a_name_starts_one_run(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    first, second = send(kubeflow, package), send(kubeflow, package)
    assert (first.id, first.adopted, second.adopted) == (second.id, False, True)
    assert len(fake.kept("runs")) == 1


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_the_same_command_again_completes_what_died(
    fake: Fake, kubeflow: Kubeflow, package: Package, call: int, done: bool
) -> None:
    fake.dies_at, fake.dies_after_doing = call, done
    with pytest.raises(ForeactError, match="does not answer"):
        send(kubeflow, package)
    fake.revive()
    send(kubeflow, package)
    assert [len(fake.kept(k)) for k in ("experiments", "pipelines", "versions", "runs")] == [1, 1, 1, 1]


def test_an_answer_that_was_lost_is_looked_for(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    fake.dies_at, fake.dies_after_doing, fake.missing = 4, True, 1
    sent = send(kubeflow, package)
    assert fake.missing == 0
    assert sent.adopted
    assert len(fake.kept("runs")) == 1


def test_two_at_once_make_one_of_each(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    """Between looking and making, somebody else was faster each time."""
    send(kubeflow, package, "one")
    look, unseen = fake._list, {"experiments", "pipelines", "versions"}

    def look_too_early(kind: str, listing: type, query: dict[str, str]) -> Any:
        if kind in unseen:
            unseen.remove(kind)
            return listing()
        return look(kind, listing, query)

    fake._list = look_too_early  # type: ignore[method-assign]
    assert not send(kubeflow, package, "two").uploaded
    assert [len(fake.kept(k)) for k in ("experiments", "pipelines", "versions", "runs")] == [1, 1, 1, 2]


def test_of_two_at_once_under_one_name_the_first_goes_on(
    fake: Fake, kubeflow: Kubeflow, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked before either had made its run."""
    look, seen = kubeflow.find_run, []

    def look_too_early(name: str, experiment: str) -> Any:
        seen.append(name)
        return look(name, experiment) if len(seen) > 1 else None

    first = send(kubeflow, package)
    monkeypatch.setattr(kubeflow, "find_run", look_too_early)
    second = send(kubeflow, package)
    assert (second.id, second.adopted) == (first.id, True)
    assert [run.state for run in fake.kept("runs")] == [fake.first_state, "FAILED"]
    (other,) = [run for run in fake.kept("runs") if run.run_id != first.id]
    ended = watch_run(kubeflow, other.run_id, package, lambda _: None, timeout=1_000, pause=0.01)
    assert (ended.state, ended.sentence) == ("CANCELED", "The run was cancelled.")


def play(fake: Fake, run_id: str, states: list[tuple[str, dict[str, str]]]) -> None:
    """Let a run go through its states, one a look."""
    run = fake._find("runs", run_id)
    route = fake._route

    def next_state(*arguments: Any) -> Any:
        if arguments[1] == f"runs/{run_id}" and states:
            run.state, tasks = states.pop(0)
            run.run_details.task_details = [
                api.V2beta1PipelineTaskDetail(display_name=name, state=state) for name, state in tasks.items()
            ]
        return route(*arguments)

    fake._route = next_state  # type: ignore[method-assign]


def test_progress_is_shown_in_the_pipelines_order(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    sent = send(kubeflow, package)
    engine = {"root": "RUNNING", "exit-handler-1": "RUNNING", "train-driver": "SUCCEEDED"}
    play(
        fake,
        sent.id,
        [
            ("PENDING", {}),
            ("RUNNING", {**engine, "train": "RUNNING", "ingest": "SUCCEEDED"}),
            ("SUCCEEDED", {**engine, "ingest": "SUCCEEDED", "train": "SUCCEEDED", "report": "SUCCEEDED"}),
        ],
    )
    seen: list[list[Task]] = []
    outcome = watch_run(kubeflow, sent.id, package, seen.append, timeout=1_000, pause=0.01)
    assert outcome.succeeded
    assert [t.title for t in seen[0]] == ["Ingest", "Train", "Report how it ended"]
    assert [[t.state for t in tasks] for tasks in seen] == [
        ["PENDING", "PENDING", "PENDING"],
        ["SUCCEEDED", "RUNNING", "PENDING"],
        ["SUCCEEDED", "SUCCEEDED", "SUCCEEDED"],
    ]


def test_a_run_is_told_of_though_nobody_could_look_for_others(
    fake: Fake, kubeflow: Kubeflow, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, seen = kubeflow.find_run, []

    def look_once(name: str, experiment: str) -> Any:
        seen.append(name)
        if len(seen) > 1:
            raise Unreachable("gone")
        return look(name, experiment)

    monkeypatch.setattr(kubeflow, "find_run", look_once)
    assert send(kubeflow, package).id == fake.kept("runs")[0].run_id


def test_two_runs_of_a_name_of_which_neither_can_be_ended_are_both_named(
    fake: Fake, kubeflow: Kubeflow, package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = send(kubeflow, package)
    look, seen = kubeflow.find_run, []

    def look_too_early(name: str, experiment: str) -> Any:
        seen.append(name)
        return look(name, experiment) if len(seen) > 1 else None

    def refuse(run_id: str) -> None:
        raise Refused("it may not", 403)

    monkeypatch.setattr(kubeflow, "find_run", look_too_early)
    monkeypatch.setattr(kubeflow, "terminate_run", refuse)
    with pytest.raises(ForeactError, match=rf"{first.id} goes on, and run-\d+ does too, .*: it may not"):
        send(kubeflow, package)


def test_time_is_up(kubeflow: Kubeflow, package: Package) -> None:
    sent = send(kubeflow, package)
    outcome = watch_run(kubeflow, sent.id, package, lambda _: None, timeout=0.05, pause=0.02)
    assert (outcome.state, outcome.succeeded) == ("PENDING", False)
    assert "it goes on" in outcome.sentence


def test_a_restart_of_the_server_does_not_end_the_watch(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    sent = send(kubeflow, package)
    fake._find("runs", sent.id).state = "SUCCEEDED"
    # A look asks four times before it is given up.
    fake.dead, fake.missing = True, 5
    assert watch_run(kubeflow, sent.id, package, lambda _: None, timeout=1_000, pause=0.05).succeeded
    assert fake.missing == 0


def test_a_server_that_stays_away_does(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    sent = send(kubeflow, package)
    fake.dead = True
    with pytest.raises(Unreachable, match="the connection was cut"):
        watch_run(kubeflow, sent.id, package, lambda _: None, timeout=1_000, pause=0.05, patience=0.2)


def test_hiccups_are_tried_again(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    fake.failures = [503, 503]
    assert send(kubeflow, package).uploaded


def test_nobody_there(package: Package) -> None:
    with (
        Kubeflow(KubeflowSettings(host="http://127.0.0.1:9")) as kubeflow,
        pytest.raises(Unreachable, match=r"does not answer at http://127.0.0.1:9: connection refused\.$"),
    ):
        send(kubeflow, package)


def test_tls_where_there_is_none(host: str, package: Package) -> None:
    with (
        Kubeflow(KubeflowSettings(host=host.replace("http:", "https:"))) as kubeflow,
        pytest.raises(Unreachable, match=r"does not answer at https://127\.0\.0\.1"),
    ):
        send(kubeflow, package)


def test_another_server_altogether(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    fake.page = "<html>Log in</html>"
    with pytest.raises(Refused, match="answered with text/html instead of the Kubeflow Pipelines API's JSON"):
        send(kubeflow, package)


def test_tokens_are_read_anew(fake: Fake, host: str, package: Package, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    with Kubeflow(KubeflowSettings(host=host, token_file=file)) as kubeflow:
        fake.token = "first"
        send(kubeflow, package, "one")
        fake.token = "second"
        with pytest.raises(Refused, match="does not recognise this caller: check FOREACT_KFP_TOKEN_FILE"):
            send(kubeflow, package, "two")
        file.write_text("second\n")
        send(kubeflow, package, "two")
        file.unlink()
        with pytest.raises(ForeactError, match="cannot be read"):
            send(kubeflow, package, "three")


def test_a_caller_without_rights(fake: Fake, kubeflow: Kubeflow, package: Package) -> None:
    fake.forbidden = True
    with pytest.raises(Refused, match="does not allow this caller to do that: User 'robot' is not authorized"):
        send(kubeflow, package)


OPENED = "https://u:S3CRET@a.blob.core.windows.net/c"  # not a secret


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "retrain-all needs 'history'"),
        ({"history": "h", "shop": "1"}, "has no parameter 'shop': it takes history, horizon"),
        ({"history": "h", "horizon": "28"}, "takes a whole number as horizon, not '28'"),
        ({"history": "h", "horizon": True}, "takes a whole number as horizon, not True"),
        ({"history": "h", "known": "k"}, "takes a list as known, not 'k'"),
        ({"history": "https://a.blob.core.windows.net/c?sig=S3CRET"}, "carries credentials"),
        ({"history": "h", "known": [OPENED]}, "carries credentials"),
        ({"history": "h", "known": OPENED}, "carries credentials"),
    ],
)
def test_parameters_are_checked_first(
    fake: Fake, kubeflow: Kubeflow, package: Package, parameters: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ForeactError, match=sentence) as refused:
        submit_run(kubeflow, package, parameters, name="n", experiment="e", account="a")
    assert "S3CRET" not in str(refused.value)
    assert fake.calls == []


def test_whole_numbers_are_numbers(package: Package) -> None:
    package.check_parameters({"history": "h", "margin": 0})


def test_no_compiled_pipeline(tmp_path: Path) -> None:
    with pytest.raises(ForeactError, match="run `foreact compile`"):
        Package.load(tmp_path / "retrain-all.yaml")
    info = "pipelineInfo: {name: retrain-all}\n"
    for content in ("", "---", "a: b", "][", info, info + "root: {}", info + "root: {dag: {tasks: {train: {}}}}"):
        (tmp_path / "other.yaml").write_text(content)
        with pytest.raises(ForeactError, match="is not a compiled pipeline"):
            Package.load(tmp_path / "other.yaml")


def test_names_tell_the_store_and_differ() -> None:
    names = {make_run_name("retrain-store", "Köln/1") for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("retrain-store-K~C3~B6ln~2F1-") for name in names)


@pytest.mark.parametrize(
    ("host", "run_url", "page"),
    [
        ("http://localhost:8888", "", "http://localhost:8080/#/runs/details/r1"),
        ("https://kubeflow.example", "", "https://kubeflow.example/#/runs/details/r1"),
        ("http://localhost:8888", "https://kubeflow.example/_/pipeline/#/runs/details/{run}",
         "https://kubeflow.example/_/pipeline/#/runs/details/r1"),
    ],
)  # fmt: skip
def test_a_runs_page_is_the_uis(host: str, run_url: str, page: str) -> None:
    assert make_run_url("r1", host, run_url) == page


def test_a_host_without_a_scheme_is_https() -> None:
    with Kubeflow(KubeflowSettings(host="kfp.example.com/")) as kubeflow:
        assert kubeflow.host == "https://kfp.example.com"
    with pytest.raises(ForeactError, match="The address of Kubeflow Pipelines is not set"):
        Kubeflow(KubeflowSettings())
