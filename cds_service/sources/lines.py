# SPDX-License-Identifier: Apache-2.0
"""The resources of one patient, each a text of its own, as those of a Bulk Data export are.

They make the same input as the prefetch of a hook call would: of the kinds that rules read, and
known for everybody where the export holds them for anybody.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from msgspec import DecodeError

from cds_service.errors import RequestError
from cds_service.fhir.bundles import Fetched
from cds_service.fhir.decode import Unreadable
from cds_service.fhir.depth import is_deeper
from cds_service.fhir.resources import Entry
from cds_service.intake.patient_input import PatientInput, input_from_answers
from cds_service.prefetch_keys import Kind
from cds_service.sources.file import MAX_DEPTH, read_resource


class ResourceText(NamedTuple):
    """A resource as it came, its type, and the address of its entry if it had one."""

    kind: str
    text: str
    address: str | None = None


def input_from_lines(
    patient_id: str, lines: Iterable[ResourceText], known: Collection[Kind]
) -> PatientInput:
    """The input of a patient; what cannot be read costs itself alone and is named.

    The order of the lines does not count. `known` holds the kinds that were asked for, of which the
    patient may have none.
    """
    entries: list[Entry] = []
    unreadable: list[Unreadable] = []
    # Of results of one time that are equal the first counts: the order must not be that of files.
    for line in sorted(lines, key=_place):
        entry, faults = _read(line)
        unreadable.extend(faults)
        if entry is not None:
            entries.append(entry)
    answer = Fetched(state="found" if entries else "nothing", entries=tuple(entries))
    return input_from_answers(
        [(answer, frozenset(known))], patient_id=patient_id, unreadable=tuple(unreadable)
    )


def _place(line: ResourceText) -> tuple[str, str, str]:
    """What lines are sorted by; an address may be `None`, which cannot be compared with a text."""
    return line.kind, line.text, line.address or ""


def _read(line: ResourceText) -> tuple[Entry | None, tuple[Unreadable, ...]]:
    data = line.text.encode()
    if is_deeper(data, MAX_DEPTH):
        return None, (_fault(line, "expected fewer levels"),)
    try:
        resource, faults = read_resource(data, f"{line.kind}: ")
    except (DecodeError, RecursionError):
        return None, (_fault(line, "expected JSON"),)
    except RequestError as error:
        return None, (_fault(line, str(error)),)
    if resource is None:
        return None, faults
    return Entry(full_url=line.address, resource=resource), faults


def _fault(line: ResourceText, expected: str) -> Unreadable:
    return Unreadable(where=f"{line.kind}: $", expected=expected, resource_type=line.kind)
