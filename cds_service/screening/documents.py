# SPDX-License-Identifier: Apache-2.0
"""Bundles -> lines that the engine reads beside those of NDJSON files.

A line holds the text of a resource as it came, whose it is, and the address of its entry.
"""

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import DecodeError, Raw, Struct, ValidationError
from msgspec import field as member
from msgspec.json import Decoder, Encoder

from cds_service.fhir.bundle_patients import BundlePatients
from cds_service.fhir.references import Parts

_DEEPEST = 8


class _Subject(Struct):
    reference: str | None = None


class _Head(Struct, rename="camel"):
    resource_type: str = ""
    id: str | None = None
    subject: _Subject | None = None


class _Entry(Struct, rename="camel"):
    resource: Raw = Raw(b"null")
    full_url: str | None = None
    response: Raw = Raw(b"null")


class _Link(Struct):
    relation: str | None = None


class _Bundle(Struct, rename="camel"):
    resource_type: str = ""
    entry: list[_Entry] = member(default_factory=list)
    link: list[_Link] = member(default_factory=list)


class DocumentLine(Struct):
    """One resource of a document; `owner` is a reference to its patient, or empty."""

    text: str
    owner: str
    address: str | None = None


@dataclass(slots=True)
class DocumentsRead:
    """What came of the documents: those that are NDJSON in fact, and what could not be read."""

    lines: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


_HEAD: Decoder[_Head] = Decoder(_Head)
_BUNDLE: Decoder[_Bundle] = Decoder(_Bundle)
_ENCODER = Encoder()
_NO_JSON = (DecodeError, UnicodeDecodeError, RecursionError)


def write_documents(documents: tuple[Path, ...], to: Path) -> DocumentsRead:
    """Write the resources of all documents to one file of lines."""
    read = DocumentsRead()
    with to.open("wb") as out:
        for path in documents:
            data = _content(path, read)
            if data is None:
                continue
            try:
                data.decode()  # the reader looks only at the texts that it needs
                resources = list(_resources(data, path.name, read))
            except _NO_JSON:
                if len(data.splitlines()) > 1 and _is_json(data.splitlines()[0]):
                    read.lines.append(path)
                else:
                    read.unreadable.append(f"{path.name}: no FHIR Bundle or resource")
                continue
            out.writelines(_ENCODER.encode(line) + b"\n" for line in _owned(resources))
    return read


def _content(path: Path, read: DocumentsRead) -> bytes | None:
    try:
        data = path.read_bytes()
        if path.name.endswith(".gz"):
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        read.unreadable.append(f"{path.name}: cannot be read")
        return None
    return data.removeprefix(b"\xef\xbb\xbf")


def _is_json(line: bytes) -> bool:
    try:
        _HEAD.decode(line)
    except _NO_JSON:
        return False
    return True


def _resources(
    data: bytes | Raw, where: str, read: DocumentsRead, address: str | None = None, depth: int = 0
) -> Iterator[tuple[Raw | bytes, _Head, str | None]]:
    """Every resource of a document with its head and the address of its entry."""
    head = _HEAD.decode(data)
    if head.resource_type != "Bundle":
        if head.resource_type:
            yield data, head, address
        else:
            read.unreadable.append(f"{where}: no FHIR resource")
        return
    bundle = _BUNDLE.decode(data)
    if any(link.relation == "next" for link in bundle.link):
        read.unreadable.append(f"{where}: only a part, it has a next page")
    for place, entry in enumerate(bundle.entry):
        at = f"{where} entry[{place}]"
        if bytes(entry.resource) == b"null":
            if bytes(entry.response) == b"null":
                read.unreadable.append(f"{at}: no resource")
            continue
        if depth == _DEEPEST:
            read.unreadable.append(f"{at}: Bundles are nested too deeply")
            continue
        try:
            yield from _resources(entry.resource, at, read, entry.full_url, depth + 1)
        except ValidationError:
            read.unreadable.append(f"{at}: no FHIR resource")


def _owned(resources: list[tuple[Raw | bytes, _Head, str | None]]) -> Iterator[DocumentLine]:
    patients = BundlePatients(
        (address, head.id) for _, head, address in resources if head.resource_type == "Patient"
    )
    for text, head, address in resources:
        yield DocumentLine(
            text=bytes(text).decode(),
            owner=_owner(head, address, patients),
            address=address,
        )


def _owner(head: _Head, address: str | None, patients: BundlePatients) -> str:
    if head.resource_type == "Patient":
        if not (address or head.id):
            return ""
        key = patients.key(address, head.id)
    else:
        reference = head.subject.reference if head.subject else None
        if not reference or reference.startswith("#") or "?" in reference:
            return ""
        key = patients.owner(reference, address)
    return _reference(Parts(key.base, key.kind, patients.id_of(key)))


def _reference(key: Parts) -> str:
    if not key.may_be_patient:
        return ""
    return f"https://{key.base}/Patient/{key.id}" if key.base else f"Patient/{key.id}"
