# SPDX-License-Identifier: Apache-2.0
"""Where else a site file shows: words, discovery, the start-up log, check, settings."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from cds_service.catalogue.plain_text import rule_in_words
from cds_service.knowledge.checking.lock import lock_of
from cds_service.knowledge.checking.signature import signature_hash
from cds_service.knowledge.model.status import is_signed, status_summary
from cds_service.knowledge.site.overlay import load_packs_at
from cds_service.log import configure_log
from cds_service.web import create_app
from tests.knowledge.signed_packs import sign
from tests.site.site_fixtures import (
    EXAMPLE,
    client_at,
    liver_at,
    problems_at,
    settings_at,
    site_file,
    value,
)
from tests.web.http_fixtures import LOINC, read_once

ROOT = Path(__file__).parents[2]
CARDS = ROOT / "cards"
GGT = "2324-2"
TIME_CRITICAL = ["acetaminophen-level-high", "alf-emergency", "alt-over-1000"]
TIME_CRITICAL += ["hys-law-pattern", "isoniazid-stop-threshold", "pregnancy-liver-emergency"]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    written = io.StringIO()
    configure_log(stream=written)
    yield written
    structlog.reset_defaults()


def command(*arguments: str, site: Path | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    if site is not None:
        environment["CDS_SITE_FILE"] = str(site)
    return subprocess.run(
        [sys.executable, "-m", "cds_service", *arguments],
        env=environment,
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


def usage(path: Path | None) -> list[str]:
    body = json.loads(client_at(path).get("/cds-services").text)
    return [service["usageRequirements"] for service in body["services"]]


def test_the_words_of_a_rule_name_the_site() -> None:
    pack = liver_at(EXAMPLE)

    mild, off = (rule_in_words(pack.rules[rule_id], pack) for rule_id in ("alt-mild", "fib4-high"))

    assert "Liver panel (24325-3), 5 to 20 days" in mild
    assert "5 and 20 days instead of 7 and 28 days (rules/alt-mild.yaml, suggest / " in mild
    assert "45 U/L instead of 40 U/L (markers/alt.yaml" in mild
    assert "fib4-high 1.2.0, switched off" in off
    assert "Switched off by General Hospital laboratory: The clinic has a fibrosis" in off
    low = rule_in_words(pack.rules["alt-very-low"], pack)
    assert "Site code of General Hospital laboratory for Repeat ALT: 4711 of https://lab" in low
    assert "At this site" not in rule_in_words(pack.rules["plp-high"], pack)


def test_discovery_says_what_is_off_and_what_nobody_approved() -> None:
    for told in usage(EXAMPLE):
        assert "No clinician has approved these rules yet." in told
        assert "Switched off by General Hospital laboratory: fib4-high." in told
        assert f"ask for action within hours: {', '.join(TIME_CRITICAL)}." in told


def test_a_time_critical_rule_that_is_off_is_named_as_off(tmp_path: Path) -> None:
    path = site_file(tmp_path, "switched off:\n  - {rule: alt-over-1000, because: Invented.}\n")

    for told in usage(path):
        left = ", ".join(rule for rule in TIME_CRITICAL if rule != "alt-over-1000")
        assert f"within hours: {left}." in told
        assert "Switched off by General Hospital: alt-over-1000." in told


def test_the_prefetch_leaves_out_what_only_rules_that_are_off_read(tmp_path: Path) -> None:
    alone = ("isolated-alp", "isolated-alp-hepatobiliary", "isolated-alp-non-hepatic")
    rules = (*alone, "cholestatic-enzymes", "muscle-source")
    lines = "".join(f"  - {{rule: {rule}, because: Invented.}}\n" for rule in rules)

    whole, less = (
        json.loads(client_at(path).get("/cds-services").text)["services"][0]["prefetch"]
        for path in (None, site_file(tmp_path, f"switched off:\n{lines}"))
    )

    assert f"{LOINC}|{GGT}," in whole["observations"]
    assert GGT not in less["observations"]


def test_a_signature_is_told_and_holds_beside_the_values_of_a_site(tmp_path: Path) -> None:
    shutil.copytree(CARDS, tmp_path, dirs_exist_ok=True)
    sign(tmp_path / "liver", signature_hash(liver_at(None)))

    for site in (None, EXAMPLE):
        with read_once():
            (pack,) = load_packs_at(tmp_path, site)

        assert is_signed(pack)
        assert status_summary(pack).startswith("Signed by Dr. Example on 2027-01-02. Rules that")


@pytest.mark.parametrize(("path", "off"), [(None, 0), (EXAMPLE, 1)])
def test_the_start_is_one_line_of_counts(path: Path | None, off: int, stream: io.StringIO) -> None:
    with read_once():
        create_app(settings_at(path))

    (only,) = (json.loads(line) for line in stream.getvalue().splitlines())
    line: dict[str, Any] = only
    rules = line.pop("rules")
    active = [rule for rule in liver_at(None).rules.values() if rule.status == "active"]
    assert rules + off == len(active)
    del line["at"], line["pack_version"]
    assert line == {
        "event": "start",
        "level": "info",
        "pack": "liver",
        "rules_off": off,
        "time_critical": 6,
        "signed": False,
    }


@pytest.mark.slow
def test_the_example_of_the_documentation_is_guarded() -> None:
    done = command("check", "--site", str(EXAMPLE))

    assert done.returncode == 0, done.stdout
    assert "K701" not in done.stdout  # the lock is that of the pack without the site
    assert "2 values, 1 order codes, 1 rules off, 11 cases, 9 changes tried" in done.stderr
    assert "changed by the site: " in done.stderr
    assert "(LIV-071)' fails: orders: expected liver-panel 7-28 days, got" in done.stderr


@pytest.mark.slow
def test_the_setting_is_checked_too(tmp_path: Path) -> None:
    place = "suggest / line 2 / between"
    body = "values:\n" + value("rules/alt-mild.yaml", place, "5 and 20 days", "7 and 28 days")

    done = command("check", site=site_file(tmp_path, body))

    assert done.returncode == 1
    assert done.stdout.count("K806") == 4
    assert "no case of the site notices 5 as 4" in done.stdout


@pytest.mark.slow
def test_a_site_file_for_no_pack_stops_check_and_start(tmp_path: Path) -> None:
    path = site_file(tmp_path, "", pack="kidney")

    for arguments in (["check"], ["explain"]):
        done = command(*arguments, site=path)
        assert done.returncode == 1
        assert "K801 there is no pack 'kidney'" in done.stdout + done.stderr


def test_a_path_that_is_no_file_is_a_problem_of_the_settings(tmp_path: Path) -> None:
    done = command("settings", site=tmp_path / "none.yaml")

    assert done.returncode == 2
    assert "CDS_SITE_FILE" in done.stderr


def test_explain_speaks_of_the_site() -> None:
    done = command("explain", "alt-mild", site=EXAMPLE)

    assert "Site value of General Hospital laboratory" in done.stdout


def test_a_site_without_cases_needs_none_for_switching_off(tmp_path: Path) -> None:
    body = "switched off:\n  - {rule: alpha-very-high, because: Invented.}\n"

    assert problems_at(site_file(tmp_path, body, pack="letters")) == []


def test_the_lock_is_that_of_the_pack_alone() -> None:
    pack, changed = liver_at(None), liver_at(EXAMPLE)

    same = lock_of(pack).rules
    different = {name for name, version in lock_of(changed).rules.items() if version != same[name]}
    assert different == {"alt-mild", "fib4-high"}


def test_the_page_of_a_rule_shows_what_is_the_sites() -> None:
    client = client_at(EXAMPLE)

    mild = client.get("/rules/alt-mild").text
    assert "General Hospital laboratory" in mild
    assert "in 5 to 20 days" in mild
    assert "7 and 28 days" in mild
    off = client.get("/rules/fib4-high").text
    assert "The clinic has a fibrosis pathway of its own." in off
    low = client.get("/rules/alt-very-low").text
    assert "4711 of https://lab.example/catalogue (this site)" in low
    assert "45 U/L" not in low  # it compares with no upper limit
