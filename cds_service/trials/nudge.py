# SPDX-License-Identifier: Apache-2.0
"""Change one thing in a pack and see whether a case notices.

A change (`nudges`) that neither breaks the pack nor fails a case is a place that nobody guards.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from cds_service.decide import compile_pack
from cds_service.knowledge.checking.consistency import check_pack
from cds_service.knowledge.model.pack import Marker, Pack
from cds_service.knowledge.reading.build import build_pack, link_pack
from cds_service.knowledge.reading.file_reader import PackCache
from cds_service.knowledge.reading.folder import PackFiles
from cds_service.sourcefile.diagnostics import Problem
from cds_service.trials.case_patients import CasePatients, PackDifference, difference_of
from cds_service.trials.nudges import Nudge, nudges_of
from cds_service.trials.run import Trial, read_trials
from cds_service.trials.steps import Kind


@dataclass(frozen=True, slots=True)
class NudgeReport:
    """How many changes of each kind were tried, and a problem for each that no case noticed."""

    kinds: Mapping[Kind, int]
    problems: tuple[Problem, ...]

    @property
    def tried(self) -> int:
        """How many changes were tried."""
        return sum(self.kinds.values())


class _Nudger:
    """Tries nudges against the cases of the unchanged pack."""

    def __init__(self, files: PackFiles) -> None:
        self.files = files
        self.cache = PackCache(files)
        pack, problems = build_pack(files, self.cache)
        if pack is None or problems:  # else every nudge of it would seem to be noticed
            message = "a pack with problems cannot be nudged"
            raise ValueError(message)
        self.pack, self.meaning = pack, _meaning(pack)
        self.patients = CasePatients(compile_pack(pack))
        trials, _ = read_trials(files, pack)
        self.trials: dict[str, list[Trial]] = {}  # by file; those that noticed last come first
        for trial in trials:
            self.trials.setdefault(trial.case.path, []).append(trial)

    def is_noticed(self, nudge: Nudge) -> bool:
        """Whether the pack breaks or a case fails; what is likely and quick is tried first."""
        files = self.files.having(nudge.path, nudge.data)
        pack, problems = link_pack(files, self.cache)
        if pack is None or problems:
            return True
        if _meaning(pack) == self.meaning:
            return True  # the change says what holds anyway, such as a default
        difference = difference_of(self.pack, compile_pack(pack))
        if self._any_fails(nudge.path, nudge, difference) or check_pack(pack, files.documents):
            return True
        others = (path for path in self.trials if path != nudge.path)
        return any(self._any_fails(path, nudge, difference) for path in others)

    def _any_fails(self, path: str, nudge: Nudge, difference: PackDifference) -> bool:
        """Whether a case of the file fails; those that mention what changed are tried first."""
        trials = self.trials.get(path, [])
        piece = nudge.piece.casefold()
        if piece:
            trials = sorted(trials, key=lambda trial: piece not in trial.case.title.casefold())
        for trial in trials:
            if difference.fails(trial, self.patients):
                self.trials[path].remove(trial)
                self.trials[path].insert(0, trial)
                return True
        return False


def _meaning(pack: Pack) -> Pack:
    """The pack without the spellings of units that follow from what the units are."""

    def follows(spelling: str, marker: Marker) -> bool:
        size = pack.unit_pieces.size_of(spelling)
        if size is None or size.dimension not in marker.dimensions:
            return False
        return marker.dimensions[size.dimension] * size.amount == marker.factors[spelling]

    markers = {}
    for name, marker in pack.markers.items():
        spelled = [unit for unit in marker.factors if not follows(unit, marker)]
        factors = {unit: marker.factors[unit] for unit in spelled}
        units = {unit: marker.units[unit] for unit in spelled}
        markers[name] = replace(marker, factors=factors, units=units)
    units = {
        spelling: unit
        for spelling, unit in pack.units.items()
        if pack.unit_pieces.size_of(spelling) is None
    }
    return replace(pack, markers=markers, units=units)


_nudger: _Nudger | None = None


def _start(files: PackFiles) -> None:
    global _nudger  # noqa: PLW0603 - one nudger for each worker process
    _nudger = _Nudger(files)


def _try(nudge: Nudge) -> bool:
    if _nudger is None:
        message = "the worker was not started"
        raise RuntimeError(message)
    return _nudger.is_noticed(nudge)


def nudge_pack(
    files: PackFiles, *, processes: int, progress: Callable[[int, int], None]
) -> NudgeReport:
    """Try every nudge; `progress` is called with (done, total)."""
    nudges = list(nudges_of(files))
    problems: list[Problem] = []
    answers = _answers(files, nudges, processes)
    for done, (nudge, noticed) in enumerate(zip(nudges, answers, strict=True), start=1):
        progress(done, len(nudges))
        if not noticed:
            mark = files.documents[nudge.path].mark(nudge.where)
            message = f"no case notices {nudge.words}"
            problems.append(Problem("K603", mark, message, "add a case that fails then"))
    return NudgeReport(Counter(nudge.kind for nudge in nudges), tuple(problems))


def _answers(files: PackFiles, nudges: list[Nudge], processes: int) -> Iterator[bool]:
    """Whether each nudge is noticed, in their order; one process needs no others."""
    if processes == 1:
        yield from map(_Nudger(files).is_noticed, nudges)
        return
    with ProcessPoolExecutor(processes, initializer=partial(_start, files)) as pool:
        yield from pool.map(_try, nudges, chunksize=32)
