# SPDX-License-Identifier: Apache-2.0
"""The made-up hospital: the same people for the same seed, most of them with nothing wrong."""

import json

from benchmarks.hospital import NOW, patients, read_hospital
from cds_service.hooks.request import read_request

HOSPITAL = read_hospital()


def test_the_same_seed_makes_the_same_people() -> None:
    first, again, other = (list(patients(HOSPITAL, 40, seed=seed)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_every_picture_is_a_request_that_is_read_whole() -> None:
    made = list(patients(HOSPITAL, len(HOSPITAL["pictures"]), even=True))

    read = [
        read_request(json.dumps(body).encode(), max_depth=64, max_entries=1000) for body in made
    ]

    assert all(not request.unreadable for request in read)
    assert len({request.patient_id for request in read}) == len(made)


def test_most_alt_results_are_within_their_limit_and_nothing_is_in_the_future() -> None:
    results = [
        entry["resource"]
        for patient in patients(HOSPITAL, 2000)
        for entry in patient["prefetch"]["observations"].get("entry", [])
    ]
    alt = HOSPITAL["tests"]["alt"]
    values = [
        result["valueQuantity"]["value"]
        for result in results
        if result["code"]["coding"][0]["code"] == alt["loinc"]
    ]

    assert sum(value <= alt["upper"] for value in values) > 0.8 * len(values)
    assert any(value > 5 * alt["upper"] for value in values)
    assert all(result["effectiveDateTime"] < NOW.isoformat() for result in results)


def test_every_picture_says_why_it_is_as_common_as_it_is() -> None:
    assert all(picture["because"] and picture["share"] > 0 for picture in HOSPITAL["pictures"])
