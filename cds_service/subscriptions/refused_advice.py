# SPDX-License-Identifier: Apache-2.0
"""Advice that a server refused, as the inbox keeps it until it is written.

Only which results it is about is kept, and which of them are gone or withdrawn. What they say is
read again, so that nothing is written by what was true when the server refused.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.json import Decoder, encode

from cds_service.subscriptions.judgement import results_of
from cds_service.subscriptions.patient_data import ArrivedVersion
from cds_service.subscriptions.work import ADVICE, Item

_RESULTS: Final = Decoder(tuple[ArrivedVersion, ...])


def unwritten(arrived: Iterable[ArrivedVersion]) -> bytes:
    """The results that arrived, without what they say; of a report those that it names."""
    found = tuple(arrived)
    withdrawn = {version.reference for version in found if version.withdrawn}
    return encode(
        (
            *(
                ArrivedVersion(reference=name, withdrawn=name in withdrawn)
                for name in dict.fromkeys(results_of(found))
            ),
            *(
                ArrivedVersion(reference=version.reference, version=version.version, gone=True)
                for version in found
                if version.gone
            ),
        )
    )


def refused_in(item: Item) -> Iterator[ArrivedVersion]:
    """The results that the refused advice of an item is about; none for another item."""
    if item.type == ADVICE and item.body is not None:
        yield from _RESULTS.decode(item.body)
