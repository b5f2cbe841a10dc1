# SPDX-License-Identifier: Apache-2.0
"""`cds-service sandbox` against a server of our own, in process and by HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from flask import Flask, redirect
from werkzeug.wrappers import Response as BaseResponse

from cds_service.cli import EXIT_CODES, cli
from cds_service.errors import CdsServiceError
from tests.sandbox.fake_fhir_server import Double, outcome, running
from tests.web.browsing import served
from tests.web.http_fixtures import ALT, PATIENT, app, bundle, observation, patient


@pytest.fixture(name="server")
def _server() -> Iterator[Double]:
    with running() as double:
        double.resources = [
            patient(),
            observation(ALT, 1, effectiveDateTime="2026-11-20T08:00:00Z"),
            patient(id="other", name=[{"text": "Anna Other"}]),
        ]
        yield double


@pytest.fixture(name="service")
def _service() -> Iterator[str]:
    with served(app()) as base:
        yield base


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, ["sandbox", *words])


def code_of(done: Result) -> int:
    """The exit code that `main` gives."""
    if isinstance(done.exception, CdsServiceError):
        return EXIT_CODES[type(done.exception)]
    return done.exit_code


def shown(*words: str) -> Result:
    done = run(*words)
    assert done.exit_code == 0, (done.output, done.exception)
    return done


@pytest.fixture(name="of_today")
def _of_today(server: Double) -> None:
    """The result is of a few days ago by the clock of the machine."""
    from datetime import timedelta

    from cds_service.clock import system_clock

    time = (system_clock() - timedelta(days=2)).isoformat()
    server.resources[1] = observation(ALT, 1, effectiveDateTime=time)


@pytest.mark.usefixtures("of_today")
def test_the_cards_of_one_patient(server: Double) -> None:
    done = shown("--fhir", server.base, "--patient", PATIENT)

    assert "INFO  Very low ALT" in done.output
    assert "[x] Repeat ALT within 14 days" in done.output
    assert "\x1b[" not in done.output


@pytest.mark.usefixtures("of_today")
def test_one_match_is_shown_and_several_are_listed(server: Double) -> None:
    assert "Very low ALT" in shown("--fhir", server.base, "--search", "zztest").output

    several = shown("--fhir", server.base, "--search", "")
    assert "Anna Other" in several.stdout
    assert "choose one with --patient" in several.stderr


@pytest.mark.usefixtures("of_today")
def test_all_patients_as_a_table(server: Double) -> None:
    done = shown("--fhir", server.base, "--all", "5")

    head, *rows, last = done.stdout.splitlines()
    assert head.split()[:4] == ["patient", "critical", "warning", "info"]
    assert [row.split()[0] for row in rows] == [PATIENT, "other"]
    assert last == "patients: 2, with cards: 1, cards: 1"


@pytest.mark.usefixtures("of_today")
def test_json_for_programs(server: Double) -> None:
    server.told["Condition"] = lambda _: (400, outcome("no"))

    done = shown("--fhir", server.base, "--patient", PATIENT, "--json")

    (patient,) = json.loads(done.stdout)["patients"]
    assert patient["patient"] == f"Patient/{PATIENT}"
    assert patient["cards"][0]["indicator"] == "info"
    failures = {query["key"]: query["failure"] for query in patient["queries"]}
    assert failures["conditions"] == "refused"
    assert failures["observations"] == ""


def test_a_service_elsewhere_is_called_by_http(server: Double, service: str) -> None:
    server.resources[1] = observation(ALT, 1)  # of yesterday by the clock of that service

    done = shown("--fhir", server.base, "--patient", PATIENT, "--url", service)

    assert "Very low ALT" in done.output


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--patient", "nobody"], 1, "no such patient"),
        (["--search", "nobody-of-this-name"], 1, "no such patient"),
        (["--patient", "../x"], 2, "id of a patient"),
        ([], 2, "one of --patient, --search and --all"),
        (["--all", "1", "--patient", "1"], 2, "one of --patient, --search and --all"),
        (["--patient", PATIENT, "--service", "nothing"], 2, "there are: liver-patient-view"),
        (["--patient", PATIENT, "--url", "http://127.0.0.1:9"], 3, "does not answer"),
    ],
)
def test_what_goes_wrong_is_said(server: Double, words: list[str], code: int, said: str) -> None:
    done = run("--fhir", server.base, *words)

    assert code_of(done) == code
    assert said in done.output + str(done.exception)


@pytest.mark.parametrize("words", [["--patient", "1"], ["--search", "a"], ["--all", "2"]])
@pytest.mark.parametrize("place", ["", "/wrong", "/fhir/r4"])
def test_a_wrong_base_is_no_fhir_server(server: Double, words: list[str], place: str) -> None:
    server.told["r4"] = lambda _: (404, {})

    done = run("--fhir", server.base.removesuffix("/fhir") + place, *words)

    assert code_of(done) == 1
    assert str(done.exception).startswith("This is no FHIR server: it answered 404 to /metadata.")


def test_a_page_of_another_kind_is_no_fhir_server(server: Double) -> None:
    server.told["Patient"] = server.told["metadata"] = lambda _: (200, {"hello": "world"})

    done = run("--fhir", server.base, "--search", "a")

    assert "is no CapabilityStatement of FHIR R4" in str(done.exception)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_what_says_nothing_about_the_address_is_not_taken_to(server: Double, status: int) -> None:
    server.told["metadata"] = lambda _: (status, {})

    assert "no such patient" in str(run("--fhir", server.base, "--patient", "nobody").exception)


def test_a_server_that_fails_is_said() -> None:
    for words in (["--patient", "1"], ["--search", "a"], ["--all", "2"]):
        done = run("--fhir", "http://127.0.0.1:9/fhir", *words)

        assert code_of(done) == 3
        assert "no connection" in str(done.exception)


def test_a_refused_call_is_a_problem(server: Double) -> None:
    server.told["Observation"] = lambda _: (500, outcome("no"))

    done = run("--fhir", server.base, "--patient", PATIENT)

    assert done.exit_code == 1
    assert "The service refused the call" in done.output


def test_in_production_with_a_list_only_its_open_servers_are_asked(
    server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "servers.yaml"
    file.write_text("servers:\n  - base: https://closed.example/fhir\n", encoding="utf-8")
    monkeypatch.setenv("CDS_FHIR_SERVERS", str(file))

    for base in (server.base, "https://closed.example/fhir"):
        done = run("--fhir", base, "--patient", PATIENT)

        assert code_of(done) == 1
        assert "CDS_FHIR_SERVERS" in str(done.exception)


@pytest.mark.usefixtures("of_today")
def test_one_patient_that_fails_costs_no_other(server: Double) -> None:
    def broken(target: str) -> tuple[int, dict[str, object]]:
        return (500, outcome("no")) if "other" in target else server.known(target)

    for kind in ("Observation", "Condition", "MedicationRequest", "ServiceRequest"):
        server.told[kind] = broken
    server.told["MedicationStatement"] = broken
    server.told["Patient"] = lambda target: (
        broken(target) if "/" in target else server.known(target)
    )

    done = run("--fhir", server.base, "--all", "5")

    assert code_of(done) == 1
    assert "Very low ALT" in done.stdout
    assert "The FHIR server gave nothing" in done.stdout


def test_a_server_that_ignores_the_name_has_nobody_picked(server: Double) -> None:
    def ignoring(_: str) -> tuple[int, dict[str, object]]:
        link = [{"relation": "self", "url": f"{server.base}/Patient?_count=20"}]
        return 200, {**bundle(patient()), "link": link}

    server.told["Patient"] = ignoring

    done = shown("--fhir", server.base, "--search", "Smith Jones")

    assert "The server ignored the name" in done.stderr
    assert "Patient/" not in done.stdout


def test_what_a_server_wrote_does_not_steer_the_terminal(server: Double) -> None:
    server.resources = [
        patient(name=[{"text": "A\x1b]0;taken\x07\x1b[31m"}]),
        patient(id="b", name=[{"text": "B"}]),
    ]

    done = shown("--fhir", server.base, "--search", "")

    assert "\x1b" not in done.stdout + done.stderr
    assert "A?]0;taken??[31m" in done.stdout


@pytest.mark.parametrize(
    "answer",
    [{"cards": None}, {}, {"cards": [{"summary": "x"}]}, {"cards": [7]}],
)
def test_what_is_no_card_is_said_and_no_redirect_followed(
    server: Double, answer: dict[str, object]
) -> None:
    asked: list[str] = []
    other = Flask("other")

    @other.get("/cds-services")
    def discovery() -> dict[str, object]:
        service = {"hook": "patient-view", "id": "x", "title": "t", "description": "d"}
        return {"services": [service]}

    @other.post("/cds-services/x")
    def call() -> dict[str, object]:
        return answer

    @other.post("/moved/cds-services/x")
    def moved() -> BaseResponse:
        return redirect("/trap", 307)

    @other.get("/moved/cds-services")
    def moved_discovery() -> dict[str, object]:
        return discovery()

    @other.post("/trap")
    def trap() -> str:
        asked.append("the body")
        return "{}"

    with served(other) as base:
        told = run("--fhir", server.base, "--patient", PATIENT, "--url", base)
        away = run("--fhir", server.base, "--patient", PATIENT, "--url", f"{base}/moved")

    assert "something else than CDS Hooks cards" in str(told.exception)
    assert "status 307" in away.output
    assert asked == []
