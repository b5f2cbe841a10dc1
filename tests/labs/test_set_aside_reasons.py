# SPDX-License-Identifier: Apache-2.0
"""The words for what is set aside, and the page that explains them."""

import re
from pathlib import Path
from typing import get_args

from cds_service.labs.set_aside_reasons import MEANINGS, SetAsideReason

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "reasons.md"


def test_the_page_explains_every_reason() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)

    assert dict(rows) == MEANINGS


def test_every_reason_has_a_meaning() -> None:
    assert tuple(MEANINGS) == get_args(SetAsideReason)


def test_every_reason_that_is_raised_is_explained() -> None:
    source = Path(__file__).parents[2] / "cds_service" / "intake"
    text = "\n".join(path.read_text(encoding="utf-8") for path in source.glob("*.py"))
    raised = set(re.findall(r'(?:NotUsable\(|reason=|return )"([a-z]+(?:[-:][a-z-]+)+)"', text))

    assert raised <= set(MEANINGS)
