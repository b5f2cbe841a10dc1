# SPDX-License-Identifier: Apache-2.0
"""The page of settings is current."""

from cds_service.cli.settings import settings_page
from tests.house.source import ROOT

PAGE = ROOT / "docs" / "reference" / "settings.md"


def test_the_page_of_settings_is_current() -> None:
    renew = "cds-service settings --page > docs/reference/settings.md"

    assert PAGE.read_text(encoding="utf-8") == settings_page(), f"stale; renew with: {renew}"
