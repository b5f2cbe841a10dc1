# SPDX-License-Identifier: Apache-2.0
"""Whether a result was measured in urine, ascites or the like, as its specimen says.

A code or a name can be that of the test in blood although another fluid was measured: a name seldom
says in what, and some laboratories send one code for every fluid.
"""

from collections.abc import Iterator

from cds_service.fhir.deferred import concepts_in
from cds_service.fhir.resources import Observation, Specimen
from cds_service.intake.marker_lookup import texts_of
from cds_service.intake.resource_index import ResourceIndex
from cds_service.knowledge.model.pack import Pack


def is_of_another_specimen(observation: Observation, index: ResourceIndex, pack: Pack) -> bool:
    """Whether the words of its type, or beside the reference, name another specimen and no blood.

    One that is not understood, or has a code without words, counts as blood.
    """
    if observation.specimen is None:
        return False  # as of most
    return pack.names.specimens.are_of_another(_texts(observation, index))


def _texts(observation: Observation, index: ResourceIndex) -> Iterator[str]:
    pointer = observation.specimen
    if pointer is not None and pointer.display:
        yield pointer.display
    specimen = index.referred(pointer, observation.contained)
    if isinstance(specimen, Specimen):
        yield from texts_of(*concepts_in(specimen.type))
