# SPDX-License-Identifier: Apache-2.0
"""A source of an export, of hook requests, or of both."""

import gzip
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from msgspec import DecodeError, Raw, Struct
from msgspec.json import Decoder

from cds_service.copying import replace
from cds_service.fhir.elements import NOTHING
from cds_service.screening.files import SourceFiles, find_files


class _Head(Struct):
    hook: Raw = NOTHING
    resourceType: Raw = NOTHING  # noqa: N815 - the name on the wire


_HEAD: Decoder[_Head] = Decoder(_Head)


@dataclass(frozen=True, slots=True)
class BurdenSource:
    """Files of an export, if there are any, and those of hook requests, each about one patient."""

    files: SourceFiles | None
    requests: tuple[Path, ...]
    passed_over: tuple[Path, ...]


def find_source(sources: Iterable[Path]) -> BurdenSource:
    """What is in these files and folders; raises `RequestError` if nothing is read."""
    files = find_files(sources)
    requests = tuple(path for path in files.documents if _is_request(path))
    documents = tuple(path for path in files.documents if path not in set(requests))
    rest = replace(files, documents=documents)
    return BurdenSource(rest if rest.read else None, requests, files.passed_over)


def _is_request(path: Path) -> bool:
    try:
        data = path.read_bytes()
        if path.name.endswith(".gz"):
            data = gzip.decompress(data)
        head = _HEAD.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (OSError, EOFError, zlib.error, DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return head.hook is not NOTHING and head.resourceType is NOTHING
