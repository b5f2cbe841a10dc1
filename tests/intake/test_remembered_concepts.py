# SPDX-License-Identifier: Apache-2.0
"""What a list of concepts means is remembered, but none with free text, which is of a patient."""

from collections.abc import Callable
from types import ModuleType

import pytest
from msgspec import Raw

from cds_service.intake import hemolysis, results


@pytest.mark.parametrize(
    ("module", "read"),
    [(hemolysis, hemolysis._read), (results, results._interpretation_of)],
    ids=["hemolysis", "interpretation"],
)
@pytest.mark.parametrize(
    ("sent", "times_read"),
    [
        (b'[{"coding":[{"code":"REMEMBERED"}]}]', 1),
        (b'[{"text":"said of one patient"}]', 2),
        (rb'[{"\u0074ext":"said of one patient"}]', 2),
    ],
)
def test_free_text_is_read_anew_however_its_key_is_written(
    module: ModuleType,
    read: Callable[[bytes], object],
    sent: bytes,
    times_read: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known, asked = module.concepts_in, []

    def counting(raw: Raw) -> object:
        asked.append(bytes(raw))
        return known(raw)

    monkeypatch.setattr(module, "concepts_in", counting)
    read(sent)
    read(sent)

    assert len(asked) == times_read
