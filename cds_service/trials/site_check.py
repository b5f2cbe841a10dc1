# SPDX-License-Identifier: Apache-2.0
"""The cases of a pack and of a site under a site file, and whether the site guards its values.

A case of the pack may fail because of a value of the site; it is listed, not a problem. In its
place the site's own cases must notice when one of the site's values is moved by a step.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from cds_service.decide import Program, compile_pack
from cds_service.errors import RequestError
from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.reading.file_reader import PackCache
from cds_service.knowledge.reading.folder import PackFiles
from cds_service.knowledge.site.file import SiteFile
from cds_service.knowledge.site.overlay import site_pack
from cds_service.sourcefile.diagnostics import Problem, nearest
from cds_service.sourcefile.document import Where
from cds_service.trials.cases import Case, cases_of
from cds_service.trials.run import Trial, failures, read_trials, trials_of
from cds_service.trials.steps import text_steps

_GUARD = "add a case of the site's own that fails then"


@dataclass(frozen=True, slots=True)
class SiteReport:
    """What became of the cases: those of the pack that no longer hold, and the site's problems."""

    problems: tuple[Problem, ...]
    changed: tuple[Problem, ...] = ()  # cases of the pack that the site answers otherwise
    silent: int = 0  # cases of the pack about rules that the site switched off
    cases: int = 0  # of the site
    tried: int = 0  # steps by which values of the site were moved


def check_site(files: PackFiles, site: SiteFile) -> SiteReport:
    """Run all cases under the site file; the pack by itself must be free of problems."""
    cache = PackCache(files)
    pack, problems = site_pack(files, site, cache)
    if pack is None or problems:
        return SiteReport(tuple(problems))
    program = compile_pack(pack)
    asked, silent = _of_the_pack(files, pack)
    changed = tuple(failures(asked, program))
    cases, problems = _cases(site, files)
    trials, unreadable = trials_of(cases, pack)
    problems.extend((*unreadable, *failures(trials, program)))
    tried = 0
    if not problems:
        for n, _ in enumerate(site.shape.values):
            found = tuple(_unguarded(files, site, n, trials, cache))
            tried += len(found)
            problems.extend(problem for problem in found if problem is not None)
        problems.extend(_codes_unguarded(site, pack, trials))
    return SiteReport(tuple(problems), changed, silent, len(cases), tried)


def _of_the_pack(files: PackFiles, pack: Pack) -> tuple[list[Trial], int]:
    """The cases of the pack without those of rules that are off, and the number of those."""
    trials, _ = read_trials(files, pack)
    off = {f"rules/{line.rule}.yaml" for line in pack.site.switched_off} if pack.site else set()
    asked = [trial for trial in trials if trial.case.path not in off]
    return asked, len(trials) - len(asked)


def _cases(site: SiteFile, files: PackFiles) -> tuple[list[Case], list[Problem]]:
    """The site's cases, each with the file of the pack whose words it speaks."""
    cases: list[Case] = []
    problems: list[Problem] = []
    data = site.document.data
    listed = data.get("cases", []) if isinstance(data, dict) else []
    for n, (shape, case_data) in enumerate(zip(site.shape.cases, listed, strict=True)):
        where: Where = ("cases", n)
        if shape.about not in files.documents:
            message = f"there is no file '{shape.about}' in the pack"
            mark = site.document.mark((*where, "about"))
            remedy = nearest(shape.about, files.documents)
            problems.append(Problem("K802", mark, message, remedy))
            continue
        found, unreadable = cases_of(site.document, shape.about, case_data, where)
        cases.extend(found)
        problems.extend(unreadable)
    return cases, problems


def _unguarded(
    files: PackFiles, site: SiteFile, n: int, trials: list[Trial], cache: PackCache
) -> Iterator[Problem | None]:
    """For each step of one value: `None` if a case of the site notices it, else a problem."""
    for step in text_steps(site.shape.values[n].to):
        pack, problems = site_pack(files, site, cache, moved=(n, step.text))
        if pack is None or problems or _any_fails(trials, compile_pack(pack)):
            yield None
        else:
            mark = site.document.mark(("values", n, "to"))
            yield Problem("K806", mark, f"no case of the site notices {step.words}", _GUARD)


def _codes_unguarded(site: SiteFile, pack: Pack, trials: list[Trial]) -> Iterator[Problem]:
    """A code of the site's own must differ from one that means nothing."""
    for name, order in pack.orders.items():
        code = order.site_code
        if code is None:
            continue
        without = replace(order, equivalents=order.equivalents - {(code.system, code.code)})
        changed = replace(pack, orders={**pack.orders, name: without})
        if not _any_fails(trials, compile_pack(changed)):
            mark = site.document.mark(("order codes", name))
            message = f"no case of the site notices whether {code.code} counts as ordered"
            yield Problem("K806", mark, message, _GUARD)


def _any_fails(trials: list[Trial], program: Program) -> bool:
    try:
        return next(failures(trials, program), None) is not None
    except (RequestError, LookupError):
        return True  # the pack no longer holds what the case speaks of
