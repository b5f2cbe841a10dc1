# SPDX-License-Identifier: Apache-2.0
"""Spellings of units, names and codes that a site adds to the markers of a pack."""

from fractions import Fraction
from pathlib import Path

import pytest

from cds_service.knowledge.model.names import Named
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.model.status import status_summary
from cds_service.knowledge.site.file import read_site
from cds_service.knowledge.site.overlay import site_pack
from cds_service.sourcefile.diagnostics import Problem
from tests.knowledge.fixture_pack import changed, letters_files, replaced
from tests.site.site_fixtures import site_file

LAB = "https://lab.example/codes"
GOOD = """\
markers:
  alpha:
    units: {E/l: U/L, "kE / l": kU/L}
    names: [Alfa-Enzym]
    codes:
      - {system: "https://lab.example/codes", code: A9, name: Alpha by X, method: by X}
"""


def at_site(folder: Path, body: str) -> tuple[Pack | None, list[Problem]]:
    path = site_file(folder, body, pack="letters")
    return site_pack(letters_files(), read_site(path, "site.yaml"))


def test_what_the_laboratory_writes_is_read(tmp_path: Path) -> None:
    pack, problems = at_site(tmp_path, GOOD)

    assert problems == []
    assert pack is not None
    alpha = pack.markers["alpha"]
    assert (alpha.units["E/l"], alpha.factors["E/l"]) == ("U/L", Fraction(1))
    assert (alpha.units["kE/l"], alpha.factors["kE/l"]) == ("kU/L", Fraction(1000))
    assert pack.units["E/l"] == "U/L"
    assert pack.names.of("Alfa-Enzym") == (Named("alpha"),)
    marker, code = pack.marker_codes[LAB, "A9"]
    assert (marker, code.method) == ("alpha", "by X")
    assert "Units, names or codes of General Hospital are read for: alpha." in status_summary(pack)


def with_line(key: str, line: str, marker: str = "alpha") -> str:
    return f"markers:\n  {marker}:\n    {key}: {line}\n"


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (with_line("units", "{E/l: mg/dL}"), "K203", "'mg/dL' is no unit of alpha"),
        (with_line("units", "{mU/L: U/L}"), "K302", "another unit by its definition"),
        (with_line("units", "{g/L: U/L}"), "K302", "another unit by its definition"),
        (with_line("units", "{U/l: U/L}"), "K805", "is read as U/L already"),
        (with_line("units", "{E/l: U/L, 'E / l': kU/L}"), "K302", "'E / l' is U/L"),
        (with_line("names", "[beta]"), "K302", "a name of beta"),
        (with_line("names", "[alfa free]", "beta"), "K302", "holds a name of alpha"),
        (with_line("names", "[alfa]"), "K805", "is read as alpha already"),
        (with_line("names", "['--']"), "K106", "has no word"),
        (with_line("codes", "[{system: 'https://example.org/codes', code: A1, name: A}]"), "K302",
         "A1 already stands for alpha"),
        (with_line("codes", "[{system: 'http://loinc.org', code: 1742-5, name: A}]"), "K303",
         "the check digit"),
        (with_line("codes", "[{system: 'urn:lab', code: A9, name: A, method: by Y}]"), "K802",
         "names the method 'by Y'"),
        ("markers:\n  alpa: {names: [x]}\n", "K802", "there is no marker 'alpa'"),
    ],
)  # fmt: skip
def test_what_means_something_else_is_refused_at_its_line(
    body: str, code: str, message: str, tmp_path: Path
) -> None:
    _, (problem,) = at_site(tmp_path, body)

    assert (problem.code, problem.mark.file) == (code, "site.yaml")
    assert message in problem.message
    assert problem.remedy
    assert problem.mark.line == (5 if "alpa:" in body else 6)


def test_a_code_that_the_pack_only_names_is_read_if_the_site_says_so(tmp_path: Path) -> None:
    unread = ("names: [alfa]", "codes not read: [{loinc: 9999001-2, because: x}]\nnames: [alfa]")
    beta = ("{loinc: 9999001-2, name: Beta}", "{loinc: 9999002-0, name: Beta}")
    changes = replaced("markers/alpha.yaml", unread) | replaced("markers/beta.yaml", beta)
    files = letters_files(changed(tmp_path, changes))
    body = with_line("codes", "[{system: 'http://loinc.org', code: 9999001-2, name: A}]")
    site = site_file(tmp_path, body, pack="letters")

    pack, problems = site_pack(files, read_site(site, "site.yaml"))

    assert problems == []
    assert pack is not None
    assert pack.marker_codes["http://loinc.org", "9999001-2"][1].is_read


def test_a_code_is_claimed_once(tmp_path: Path) -> None:
    code = "{system: 'urn:lab', code: X, name: X}"
    body = f"markers:\n  alpha: {{codes: [{code}]}}\n  beta: {{codes: [{code}]}}\n"

    _, (problem,) = at_site(tmp_path, body)

    assert (problem.code, problem.mark.line) == ("K302", 6)
