# SPDX-License-Identifier: Apache-2.0
"""The words for failures and their page say the same."""

import re

from cds_service.fhir_client.failures import QUERY_FAILURES
from cds_service.fhir_client.prefetch_completion import WHOLE, WHOLE_WITHOUT
from cds_service.log import NAME
from tests.house.source import ROOT

PAGE = (ROOT / "docs" / "reference" / "fhir-access.md").read_text(encoding="utf-8")


def test_every_word_stands_on_the_page_with_its_meaning() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", PAGE, re.MULTILINE))

    assert rows.pop(WHOLE) == "everything that was asked for"
    assert rows.pop(WHOLE_WITHOUT).startswith("everything, asked again")
    assert rows == QUERY_FAILURES


def test_every_word_is_a_name_that_may_be_logged() -> None:
    assert all(NAME.fullmatch(word) for word in (*QUERY_FAILURES, WHOLE, WHOLE_WITHOUT))
