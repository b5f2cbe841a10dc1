# SPDX-License-Identifier: Apache-2.0
"""`cds-service screen` as its users meet it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cds_service.cli import screen_progress
from cds_service.errors import RequestError
from cds_service.screening.files import find_files
from cds_service.screening.run import run_of
from cds_service.service import load_knowledge
from cds_service.settings import Settings
from tests.screening.exports import DAY, counted, decisions, ndjson, person, result, run

ROOT = Path(__file__).parents[2]


@pytest.fixture(name="export")
def _export(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    ndjson(folder / "Patient.ndjson", [person(name) for name in ("anna", "bert")])
    ndjson(
        folder / "Observation.ndjson",
        [result("1", "Patient/anna"), result("2", "Patient/bert", 30)],
    )
    return folder


def test_the_table_counts_cards_by_rule_and_severity(export: Path) -> None:
    shown = run(export, "--as-of", DAY)

    assert shown.exit_code == 0
    assert "2 patients as of 2026-11-20T23:59:59.999+00:00" in shown.stdout
    assert "1 has a card (50.0 %)" in shown.stdout
    (row,) = (line.split() for line in shown.stdout.splitlines() if "alt-very-low" in line)
    assert row == ["info", "alt-very-low", "1", "500.0"]
    assert "All that hook calls ask for could be read." in shown.stdout


def test_what_a_report_contains_is_named_as_not_read(export: Path) -> None:
    inside = result("9", "Patient/bert", 1500)
    report = {"resourceType": "DiagnosticReport", "id": "r", "contained": [inside]}
    ndjson(export / "DiagnosticReport.ndjson", [report])

    shown = run(export, "--as-of", DAY).stdout

    assert "Not read, with all that they contain" in shown
    assert "DiagnosticReport (1)" in shown


def test_a_line_says_who_which_rule_and_by_which_result(export: Path, tmp_path: Path) -> None:
    (row,) = decisions(export, tmp_path / "out")

    assert row == {
        "patient": "anna",
        "rule": "alt-very-low",
        "version": row["version"],
        "pack": row["pack"],
        "answer": "card",
        "indicator": "info",
        "index": {"marker": "alt", "value": "2 U/L", "time": "2026-11-19T08:00:00+00:00"},
        "orders": ["repeat-alt", "vitamin-b6", "liver-panel", "inr"],
        "because": ["alt: below 5 U/L"],
    }


def test_all_writes_the_decisions_without_a_card_too(export: Path, tmp_path: Path) -> None:
    rows = decisions(export, tmp_path / "out", "--all")

    answers = {row["answer"] for row in rows if row["patient"] == "bert"}
    assert {"no card", "not enough data"} <= answers
    assert sum(row["answer"] == "card" for row in rows) == 1


def test_what_is_issued_after_the_day_is_not_there(export: Path) -> None:
    at = {row: counted(export, "--as-of", row)["patientsWithCard"] for row in (DAY, "2026-11-18")}

    assert at == {DAY: 1, "2026-11-18": 0}


def test_ids_are_hashed_with_another_key_each_time_unless_they_are_asked_for(
    export: Path, tmp_path: Path
) -> None:
    for name in "ab":
        run(export, "--as-of", DAY, "--out", tmp_path / name)
    texts = [(tmp_path / name / "decisions.ndjson").read_text() for name in "ab"]
    names = {json.loads(text)["patient"] for text in texts}

    assert "anna" not in "".join(texts)
    assert len(names) == 2
    assert all(len(name) == 32 for name in names)


def test_a_key_gives_the_same_hashes_again(export: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret\n")
    for name in "ab":
        run(export, "--as-of", DAY, "--out", tmp_path / name, "--key-file", key)

    assert (tmp_path / "a/decisions.ndjson").read_bytes() == (
        tmp_path / "b/decisions.ndjson"
    ).read_bytes()


def test_nothing_else_is_left_in_the_folder(export: Path, tmp_path: Path) -> None:
    run(export, "--as-of", DAY, "--out", tmp_path / "out")

    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "decisions.ndjson",
        "report.html",
        "summary.json",
    }


def test_a_finished_folder_is_not_overwritten_unasked(export: Path, tmp_path: Path) -> None:
    first = decisions(export, tmp_path / "out")

    with pytest.raises(RequestError, match="--overwrite"):
        decisions(export, tmp_path / "out")
    assert decisions(export, tmp_path / "out", "--overwrite") == first


def test_strict_tells_by_its_exit_code_what_could_not_be_read(export: Path) -> None:
    assert run(export, "--as-of", DAY, "--strict").exit_code == 0
    with (export / "Observation.ndjson").open("a") as out:
        out.write("{\n")

    assert run(export, "--as-of", DAY).exit_code == 0
    assert run(export, "--as-of", DAY, "--strict").exit_code == 1


def test_processes_say_the_same_as_one(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = decisions(export, tmp_path / "alone")
    monkeypatch.setattr("cds_service.screening.run.FEW", 0)

    assert decisions(export, tmp_path / "workers", "--workers", "2") == alone


@pytest.mark.skipif(sys.platform != "linux", reason="Processes are forked on Linux alone.")
def test_processes_that_are_forked_early_say_the_same_as_one(export: Path, tmp_path: Path) -> None:
    alone = decisions(export, tmp_path / "alone")
    program = """
