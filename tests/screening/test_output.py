# SPDX-License-Identifier: Apache-2.0
"""The folder that a run writes to, also after it was killed at an unlucky moment."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cds_service.errors import RequestError
from cds_service.screening.output import OutputFolder, RunState, open_output
from cds_service.screening.over_time import ReplayTally
from cds_service.screening.workers import DecidedBatch, DecisionTally

RUN = RunState("this run", datetime(2026, 11, 20, tzinfo=UTC), "key")


def written(folder: Path) -> OutputFolder:
    made = open_output(folder, RUN, overwrite=False)
    tally = DecisionTally(decided=1, with_card=1, cards=Counter({("alt-mild", "info"): 1}))
    made.write(DecidedBatch(number=0, lines=b"{}\n", tally=tally))
    return made


def test_a_run_that_was_killed_while_it_removed_what_was_left_is_finished_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr("shutil.rmtree", lambda *_, **__: None)
        written(tmp_path).finish({})
    assert (tmp_path / ".unfinished").exists()

    again = open_output(tmp_path, RUN, overwrite=False)
    again.finish({})

    assert again.run == RUN
    assert (tmp_path / "decisions.ndjson").read_bytes() == b"{}\n"
    assert not (tmp_path / ".unfinished").exists()


def test_a_run_that_goes_on_counts_what_was_counted_before(tmp_path: Path) -> None:
    card = ("alt-mild", "info")
    replay = ReplayTally(
        first=Counter({card: 2}),
        patients=Counter({card: 1}),
        first_at=Counter({(3, "info"): 2}),
        shown_at=Counter({(3, "info"): 1, (4, "info"): 1}),
        steps=Counter({("alt-mild", "liver-panel", "in time"): 2}),
        windows=Counter({("alt-mild", "liver-panel", 7, 28): 2}),
    )
    tally = DecisionTally(1, 1, Counter({card: 2}), Counter({"reason": 1}), replay)
    tally.people.update([("sex", "female"), ("age", "18-39")])
    made = open_output(tmp_path, RUN, overwrite=False)

    made.write(DecidedBatch(number=4, lines=b"{}\n", tally=tally))

    assert made.done() == {4: tally}


def test_a_finished_run_is_not_written_over(tmp_path: Path) -> None:
    written(tmp_path).finish({})

    with pytest.raises(RequestError, match="use --overwrite"):
        open_output(tmp_path, RUN, overwrite=False)


def test_an_unfinished_run_that_cannot_be_read_is_no_crash(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / ".unfinished" / "run.json").write_bytes(b'{"fingerprint": ')

    with pytest.raises(RequestError, match="cannot be read: use --overwrite"):
        open_output(tmp_path, RUN, overwrite=False)


def test_only_the_owner_can_read_the_decisions(tmp_path: Path) -> None:
    written(tmp_path).finish({})

    assert (tmp_path / "decisions.ndjson").stat().st_mode & 0o777 == 0o600


def test_two_runs_do_not_write_to_one_folder_at_the_same_time(tmp_path: Path) -> None:
    first = written(tmp_path)

    with pytest.raises(RequestError, match="Another run is writing to"):
        open_output(tmp_path, RUN, overwrite=True)
    first.finish({})
    assert open_output(tmp_path, RUN, overwrite=True).run == RUN
