# SPDX-License-Identifier: Apache-2.0
"""An export from kick-off to the last file, from a server that does as it is told."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from cds_service.bulk_export.folder import ExportPlan, losses_in, open_folder
from cds_service.errors import CdsServiceError, RequestError
from tests.bulk_export.bulk import (
    KICK_OFF,
    PEOPLE,
    RESULTS,
    TIME,
    asked_for,
    files_in,
    manifest,
    on_get,
    outcome,
    ready,
    run,
    started,
    state_of,
)
from tests.fhir_client.faulty import Asked, Faulty, Reply, faulty, in_turn

OTHERS = b'{"resourceType":"Patient","id":"carl"}\n'
BOTH = {"Patient.000001.ndjson": PEOPLE, "Observation.000001.ndjson": RESULTS}


@pytest.fixture(name="server")
def _server() -> Iterator[Faulty]:
    with faulty() as state:
        ready(state)
        yield state


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "population"


class Killed(BaseException):
    """The program ends here."""


def killed(_: float) -> None:
    raise Killed


def test_it_asks_for_what_rules_read_and_brings_the_files(server: Faulty, folder: Path) -> None:
    summary = run(server, folder)

    kick_off = next(request for request in server.asked if request.path == KICK_OFF)
    assert kick_off.parameters == {"_type": "Patient,Observation,Condition,Medication"}
    assert kick_off.headers["Prefer"] == "respond-async"
    assert kick_off.headers["Accept"] == "application/fhir+json"
    assert files_in(folder) == BOTH
    assert summary.resources == {"Observation": 1, "Patient": 2}
    assert summary.transaction_time == TIME
    assert summary.losses() == []


def test_only_the_owner_can_read_it_and_the_job_is_deleted(server: Faulty, folder: Path) -> None:
    run(server, folder)

    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*")}
    assert modes.pop(".export") == folder.stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}
    assert [request.path for request in server.asked if request.method == "DELETE"] == ["status"]
    assert state_of(folder)["status_url"] is None


def test_it_waits_as_long_as_the_server_asks(server: Faulty, folder: Path) -> None:
    at = format_datetime(datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1), usegmt=True)
    later = {"Retry-After": "7"}
    server.answers[KICK_OFF] = in_turn(
        Reply(status=429, headers={"Retry-After": "30"}), started(server)
    )
    server.answers["status"] = on_get(
        Reply(status=202, headers=later),
        Reply(status=202, headers={"Retry-After": at}),
        Reply(status=503, headers={"Retry-After": "40"}),
        Reply(manifest(server, "Patient/1")),
    )
    server.answers["Patient/1"] = in_turn(
        Reply(status=429, headers={"Retry-After": "50"}), Reply(PEOPLE)
    )
    pauses: list[float] = []

    run(server, folder, pause=pauses.append)

    assert [pauses[0], pauses[1], *pauses[3:]] == [30, 7, 40, 50]
    assert 3500 < pauses[2] <= 3600


def test_without_a_hint_it_waits_longer_each_time(server: Faulty, folder: Path) -> None:
    waiting = [Reply(status=202)] * 9
    server.answers["status"] = on_get(*waiting, Reply(manifest(server, "Patient/1")))
    pauses: list[float] = []

    run(server, folder, pause=pauses.append)

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_server_that_stays_busy_is_left_alone_and_the_run_goes_on_later(
    server: Faulty, folder: Path
) -> None:
    server.answers["Observation/1"] = Reply(status=503)

    with pytest.raises(CdsServiceError, match="goes on"):
        run(server, folder)
    assert asked_for(server, "Observation/1") == 8
    server.answers["Observation/1"] = Reply(RESULTS)
    run(server, folder)

    assert files_in(folder) == BOTH
    assert (asked_for(server, KICK_OFF), asked_for(server, "Patient/1")) == (1, 1)


def test_who_asks_to_come_back_tomorrow_is_not_waited_for(server: Faulty, folder: Path) -> None:
    server.answers["status"] = Reply(status=202, headers={"Retry-After": "86400"})

    with pytest.raises(CdsServiceError, match="some hours"):
        run(server, folder)


def test_a_killed_run_goes_on_with_the_same_export(server: Faulty, folder: Path) -> None:
    server.answers["Observation/1"] = in_turn(Reply(RESULTS, cut=True), Reply(RESULTS))

    with pytest.raises(Killed):
        run(server, folder, pause=killed)
    assert set(files_in(folder)) == {"Patient.000001.ndjson", "Observation.000001.ndjson.part"}
    with pytest.raises(RequestError, match="not finished"):
        losses_in([folder])
    run(server, folder)

    assert files_in(folder) == BOTH
    assert (asked_for(server, KICK_OFF), asked_for(server, "Patient/1")) == (1, 1)


def test_a_file_that_is_no_longer_there_takes_the_place_of_no_other(
    server: Faulty, folder: Path
) -> None:
    found = manifest(server, "Patient/1", "Patient/2", "Observation/1")
    server.answers["status"] = on_get(Reply(found))
    server.answers["Patient/2"] = Reply(OTHERS)
    server.answers["Observation/1"] = in_turn(Reply(RESULTS, cut=True), Reply(RESULTS))
    with pytest.raises(Killed):
        run(server, folder, pause=killed)
    (folder / "Patient.000001.ndjson").unlink()

    run(server, folder)

    assert files_in(folder) == {**BOTH, "Patient.000002.ndjson": OTHERS}


def test_a_run_that_was_killed_while_it_waited_starts_no_second_export(
    server: Faulty, folder: Path
) -> None:
    server.answers["status"] = on_get(Reply(status=202), Reply(manifest(server, "Patient/1")))

    with pytest.raises(Killed):
        run(server, folder, pause=killed)
    run(server, folder)

    assert asked_for(server, KICK_OFF) == 1


def test_a_finished_export_is_not_asked_for_again_unless_it_should_be(
    server: Faulty, folder: Path
) -> None:
    first = run(server, folder)
    count = len(server.asked)

    assert run(server, folder) == first
    assert len(server.asked) == count
    server.answers["status"] = on_get(Reply(manifest(server, "Patient/1")))
    run(server, folder, overwrite=True)
    assert files_in(folder) == {"Patient.000001.ndjson": PEOPLE}


def test_an_export_that_is_given_up_is_deleted(server: Faulty, folder: Path) -> None:
    server.answers["status"] = on_get(Reply(status=202), Reply(manifest(server, "Patient/1")))
    with pytest.raises(Killed):
        run(server, folder, pause=killed)
    server.answers[KICK_OFF] = started(server, "second")
    server.answers["second"] = on_get(Reply(manifest(server, "Patient/1")))

    run(server, folder, overwrite=True)

    assert [request.path for request in server.asked if request.method == "DELETE"] == [
        "status",
        "second",
    ]


@pytest.mark.parametrize("status", [404, 410])
def test_an_export_that_the_server_has_forgotten_is_begun_again(
    server: Faulty, folder: Path, status: int
) -> None:
    server.answers["Observation/1"] = in_turn(Reply(RESULTS, cut=True), Reply(RESULTS))
    with pytest.raises(Killed):
        run(server, folder, pause=killed)
    server.answers["status"] = Reply(status=status)
    server.answers[KICK_OFF] = started(server, "second")
    server.answers["second"] = on_get(Reply(manifest(server, "Observation/1")))

    run(server, folder)

    assert files_in(folder) == {"Observation.000001.ndjson": RESULTS}
    assert asked_for(server, KICK_OFF) == 2


def test_one_that_it_forgets_again_and_again_is_given_up(server: Faulty, folder: Path) -> None:
    server.answers["status"] = Reply(status=404)

    with pytest.raises(CdsServiceError, match="twice"):
        run(server, folder)
    assert asked_for(server, KICK_OFF) == 2


def test_a_url_that_has_expired_is_asked_for_anew(server: Faulty, folder: Path) -> None:
    def signed(name: str) -> Reply:
        return Reply(manifest(server, f"Patient/1?sign={name}", f"Observation/1?sign={name}"))

    def results(asked: Asked) -> Reply:
        return Reply(RESULTS) if asked.parameters["sign"] == "b" else Reply(status=403)

    server.answers["status"] = on_get(signed("a"), signed("b"))
    server.answers["Observation/1"] = results

    run(server, folder)

    assert files_in(folder) == BOTH
    assert asked_for(server, "Patient/1") == 1


def test_a_file_that_is_never_handed_out_ends_the_run(server: Faulty, folder: Path) -> None:
    server.answers["Observation/1"] = Reply(status=403)

    with pytest.raises(RequestError, match="403"):
        run(server, folder)
    with pytest.raises(RequestError, match="not finished"):
        losses_in([folder])


@pytest.mark.parametrize(
    ("paths", "time"),
    [
        (("Observation/1",), TIME),
        (("Patient/1", "Observation/1"), "2026-11-30T12:00:00Z"),
    ],
    ids=["other files", "another time"],
)
def test_files_of_another_manifest_do_not_stay(
    server: Faulty, folder: Path, paths: tuple[str, ...], time: str
) -> None:
    server.answers["Observation/1"] = in_turn(Reply(RESULTS, cut=True), Reply(RESULTS))
    with pytest.raises(Killed):
        run(server, folder, pause=killed)
    server.answers["status"] = on_get(Reply(manifest(server, *paths, transactionTime=time)))

    run(server, folder)

    assert len(files_in(folder)) == len(paths)
    assert asked_for(server, "Patient/1") == len(paths)


def test_a_second_run_in_the_same_folder_is_refused(server: Faulty, folder: Path) -> None:
    plan = ExportPlan(server.base, None, ("Patient",))

    with (
        open_folder(folder, plan, overwrite=False),
        pytest.raises(RequestError, match="Another run"),
    ):
        run(server, folder)
    assert server.asked == []


def test_a_folder_with_other_files_or_another_export_is_refused(
    server: Faulty, folder: Path
) -> None:
    folder.mkdir()
    (folder / "Patient.ndjson").touch()
    with pytest.raises(RequestError, match="other files"):
        run(server, folder)
    (folder / "Patient.ndjson").unlink()
    run(server, folder)

    with pytest.raises(RequestError, match="--overwrite"):
        run(server, folder, kinds=["Patient"])


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_without_export_is_named_so(server: Faulty, folder: Path, status: int) -> None:
    server.answers[KICK_OFF] = Reply(outcome(("error", "not-supported")), status=status)

    with pytest.raises(RequestError) as caught:
        run(server, folder)

    assert "no $export" in str(caught.value)
    assert f"({status}, not-supported)" in str(caught.value)
    assert "Anna" not in str(caught.value)
    assert asked_for(server, KICK_OFF) == 1


def test_types_that_the_server_refuses_are_left_out_and_named(server: Faulty, folder: Path) -> None:
    def kick_off(asked: Asked) -> Reply:
        if "Condition" in asked.parameters["_type"] or "Medication" in asked.parameters["_type"]:
            return Reply(outcome(("error", "invalid")), status=400)
        return started(server)

    kinds = [{"type": kind} for kind in ("Patient", "Observation", "Medication")]
    server.answers["metadata"] = Reply({"rest": [{"resource": kinds}]})
    server.answers[KICK_OFF] = kick_off

    summary = run(server, folder)

    assert set(summary.not_exported) == {"Condition", "Medication"}
    assert [
        request.parameters["_type"] for request in server.asked if request.path == KICK_OFF
    ] == [
        "Patient,Observation,Condition,Medication",
        "Patient,Observation,Medication",
        "Patient,Observation",
    ]


def test_a_server_that_cannot_choose_types_exports_all_of_them(
    server: Faulty, folder: Path
) -> None:
    def kick_off(asked: Asked) -> Reply:
        return Reply(status=400) if asked.parameters else started(server)

    server.answers[KICK_OFF] = kick_off

    assert run(server, folder).not_exported == {}
    assert files_in(folder) == BOTH


def test_a_refusal_is_shown_by_its_codes_alone(server: Faulty, folder: Path) -> None:
    server.answers[KICK_OFF] = Reply(outcome(("error", "too-costly")), status=400)

    with pytest.raises(RequestError) as caught:
        run(server, folder)

    assert str(caught.value) == "The server refuses the export (400, too-costly)."


def test_a_server_that_forbids_it_is_asked_once(server: Faulty, folder: Path) -> None:
    server.answers[KICK_OFF] = Reply(outcome(("error", "forbidden")), status=403)

    with pytest.raises(RequestError, match="other scopes"):
        run(server, folder)
    assert asked_for(server, KICK_OFF) == 1


def test_an_export_that_fails_is_begun_again_by_the_next_run(server: Faulty, folder: Path) -> None:
    server.answers["status"] = Reply(outcome(("fatal", "exception")), status=500)
    with pytest.raises(CdsServiceError, match=r"failed at the server: 500 \(exception\)"):
        run(server, folder)
    ready(server)

    run(server, folder)

    assert files_in(folder) == BOTH
    assert asked_for(server, KICK_OFF) == 2


def test_an_error_that_passes_is_waited_for(server: Faulty, folder: Path) -> None:
    passing = Reply(outcome(("error", "transient")), status=500)
    server.answers["status"] = on_get(passing, passing, Reply(manifest(server, "Patient/1")))

    run(server, folder)

    server.answers["status"] = passing
    with pytest.raises(CdsServiceError):
        run(server, folder, overwrite=True)


def test_types_that_nobody_asked_for_are_not_fetched(server: Faulty, folder: Path) -> None:
    server.answers["status"] = on_get(
        Reply(manifest(server, "Patient/1", "Encounter/1", "../../x/1"))
    )

    summary = run(server, folder)

    assert summary.not_fetched == {"Encounter": 1, "?": 1}
    assert files_in(folder) == {"Patient.000001.ndjson": PEOPLE}


def test_errors_of_the_server_are_counted_by_their_codes(server: Faulty, folder: Path) -> None:
    errors = [{"type": "OperationOutcome", "url": f"{server.base}/errors"}]
    server.answers["status"] = on_get(Reply(manifest(server, "Patient/1", error=errors)))
    lines = [outcome(("error", "not-found"), ("warning", "informational"))] * 2
    text = "\n".join([*map(json.dumps, lines), "{}"])
    server.answers["errors"] = Reply(text.encode())

    summary = run(server, folder)

    assert summary.errors == {"not-found": 2, "unreadable": 1}
    assert summary.warnings == 2
    (loss,) = losses_in([folder])
    assert "the server reports 3 errors: not-found (2), unreadable (1)" in loss


def test_a_file_with_fewer_lines_than_the_manifest_says_is_named(
    server: Faulty, folder: Path
) -> None:
    counted = [
        {"type": "Patient", "url": f"{server.base}/Patient/1", "count": 3},
        {"type": "Observation", "url": f"{server.base}/Observation/1", "count": 1},
    ]
    server.answers["status"] = on_get(Reply(manifest(server, output=counted)))
    server.answers["Observation/1"] = Reply(b"\n" + RESULTS + b"\n")  # blank lines do not count

    summary = run(server, folder)

    (loss,) = summary.losses()
    assert loss.endswith("Patient.000001.ndjson has 2 lines, and 3 by the server's manifest")
    assert asked_for(server, "Patient/1") == 2


def test_every_page_of_a_manifest_is_read(server: Faulty, folder: Path) -> None:
    following = [{"relation": "next", "url": f"{server.base}/more"}]
    server.answers["status"] = on_get(Reply(manifest(server, "Patient/1", link=following)))
    server.answers["more"] = in_turn(
        Reply(status=202), Reply(manifest(server, "Observation/1", "Patient/1"))
    )

    run(server, folder)

    assert files_in(folder) == BOTH
    assert asked_for(server, "Patient/1") == 1


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"transactionTime": "x", "output": [{"type": "Patient"}]}',
        b"\xff",
    ],
)
def test_what_is_no_manifest_is_refused(server: Faulty, folder: Path, body: bytes) -> None:
    server.answers["status"] = Reply(body)

    with pytest.raises(CdsServiceError, match="no manifest"):
        run(server, folder)


def test_pages_that_lead_back_are_refused(server: Faulty, folder: Path) -> None:
    following = [{"relation": "next", "url": f"{server.base}/status"}]
    server.answers["status"] = Reply(manifest(server, "Patient/1", link=following))

    with pytest.raises(CdsServiceError, match="back to one another"):
        run(server, folder)