from cds_service.cli import main
from cds_service.screening import run, workers

run.FEW = run.FORKED_FROM = 0
workers.in_processes = None  # not these
main()
"""
    words = ("--as-of", DAY, "--ids", "--workers", "2", "--out", str(tmp_path / "forked"))

    subprocess.run([sys.executable, "-c", program, "screen", export, *words], cwd=ROOT, check=True)

    forked = (tmp_path / "forked" / "decisions.ndjson").read_text(encoding="utf-8")
    assert [json.loads(line) for line in forked.splitlines()] == alone != []


def test_a_patient_with_a_subject_is_not_lost(export: Path, tmp_path: Path) -> None:
    well = [person(f"p{number}") for number in range(20)]
    odd = person("anna", subject={"reference": "Patient/p1"})
    ndjson(export / "Patient.ndjson", [*well, odd])

    decided = decisions(export, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))

    assert ("anna", "alt-very-low") in {(row["patient"], row["rule"]) for row in decided}
    assert summary["patients"] == 22
    men = next(sex for sex in summary["people"]["sex"] if sex["name"] == "male")
    assert men == {"name": "male", "patients": 21, "withCard": 1}


@pytest.mark.parametrize("change", ["emptied", "removed", "longer"])
def test_a_file_that_changes_between_the_readings_ends_the_run(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    other = ndjson(export / "Extra.ndjson", [result("extra", "Patient/anna", 30)])

    def say(text: str) -> None:
        if "deciding about" in text:
            if change == "removed":
                other.unlink()
            else:
                other.write_text(other.read_text() * 2 if change == "longer" else "")

    monkeypatch.setattr(screen_progress, "_say", say)
    out = tmp_path / "out"

    with pytest.raises(RequestError) as refused:
        run(export, "--as-of", DAY, "--out", out)

    if change != "removed":  # the engine looks for a file before it is held against what it was
        assert "Extra.ndjson was changed while it was read" in str(refused.value)
    assert not (out / "summary.json").exists()


def test_without_the_engine_the_message_says_what_to_install(export: Path) -> None:
    program = "import sys; sys.modules['duckdb'] = None; from cds_service.cli import main; main()"

    shown = subprocess.run(
        [sys.executable, "-c", program, "screen", str(export)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )

    assert shown.returncode == 1
    assert "pip install 'cds-service[population]'" in shown.stderr


def test_the_engine_is_not_imported_by_the_command_itself() -> None:
    program = "import sys, cds_service.cli.screen; print('duckdb' in sys.modules)"

    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )

    assert shown.stdout.strip() == "False"


def test_a_folder_inside_the_source_is_refused(export: Path) -> None:
    for folder in (export, export / "out"):
        refused = run(export, "--out", folder)

        assert refused.exit_code == 2
        assert "it is in SOURCE" in refused.stderr
    assert sorted(path.name for path in export.iterdir()) == [
        "Observation.ndjson",
        "Patient.ndjson",
    ]


def test_a_key_that_is_no_text_is_refused(export: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"\xff\xfe")

    refused = run(export, "--out", tmp_path / "out", "--key-file", key)

    assert refused.exit_code == 2
    assert "the file is no text" in refused.stderr


@pytest.mark.parametrize("option", ["--overwrite", "--all", "--ids", "--key-file"])
def test_an_option_about_what_is_written_is_refused_where_nothing_is(
    export: Path, tmp_path: Path, option: str
) -> None:
    key = tmp_path / "key"
    key.write_text("secret")
    words = [option, key] if option == "--key-file" else [option]

    refused = run(export, *words)

    assert refused.exit_code == 2
    assert f"{option}: it goes with --out" in refused.stderr


def test_a_key_is_refused_where_ids_are_written(export: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret")

    refused = run(export, "--out", tmp_path / "out", "--ids", "--key-file", key)

    assert refused.exit_code == 2
    assert "--key-file goes without --ids" in refused.stderr


def test_a_run_is_another_with_an_edited_rule_or_another_time_zone(
    export: Path, tmp_path: Path
) -> None:
    cards = tmp_path / "cards"
    shutil.copytree(ROOT / "cards", cards)
    files = find_files([export])

    def name(zone: str = "UTC") -> str:
        return run_of(files, load_knowledge(Settings(cards=cards, site_time_zone=zone)), ())

    names = [name(), name(), name("Asia/Tokyo")]
    rule = cards / "liver" / "rules" / "alt-very-low.yaml"
    rule.write_text(rule.read_text().replace("below 5 U/L", "below 6 U/L"))

    assert names[0] == names[1]
    assert len({*names, name()}) == 3


def test_no_process_stays_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        """
import os
from multiprocessing import get_context
from cds_service.screening.workers import _end_with_parent

if __name__ == "__main__":
    get_context("spawn").Process(target=_end_with_parent).start()
    os.kill(os.getpid(), 9)
"""
    )

    # The worker holds the other end of the output: it is read to its end only once it is gone.
    ended = subprocess.run(
        [sys.executable, program], check=False, stdout=subprocess.PIPE, timeout=60
    )

    assert ended.returncode == -9


def test_a_folder_that_cannot_be_made_is_told(export: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(RequestError, match="out cannot be written to: Not a directory"):
        run(export, "--out", tmp_path / "file" / "out")
