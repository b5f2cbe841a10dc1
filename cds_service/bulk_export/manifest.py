# SPDX-License-Identifier: Apache-2.0
"""What a server says of a finished export, and of what went wrong: its manifest and outcomes.

Of an OperationOutcome only severities and codes are used: its texts may be about patients.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin, urlsplit

from msgspec import DecodeError, Struct, ValidationError, field
from msgspec.json import decode

from cds_service.fhir.resource_types import RESOURCE_TYPES

OUTCOMES: Final = "OperationOutcome"
_CODE: Final = re.compile(r"[a-z-]{1,40}")
_LOST: Final = frozenset(("error", "fatal"))
_PASSING: Final = frozenset(("transient", "lock-error", "timeout", "throttled"))


class _Item(Struct):
    type: str
    url: str
    count: Any = None


class _Link(Struct):
    relation: str
    url: str


class _Manifest(Struct, rename="camel"):
    transaction_time: str
    output: list[_Item]
    requires_access_token: bool = True
    error: list[_Item] = field(default_factory=list)
    deleted: list[_Item] = field(default_factory=list)
    link: list[_Link] = field(default_factory=list)


class _Issue(Struct):
    severity: str = ""
    code: str = ""


class _Outcome(Struct, rename="camel"):
    resource_type: str
    issue: list[_Issue] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file of a manifest; `count` says how many lines it has, if the server says so."""

    kind: str
    url: str
    needs_token: bool
    count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One or all pages of a manifest; `error` files hold OperationOutcomes.

    `following` is the URL of the next page.
    """

    transaction_time: str
    output: tuple[RemoteFile, ...]
    error: tuple[RemoteFile, ...]
    deleted: int
    following: str | None

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        """All of them, each URL once."""
        return tuple({file.url: file for file in (*self.output, *self.error)}.values())

    def keys(self) -> dict[str, RemoteFile]:
        """The files by what stays the same when the server signs their URLs anew.

        That is the URL without its query, unless several files differ in nothing else.
        """
        files = self.files
        plain = {file.url.partition("?")[0]: file for file in files}
        return plain if len(plain) == len(files) else {file.url: file for file in files}


@dataclass(slots=True)
class Issues:
    """Issues of OperationOutcomes, by their codes; `lost` are those of errors."""

    lost: Counter[str]
    others: int = 0


def read_manifest(body: bytes, url: str) -> Manifest | None:
    """The manifest that came from this URL; `None` if it is none."""
    try:
        read = decode(body.removeprefix(b"\xef\xbb\xbf"), type=_Manifest)
    except (DecodeError, RecursionError, UnicodeDecodeError):
        return None
    following = next((link.url for link in read.link if link.relation == "next"), None)
    try:
        return Manifest(
            transaction_time=read.transaction_time,
            output=_files(read.output, url, needs_token=read.requires_access_token),
            error=_files(read.error, url, needs_token=read.requires_access_token),
            deleted=len(read.deleted),
            following=None if following is None else urljoin(url, following),
        )
    except ValueError:  # what `urljoin` cannot take apart
        return None


def joined(pages: Iterable[Manifest]) -> Manifest:
    """The pages of one manifest as one."""
    parts = list(pages)
    return Manifest(
        transaction_time=parts[0].transaction_time,
        output=tuple(file for page in parts for file in page.output),
        error=tuple(file for page in parts for file in page.error),
        deleted=sum(page.deleted for page in parts),
        following=None,
    )


def is_passing(body: bytes) -> bool:
    """Whether the server calls an error transient, so that the request may be repeated."""
    outcome = _outcome(body)
    return outcome is not None and any(issue.code in _PASSING for issue in outcome.issue)


def codes_of(body: bytes) -> str:
    """The codes of an OperationOutcome, for people; empty if there are none."""
    outcome = _outcome(body)
    codes = dict.fromkeys(_code(issue) for issue in outcome.issue) if outcome else {}
    return ", ".join(codes)


def count_issues(lines: Iterable[bytes]) -> Issues:
    """The issues in lines of OperationOutcomes; a line that is none counts as one."""
    issues = Issues(Counter())
    for line in lines:
        if not line.strip():
            continue
        outcome = _outcome(line)
        if outcome is None:
            issues.lost["unreadable"] += 1
            continue
        for issue in outcome.issue:
            if issue.severity in _LOST:
                issues.lost[_code(issue)] += 1
            else:
                issues.others += 1
    return issues


def same_origin(url: str, other: str) -> bool:
    """Whether two URLs lead to the same host and port by the same scheme."""
    try:
        return _origin(url) == _origin(other)
    except ValueError:
        return False


def _files(items: list[_Item], url: str, *, needs_token: bool) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(
            kind=item.type if item.type in RESOURCE_TYPES else "",
            url=urljoin(url, item.url),
            needs_token=needs_token,
            count=item.count if type(item.count) is int else None,
        )
        for item in items
    )


def _outcome(body: bytes) -> _Outcome | None:
    try:
        read = decode(body.removeprefix(b"\xef\xbb\xbf"), type=_Outcome)
    except (ValidationError, DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return read if read.resource_type == OUTCOMES else None


def _code(issue: _Issue) -> str:
    """The code of an issue, which is a word of a closed list of FHIR; never free text."""
    return issue.code if _CODE.fullmatch(issue.code) else "unknown"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = {"http": 80, "https": 443}.get(parts.scheme) if parts.port is None else parts.port
    return parts.scheme, parts.hostname, port
