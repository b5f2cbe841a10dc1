# SPDX-License-Identifier: Apache-2.0
"""From which id on a table is read again."""

import pytest

from cds_service.memory import newest_ids
from cds_service.memory.newest_ids import NewestIds


def test_what_came_lately_is_read_again_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(newest_ids, "stopwatch", lambda: lambda began=now[0]: now[0] - began)
    ids = NewestIds(5, again=1000)
    for time, newest in ((400, 7), (800, 9)):
        now[0] = time
        ids.add(newest)

    assert (ids.newest, ids.after) == (9, 5)
    now[0] = 1401
    assert ids.after == 7
    now[0] = 9000
    assert (ids.newest, ids.after) == (9, 9)
