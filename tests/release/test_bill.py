# SPDX-License-Identifier: Apache-2.0
"""A bill of materials that is wrong is not released."""

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.release import bill
from deploy.release.refusal import Refused

LOCK = """\
alpha==1.0 \\
    --hash=sha256:00
typing-extensions==4.0 \\
    --hash=sha256:00
colorama==0.4.6 ; sys_platform == 'win32' \\
    --hash=sha256:00
"""
ALPHA = {"type": "library", "name": "Alpha", "version": "1.0"}
TYPING = {"type": "library", "name": "typing_extensions", "version": "4.0"}


def of(*components: dict[str, Any], **more: Any) -> str:
    return json.dumps(
        {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components, **more}
    )


def test_a_bill_names_the_wheel_by_its_version_and_its_hash(tmp_path: Path) -> None:
    wheel = tmp_path / "cds_service-9.8.7-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    made = {
        **json.loads(of(ALPHA)),
        "metadata": {"component": {"type": "application", "name": "cds-service"}},
    }

    text = bill.completed(made, wheel, "9.8.7")

    bill.validate(text)
    component = json.loads(text)["metadata"]["component"]
    assert (component["version"], component["purl"]) == ("9.8.7", "pkg:pypi/cds-service@9.8.7")
    assert len(component["hashes"][0]["content"]) == 64


@pytest.mark.parametrize(
    "text",
    [
        of({"type": "library"}),
        of({**ALPHA, "type": "no such type"}),
        of(ALPHA, madeUp=True),
        of(ALPHA, ALPHA),
    ],
)
def test_a_bill_that_does_not_fit_the_schema_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="does not fit the schema"):
        bill.validate(text)


def test_a_bill_has_what_the_lock_has_and_may_lack_what_is_for_elsewhere() -> None:
    bill.agree(of(ALPHA, TYPING), LOCK)
    bill.agree(of(ALPHA, TYPING, {**ALPHA, "name": "colorama", "version": "0.4.6"}), LOCK)


@pytest.mark.parametrize(
    ("components", "named"),
    [
        ([ALPHA], "typing-extensions 4.0"),
        ([ALPHA, TYPING, {**ALPHA, "name": "pip"}], "pip 1.0"),
        ([{**ALPHA, "version": "1.1"}, TYPING], "alpha 1.1"),
    ],
)
def test_a_bill_of_something_else_is_refused(components: list[Any], named: str) -> None:
    with pytest.raises(Refused, match=f"differ in {named}"):
        bill.agree(of(*components), LOCK)
