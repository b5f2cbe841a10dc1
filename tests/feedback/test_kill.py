# SPDX-License-Identifier: Apache-2.0
"""A killed server loses no feedback that it acknowledged.

A short run; `pytest tests/feedback/test_kill.py --kill-posts 10000` is the long one.
"""

import pytest

from tests.feedback import killed_server

pytestmark = pytest.mark.server


def test_nothing_that_was_acknowledged_is_lost(database: str, pytestconfig: pytest.Config) -> None:
    posts: int = pytestconfig.getoption("--kill-posts")
    outcome = killed_server.run(database, posts, kills=max(2, posts // 400), seed=posts)

    kept = killed_server.kept(database)

    print(
        f"{database.partition(':')[0]}: {len(outcome.acknowledged)} acknowledged, "
        f"{len(kept)} kept, {outcome.kills} kills, {outcome.again} sent again, "
        f"{outcome.seconds:.0f} s"
    )
    assert outcome.kills > 0
    assert len(outcome.acknowledged) == posts
    assert sorted(kept) == sorted(outcome.acknowledged)  # none lost, none twice
