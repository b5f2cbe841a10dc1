# SPDX-License-Identifier: Apache-2.0
"""The orders of the packs that come with the service are proved here, and not at each start.

Run as a program this writes the hashes of the orders as they are now.
"""

import json
from dataclasses import replace

import pytest

from cds_service.render.orders import PROVED, compile_order, hash_of, prove, resource_of
from tests.web.http_fixtures import knowledge


def proved_now() -> list[str]:
    """The hash of every order of the packs, all of them valid."""
    resources = [resource_of(order) for pack in knowledge().packs for order in pack.orders.values()]
    for resource in resources:
        prove(resource)
    return sorted({hash_of(resource) for resource in resources})


def test_the_orders_that_are_taken_as_proved_are_valid() -> None:
    """If it fails: `python -m tests.render.test_proved_orders`."""
    assert json.loads(PROVED.read_bytes()) == proved_now()


def test_an_order_that_was_not_proved_is_proved_at_start() -> None:
    (pack,) = knowledge().packs
    order = next(iter(pack.orders.values()))

    assert compile_order(order).body == resource_of(order)
    with pytest.raises(ValueError, match="ServiceRequest"):
        compile_order(replace(order, text=""))


if __name__ == "__main__":
    PROVED.write_text(json.dumps(proved_now(), indent=2) + "\n", encoding="utf-8")
