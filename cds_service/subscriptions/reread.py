# SPDX-License-Identifier: Apache-2.0
"""What has to be read before it is decided on: deletions, and states that nobody can order.

A lease with `unsure` items → the same with what their server says now. A notification of a deletion
may be wrong or repeated, and a server may answer from a copy that is behind.
"""

from dataclasses import replace

from cds_service.subscriptions.server_reader import ServerReader
from cds_service.subscriptions.versions import is_older_number
from cds_service.subscriptions.work import ASKED_AGAIN, Item, Lease, Retry


def verified(reader: ServerReader, lease: Lease) -> Lease:
    """The lease with its unsure items as they were read; raises `Retry`."""
    if not any(item.unsure for item in lease.items):
        return lease
    items = (_as_read(reader, lease, item) if item.unsure else item for item in lease.items)
    return replace(lease, items=tuple(items))


def _as_read(reader: ServerReader, lease: Lease, item: Item) -> Item:
    again = lease.attempts < ASKED_AGAIN
    found = reader.read(item.server, item.type, item.resource_id, again=again and not item.gone)
    is_gone = found.gone or found.patient not in {"", lease.key}  # or another patient's by now
    is_behind = is_older_number(found.version, item.version)
    if again and (is_behind or (item.gone and not is_gone)):
        raise Retry("stale")
    body = None if is_gone else found.body
    return replace(item, gone=is_gone, body=body, updated=found.updated)
