# SPDX-License-Identifier: Apache-2.0
"""Every name of a pack by which a result or its specimen can be recognised."""

from collections.abc import Mapping

from cds_service.knowledge.model.names import (
    MarkerName,
    Named,
    NameIndex,
    phrases,
    words_of,
)
from cds_service.knowledge.model.pack import Marker
from cds_service.knowledge.model.specimen_names import SpecimenNames


def name_index(markers: Mapping[str, Marker], specimens: SpecimenNames) -> NameIndex:
    """The names of every marker, of its codes, which are whole names, and of specimens."""
    known = {
        marker.id: MarkerName(phrases(marker.names), phrases(marker.beside_name))
        for marker in markers.values()
    }
    whole = {
        words_of(code.name): Named(marker.id, code.method)
        for marker in markers.values()
        for code in marker.codes
    }
    return NameIndex(known, whole, specimens)
