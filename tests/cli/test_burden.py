# SPDX-License-Identifier: Apache-2.0
"""`cds-service burden` of hook requests and of views that were answered before."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from benchmarks.answered_views import main
from benchmarks.hospital import NOW, patients, read_hospital, write_patients
from cds_service.cli.burden import burden
from cds_service.errors import RequestError
from cds_service.screening.views import ShownCard, read_answered
from tests.screening.exports import Json

CARDS = Path(__file__).parents[2] / "cards"
SEVERE = ShownCard("severe", "critical")
RAISED = ShownCard("raised", "warning")
MILD = ShownCard("mild", "info")


def run(*words: object) -> Result:
    return CliRunner().invoke(burden, [str(word) for word in words])


def counted(*words: object) -> Json:
    """What `--json` says of views at the time of the made-up hospital."""
    done = run(*words, "--as-of", NOW.isoformat(), "--json")
    assert done.exit_code == 0, done.output
    found: Json = json.loads(done.stdout)
    return found


def written(path: Path, **views: tuple[ShownCard, ...]) -> Path:
    """A file of answered views, by patient."""
    lines = [
        {"patient": f"Patient/{name}", "cards": [card._asdict() for card in cards]}
        for name, cards in views.items()
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


@pytest.fixture(name="hospital", scope="module")
def _hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    write_patients(folder, patients(read_hospital(), 27, even=True))
    return folder


@pytest.fixture(name="four")
def _four(hospital: Path, tmp_path: Path) -> Path:
    """Hook requests of four patients, a to d."""
    folder = tmp_path / "four"
    folder.mkdir()
    request = json.loads(min(hospital.iterdir()).read_text())
    for name in "abcd":
        text = json.dumps(request).replace(request["context"]["patientId"], name)
        (folder / f"{name}.json").write_text(text)
    return folder


def answered(folder: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The views of a folder as the program of the benchmarks answers them, without memory."""
    main([str(folder), str(CARDS), "patient-view", NOW.isoformat()])
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    return file


def test_views_are_those_that_a_call_is_answered_with(
    hospital: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = answered(hospital, tmp_path / "old.jsonl", capsys)

    found = counted(hospital, "--cards", old, CARDS)

    assert found["views"] == found["patients"] == 27
    assert found["old"]["viewsWithCard"] > 5
    assert found["old"]["rules"] == found["new"]["rules"]
    assert found["changes"] == {"patients": 0, "lost": 0, "rules": [], "first": []}


def test_a_patient_is_lost_who_is_left_without_an_alarm(four: Path, tmp_path: Path) -> None:
    old = written(tmp_path / "o", a=(SEVERE,), b=(RAISED,), c=(RAISED, MILD), d=())
    new = written(tmp_path / "n", a=(RAISED,), b=(), c=(MILD,), d=(SEVERE,))

    found = counted(four, "--cards", old, new, "--ids")

    lost = [change for change in found["changes"]["first"] if change["change"] == "lost"]
    assert found["changes"]["patients"] == 4
    assert found["changes"]["lost"] == 2
    assert [(change["patient"], change["old"], change["new"]) for change in lost] == [
        ("b", [RAISED._asdict()], []),
        ("c", [RAISED._asdict()], [MILD._asdict()]),
    ]
    counts = ("viewsWithCard", "viewsWithCriticalOrWarning", "cards", "per1000Patients")
    assert [found["old"][name] for name in counts] == [3, 3, 4, 1000]
    assert [found["new"][name] for name in counts] == [3, 2, 3, 750]


def test_the_table_has_both_sides_and_who_is_lost(four: Path, tmp_path: Path) -> None:
    old = written(tmp_path / "o", a=(SEVERE,), b=(), c=(), d=())
    new = written(tmp_path / "n", a=(), b=(MILD,), c=(), d=())

    lines = run(four, "--cards", old, new, "--ids").stdout.splitlines()

    assert "views with a card: old 1 (25.0 %), new 1 (25.0 %)" in lines
    row = next(line.split() for line in lines if "severe" in line)
    assert row == ["critical", "severe", "1", "0", "250.0", "0.0", "-", "-"]
    assert "  a  lost: severe (critical); now no card" in lines
    assert "1 patient lost: a critical or warning card in old, none in new" in lines


def test_ids_are_hashed_unless_they_are_asked_for(four: Path, tmp_path: Path) -> None:
    old = written(tmp_path / "o", a=(SEVERE,), b=(), c=(), d=())
    new = written(tmp_path / "n", a=(), b=(), c=(), d=())

    found = counted(four, "--cards", old, new)

    assert {len(change["patient"]) for change in found["changes"]["first"]} == {32}


def test_a_card_that_may_be_quiet_is_shown_at_the_first_of_two_views(
    hospital: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    views = answered(hospital, tmp_path / "views", capsys).read_text().splitlines()
    cards = {view["patient"]: view["cards"] for view in map(json.loads, views)}
    quiet = [{"rule": "alt-borderline", "indicator": "info"}]
    name = next(patient for patient, shown in cards.items() if shown == quiet)
    folder = tmp_path / "quiet"
    folder.mkdir()
    shutil.copy(hospital / f"{name.removeprefix('Patient/')}.json", folder)
    once = counted(folder)["now"]

    twice = counted(folder, "--again", "1")

    assert once["cards"] == 1
    assert twice["views"] == 2
    assert twice["now"]["viewsWithCard"] == 1
    assert [hidden["views"] for hidden in twice["now"]["notShown"]["quietDays"]] == [1]


@pytest.mark.parametrize(
    "text",
    ["{}", "[", '{"patient": "a", "cards": 1}']
    + ['{"patient": "a", "cards": [{"rule": "x", "indicator": "hard-stop"}]}'],
)
def test_a_file_that_holds_no_views_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "old").write_text(text, encoding="utf-8")

    with pytest.raises(RequestError, match=r"old is no file of answered views\."):
        read_answered(tmp_path / "old")


def test_a_hook_is_one_that_a_service_answers(hospital: Path) -> None:
    signed = counted(hospital, "--hook", "order-sign")
    refused = run(hospital, "--hook", "patient-veiw")

    assert signed["hook"] == "order-sign"
    assert signed["encounters"] is None
    assert "No service answers this hook; known: patient-view" in str(refused.exception)


@pytest.mark.parametrize("names", ["abc", "abcde"])
def test_two_sides_are_of_the_same_patients(four: Path, tmp_path: Path, names: str) -> None:
    views: dict[str, Any] = dict.fromkeys(names, ())
    refused = run(four, "--cards", written(tmp_path / "old", **views), CARDS)

    assert str(refused.exception) == "The views of old are not of the patients of SOURCE."


def test_nothing_to_read_and_a_file_that_is_no_request_are_told(tmp_path: Path) -> None:
    empty = run(tmp_path)
    (tmp_path / "a.json").write_text('{"hook": 1}', encoding="utf-8")
    broken = run(tmp_path)

    assert "There is no file to read" in str(empty.exception)
    assert str(broken.exception).startswith("a.json: ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--as-of", "yesterday"], "write a day such as"),
        (["--out", "folder"], "--out: it goes with --cards"),
        (["--overwrite"], "--overwrite: it goes with --out"),
        (["--ids"], "--ids: it goes with --cards"),
        (["--over", "0"], "1<=x<=366"),
        (["https://fhir.example.org/r4"], "cds-service export SERVER FOLDER --encounters"),
    ],
)
def test_wrong_use_is_refused(tmp_path: Path, words: list[str], sentence: str) -> None:
    refused = run(tmp_path, *words)

    assert refused.exit_code == 2
    assert sentence in refused.stderr
