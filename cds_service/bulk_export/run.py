# SPDX-License-Identifier: Apache-2.0
"""An export from its start to the last file: goes on where a killed run was.

The manifest is asked for again whenever a run goes on, for the URLs in it may be good for an hour
only. An export that the server has forgotten is begun again, once in a run.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from msgspec import DecodeError, Struct
from msgspec import field as member
from msgspec.json import decode

from cds_service.bulk_export.download import Download, NotWhole, resources_in
from cds_service.bulk_export.folder import (
    ExportedFile,
    ExportFolder,
    ExportPlan,
    ExportState,
    ExportSummary,
)
from cds_service.bulk_export.manifest import OUTCOMES, Issues, Manifest, RemoteFile, count_issues
from cds_service.bulk_export.server import (
    GO_ON,
    ExportServer,
    FileRefused,
    JobFailed,
    JobGone,
    KickOffRefused,
)
from cds_service.copying import replace
from cds_service.counting import counted
from cds_service.errors import CdsServiceError, RequestError

_TRIES: Final = 4  # of a file that arrives cut off
_NO_OPERATION: Final = frozenset((404, 405, 501))
_NO_RIGHT: Final = frozenset((401, 403))
_GONE: Final = frozenset((404, 410))
_OF_NO_PATIENT: Final = "Medication"
_NO_SCOPE: Final = "the server gave the service no right to read it"
_REFUSED: Final = "the server does not export it"


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """What is shown meanwhile: sentences, and how many files of how many are there.

    The third number is the bytes of the file that arrives.
    """

    say: Callable[[str], None] = field(default=lambda _: None)
    files: Callable[[int, int, int], None] = field(default=lambda _done, _all, _bytes: None)


class _Resource(Struct):
    type: str = ""


class _Rest(Struct):
    resource: list[_Resource] = member(default_factory=list)


class _Capabilities(Struct):
    rest: list[_Rest] = member(default_factory=list)


def export(
    server: ExportServer, folder: ExportFolder, progress: ExportProgress = ExportProgress()
) -> ExportSummary:
    """Have everything in the folder, unless it is there already."""
    if folder.outdated_url is not None:
        server.delete(folder.outdated_url)
    if folder.state.summary is None:
        _export(server, folder, progress)
    else:
        progress.say("All of the export is here already; --overwrite exports again")
    summary, status_url = folder.state.summary, folder.state.status_url
    if summary is None:
        raise AssertionError("an export ends with a summary")
    if status_url is not None:
        server.delete(status_url)
        folder.keep(replace(folder.state, status_url=None))
    return summary


def _export(server: ExportServer, folder: ExportFolder, progress: ExportProgress) -> None:
    for is_last in (False, True):
        if folder.state.status_url is None:
            _start(server, folder, progress)
        else:
            progress.say("Going on with the export that was begun")
        try:
            folder.finish(_fetched(server, folder, progress))
        except JobGone:
            folder.begin(ExportState(plan=folder.state.plan))
            if is_last:
                raise CdsServiceError(
                    "The server forgot the export, twice, before all of its files were fetched."
                ) from None
            progress.say("The server has forgotten the export; it is begun again")
        except JobFailed as error:
            folder.begin(ExportState(plan=folder.state.plan))
            raise CdsServiceError(str(error)) from None
        else:
            return


def _start(server: ExportServer, folder: ExportFolder, progress: ExportProgress) -> None:
    """Start the export of all types that the server exports, and note where its state is."""
    plan = folder.state.plan
    lacking = {kind: _NO_SCOPE for kind in plan.kinds if server.lacks(kind)}
    kinds = [kind for kind in plan.kinds if kind not in lacking]
    if not kinds:
        raise RequestError("The server gave the service no right to read anything of it.")
    progress.say("Asking the server for an export")
    refusal: KickOffRefused | None = None
    for asked in _attempts(server, kinds):
        try:
            status_url = server.start(_path(plan, asked))
        except KickOffRefused as error:
            refusal = refusal or error
            if error.status in _NO_OPERATION or error.status in _NO_RIGHT:
                break
            continue
        refused = {kind: _REFUSED for kind in kinds if asked and kind not in asked}
        folder.begin(
            ExportState(plan=plan, status_url=status_url, not_exported={**lacking, **refused})
        )
        return
    if refusal is not None:
        raise RequestError(_refused(refusal, plan))


def _attempts(server: ExportServer, kinds: list[str]) -> Iterator[list[str]]:
    """The types to ask for: all, then those that the server declares, then those of patients.

    A server may refuse the whole export for one type that it does not know, or that names no
    patient. In the end none are named, for it may not know how to choose. The next attempt is made
    only after a refusal.
    """
    yield kinds
    declared = _declared(server.capabilities())
    known = [kind for kind in kinds if kind in declared] or kinds
    if known != kinds:
        yield known
    if len(known) > 1 and _OF_NO_PATIENT in known:
        yield [kind for kind in known if kind != _OF_NO_PATIENT]
    yield []


def _declared(body: bytes) -> frozenset[str]:
    try:
        read = decode(body, type=_Capabilities)
    except (DecodeError, RecursionError, UnicodeDecodeError):
        return frozenset()
    return frozenset(resource.type for rest in read.rest for resource in rest.resource)


def _path(plan: ExportPlan, kinds: list[str]) -> str:
    level = "Patient" if plan.group is None else f"Group/{quote(plan.group, safe='')}"
    return f"{level}/$export?_type={','.join(kinds)}" if kinds else f"{level}/$export"


def _refused(refusal: KickOffRefused, plan: ExportPlan) -> str:
    codes = f", {refusal.codes}" if refusal.codes else ""
    answer = f"{refusal.status}{codes}"
    if refusal.status in _NO_RIGHT:
        return (
            f"The server does not let the service export ({answer}): its token may need other"
            " scopes ('scopes' in CDS_FHIR_SERVERS)."
        )
    if refusal.status not in _NO_OPERATION:
        return f"The server refuses the export ({answer})."
    if plan.group is None:
        return (
            f"The server has no $export of patients ({answer}): it may have one of groups"
            " (--group), or take files of another export."
        )
    return f"The server has no such group, or no $export of groups ({answer})."


def _fetched(server: ExportServer, folder: ExportFolder, progress: ExportProgress) -> ExportSummary:
    """Fetch every file that is not there; raises `JobGone` and `JobFailed`."""
    before = -1
    while True:
        manifest = server.manifest(str(folder.state.status_url))
        keys = {key: file for key, file in manifest.keys().items() if _is_asked(file, folder)}
        _drop_others(folder, manifest, keys.keys())
        try:
            _fetch_all(server, folder, keys, progress)
        except FileRefused as error:
            if before != len(folder.files):  # the URLs may have expired: ask for new ones
                before = len(folder.files)
                continue
            if error.status in _GONE:
                raise JobGone from None
            kind = RequestError if error.status < 500 else CdsServiceError
            raise kind(
                f"The server does not hand out a file of the export ({error.status})."
            ) from None
        return _summary(folder, manifest)


def _is_asked(file: RemoteFile, folder: ExportFolder) -> bool:
    return file.kind == OUTCOMES or file.kind in folder.state.plan.kinds


def _drop_others(folder: ExportFolder, manifest: Manifest, keys: Collection[str]) -> None:
    """Remove all files if any of them is of another export than the manifest."""
    state = folder.state
    known = state.transaction_time or manifest.transaction_time
    if known != manifest.transaction_time or any(key not in keys for key in folder.files):
        folder.clear()
    if state.transaction_time != manifest.transaction_time:
        folder.keep(replace(state, transaction_time=manifest.transaction_time))


def _fetch_all(
    server: ExportServer,
    folder: ExportFolder,
    files: Mapping[str, RemoteFile],
    progress: ExportProgress,
) -> None:
    for key, file in files.items():
        if key in folder.files:
            continue

        def arrived(size: int) -> None:
            progress.files(len(folder.files), len(files), size)

        folder.add(_fetch(server, folder, key, file, arrived))
    progress.files(len(folder.files), len(files), 0)


def _fetch(
    server: ExportServer,
    folder: ExportFolder,
    key: str,
    file: RemoteFile,
    arrived: Callable[[int], None],
) -> ExportedFile:
    """Fetch a file as a whole; one that is shorter than the server says is fetched twice."""
    path = folder.next_path(file.kind)
    download = Download(path, arrived)
    for attempt in range(_TRIES):
        try:
            server.fetch(file, lambda: download.begin().write)
            download.keep()
        except NotWhole:
            if attempt + 1 < _TRIES:
                server.wait(attempt)
            continue
        finally:
            download.close()
        lines = download.lines
        if file.count not in {None, lines}:
            lines = resources_in(path)
        if file.count in {None, lines} or attempt:
            return ExportedFile(key, path.name, file.kind, lines, download.size, file.count)
    raise CdsServiceError(f"A file of the export arrives cut off, again and again. {GO_ON}")


def _summary(folder: ExportFolder, manifest: Manifest) -> ExportSummary:
    files = folder.files.values()
    resources: Counter[str] = Counter()
    issues = Issues(Counter())
    for file in files:
        if file.kind != OUTCOMES:
            resources[file.kind] += file.lines
            continue
        with (folder.path / file.name).open("rb") as lines:
            found = count_issues(lines)
        issues.lost.update(found.lost)
        issues.others += found.others
    others = Counter(file.kind or "?" for file in manifest.files if not _is_asked(file, folder))
    return ExportSummary(
        transaction_time=manifest.transaction_time,
        files=len(files),
        size=sum(file.size for file in files),
        resources=dict(sorted(resources.items())),
        errors=dict(issues.lost),
        warnings=issues.others,
        deleted=manifest.deleted,
        not_exported=folder.state.not_exported,
        not_fetched=dict(others),
        short=[_short(file) for file in files if file.is_short],
    )


def _short(file: ExportedFile) -> str:
    lines = counted(file.lines, "line")
    return f"{file.name} has {lines}, and {file.expected:,} by the server's manifest"
