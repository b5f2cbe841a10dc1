# SPDX-License-Identifier: Apache-2.0
"""The page of conformance and the tests say the same."""

import re
from collections.abc import Iterator

import pytest

from tests.house.source import ROOT, functions_of

PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"\| ((?:CH|HK|SUB4|SUBB|SUB5|BS|BD)-[A-Z0-9-]+) \| ([^|]+) \| (.+) \| ([^|]+) \| ([^|]+) \|"
)
TEST = re.compile(r"`(tests/[a-z_/]+\.py)::(\w+)`")
KINDS = ("CH", "HK", "SUB4", "SUBB", "SUB5", "BS", "BD")
STANCES = {"met", "met when configured", "proxy", "not offered", "open"}
WITHOUT_TEST = {"open"}

# Every row of the checklist that binds a service (2.1 to 2.12, 3 to 5), and those of Bulk Data.
NUMBERS: dict[str, tuple[int, ...]] = {
    "CH-GEN": tuple(range(1, 13)),
    "CH-DISC": tuple(range(1, 17)),
    "CH-REQ": tuple(range(1, 16)),
    "CH-PF": (*range(1, 12), *range(20, 30)),
    "CH-FA": tuple(range(1, 9)),
    "CH-RESP": tuple(range(1, 10)),
    "CH-CARD": tuple(range(1, 14)),
    "CH-SUG": tuple(range(1, 8)),
    "CH-ACT": tuple(range(1, 9)),
    "CH-OVR": (1, 2),
    "CH-LINK": tuple(range(1, 8)),
    "CH-SYS": (1, 2, 3),
    "CH-FB": tuple(range(1, 12)),
    "CH-SEC": (1, 2),
    "CH-JWT": tuple(range(1, 20)),
    "CH-CORS": tuple(range(1, 6)),
    "CH-EXT": (1, 2),
    "CH-STALE": (1, 2),
    "CH-OPS": (1, 2),
    "SUB4": tuple(range(1, 11)),
    "SUBB": tuple(range(1, 26)),
    "SUB5": (1, 2, 3),
    "BS": tuple(range(1, 13)),
    "BD": tuple(range(1, 12)),
}
HOOKS = [*(f"HK-{number:02}" for number in range(1, 17)), *(f"HK-R{n}" for n in range(1, 6))]
EXPECTED = [f"{name}-{n:03}" for name, numbers in NUMBERS.items() for n in numbers] + HOOKS
ROWS = [match.groups() for match in ROW.finditer(PAGE)]


def named() -> Iterator[tuple[str, str]]:
    return ((match[1], match[2]) for match in TEST.finditer(PAGE))


def test_every_row_is_there_once() -> None:
    assert sorted(row[0] for row in ROWS) == sorted(EXPECTED)


def test_every_line_of_a_table_of_rows_can_be_read() -> None:
    assert sum(PAGE.count(f"\n| {kind}-") for kind in KINDS) == len(ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_has_a_stance_and_its_proof(row: tuple[str, ...]) -> None:
    _, level, asked, stance, proof = row

    assert stance in STANCES
    assert re.fullmatch(r"(SHALL|SHOULD|MAY)( NOT)?\*?|-", level)
    assert asked.endswith((".", ")"))
    assert TEST.search(proof) or stance in WITHOUT_TEST


@pytest.mark.parametrize("path", sorted({path for path, _ in named()}))
def test_every_test_that_is_named_exists(path: str) -> None:
    missing = {name for at, name in named() if at == path} - functions_of(path)

    assert missing == set()
