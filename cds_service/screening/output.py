# SPDX-License-Identifier: Apache-2.0
"""The folder that decisions are written to, part by part, so that a killed run can go on.

Until the run is over everything is in `.unfinished`: which run it is, and each part with its
counts. A part is there wholly or not at all. Then the parts become `decisions.ndjson`, or
`decisions.parquet` of the same rows.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from msgspec import DecodeError
from msgspec.json import Decoder, Encoder

from cds_service.errors import RequestError
from cds_service.screening.decisions_parquet import write_parquet
from cds_service.screening.over_time import ReplayTally
from cds_service.screening.workers import DecidedBatch, DecisionTally

DecisionsFormat: TypeAlias = Literal["ndjson", "parquet"]
DECISIONS: Final = "decisions.ndjson"
_DECISIONS_AS: Final[Mapping[DecisionsFormat, str]] = {
    "ndjson": DECISIONS,
    "parquet": "decisions.parquet",
}
SUMMARY: Final = "summary.json"
REPORT: Final = "report.html"
_UNFINISHED: Final = ".unfinished"
_RUN: Final = "run.json"
_ENCODER = Encoder()


@dataclass(frozen=True, slots=True)
class RunState:
    """What a run needs to go on: what tells it from others, its moment and the key of its hashes.

    A run that goes on has the moment and the key of its first start.
    """

    fingerprint: str
    moment: datetime
    key: str | None


_STATE: Decoder[RunState] = Decoder(RunState)


class _Held:
    """An open folder, in which no other run writes until it is closed, or its process has ended."""

    def __init__(self, folder: int) -> None:
        self.number = folder

    def close(self) -> None:
        """Let others write."""
        if self.number >= 0:
            os.close(self.number)
        self.number = -1

    def __del__(self) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """A folder of one run, as it was first started."""

    folder: Path
    run: RunState
    held: "_Held"

    @property
    def work(self) -> Path:
        """Where the engine writes what it has no room for."""
        return self.folder / _UNFINISHED / "engine"

    def done(self) -> dict[int, DecisionTally]:
        """The parts that are there, with what they count."""
        tallies: dict[int, DecisionTally] = {}
        for path in (self.folder / _UNFINISHED).glob("part-*.json"):
            tallies[int(path.stem.removeprefix("part-"))] = tally_of(json.loads(path.read_text()))
        return tallies

    def write(self, batch: DecidedBatch) -> None:
        """Write a part; its counts come last and say that it is whole."""
        place = self.folder / _UNFINISHED / f"part-{batch.number:06}"
        _write(place.with_suffix(".ndjson"), batch.lines)
        _write(place.with_suffix(".json"), json.dumps(counts_of(batch.tally)).encode())

    def finish(
        self,
        summary: Mapping[str, Any],
        page: str | None = None,
        written_as: DecisionsFormat = "ndjson",
    ) -> None:
        """Join the parts in their order, write the summary and the page, and remove the rest.

        Decisions of an earlier run in another format are removed too.
        """
        unfinished = self.folder / _UNFINISHED
        joined = unfinished / DECISIONS
        with joined.open("wb") as out:
            for path in sorted(unfinished.glob("part-*.ndjson")):
                with path.open("rb") as part:
                    shutil.copyfileobj(part, out)
        made = unfinished / _DECISIONS_AS[written_as]
        if written_as == "parquet":
            write_parquet(joined, made, self.work)
        made.chmod(0o600)  # values and times may tell who somebody is
        _write(self.folder / SUMMARY, json.dumps(summary, indent=2).encode() + b"\n")
        if page is not None:
            _write(self.folder / REPORT, page.encode())
        for name in _DECISIONS_AS.values():
            if name != made.name:
                (self.folder / name).unlink(missing_ok=True)
        made.replace(self.folder / made.name)
        shutil.rmtree(unfinished)
        self.held.close()


def open_output(folder: Path, run: RunState, *, overwrite: bool) -> OutputFolder:
    """The folder for a run, or that of the same run which was not finished.

    A run that was killed while it removed what is left of it is finished once more. Raises
    `RequestError` if there is another run, or a finished one, and `overwrite` is not set.
    """
    unfinished = folder / _UNFINISHED
    held = _hold(folder)
    if overwrite:
        shutil.rmtree(unfinished, ignore_errors=True)
    else:
        refuse_finished(folder)
    try:
        unfinished.mkdir(exist_ok=True)
        unfinished.chmod(0o700)  # the key of the hashes is in it
    except OSError as error:
        raise _unwritable(folder, error) from None
    path = unfinished / _RUN
    if path.exists():
        try:
            earlier = _STATE.decode(path.read_bytes())
        except DecodeError:
            raise RequestError(
                f"The unfinished run in {folder.name} cannot be read: use --overwrite."
            ) from None
        if earlier.fingerprint != run.fingerprint:
            raise RequestError(
                f"There is an unfinished run of other files, options or knowledge in {folder.name}:"
                " use --overwrite or another folder."
            )
        run = earlier
    else:
        _write(path, _ENCODER.encode(run))
    output = OutputFolder(folder, run, held)
    shutil.rmtree(output.work, ignore_errors=True)
    output.work.mkdir()
    return output


def refuse_finished(folder: Path) -> None:
    """Raise `RequestError` if a run has been finished in the folder."""
    if (folder / _UNFINISHED / _RUN).exists():
        return
    for name in _DECISIONS_AS.values():
        if (folder / name).exists():
            raise RequestError(
                f"There is a {name} in {folder.name} already: use --overwrite or another folder."
            )


def _hold(folder: Path) -> _Held:
    """The folder, which is made if it is not there; raises `RequestError` if a run has it."""
    from fcntl import LOCK_EX, LOCK_NB, flock  # not on every system

    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = _Held(os.open(folder, os.O_RDONLY))
        flock(held.number, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        raise RequestError(f"Another run is writing to {folder.name}.") from None
    except OSError as error:
        raise _unwritable(folder, error) from None
    return held


def _unwritable(folder: Path, error: OSError) -> RequestError:
    return RequestError(f"{folder.name} cannot be written to: {error.strerror}.")


def _write(path: Path, data: bytes) -> None:
    """Write a file that is there wholly or not at all."""
    beside = path.with_name(f"{path.name}.new")
    beside.write_bytes(data)
    beside.replace(path)


def counts_of(tally: DecisionTally) -> dict[str, Any]:
    """What was counted, as JSON."""
    return {
        "decided": tally.decided,
        "withCard": tally.with_card,
        "cards": [[rule, indicator, count] for (rule, indicator), count in tally.cards.items()],
        "refused": dict(tally.refused),
        "replay": tally.replay.counts(),
        "people": [[*cell, count] for cell, count in tally.people.items()],
    }


def tally_of(counts: Mapping[str, Any]) -> DecisionTally:
    """What was counted, of JSON."""
    return DecisionTally(
        decided=counts["decided"],
        with_card=counts["withCard"],
        cards=Counter({(rule, indicator): count for rule, indicator, count in counts["cards"]}),
        refused=Counter(counts["refused"]),
        replay=ReplayTally.of(counts["replay"]),
        people=Counter({(by, name): count for by, name, count in counts["people"]}),
    )
