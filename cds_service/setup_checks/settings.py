# SPDX-License-Identifier: Apache-2.0
"""Settings that work and are perhaps not meant, and what a clinician has approved."""

from collections.abc import Iterable, Iterator

from cds_service.knowledge.model.pack import Pack
from cds_service.knowledge.model.status import approval, is_signed
from cds_service.settings import Settings, is_open
from cds_service.setup_checks.finding import Finding


def standing_findings(settings: Settings, packs: Iterable[Pack]) -> tuple[Finding, ...]:
    """What holds for as long as a process runs with these settings and packs."""
    return (*settings_findings(settings), *pack_findings(packs))


def settings_findings(settings: Settings) -> Iterator[Finding]:
    """Settings that were left out, or that are not for a hospital."""
    if "site_time_zone" not in settings.model_fields_set:
        yield Finding(
            "settings",
            "warning",
            "The time zone of the site is not set: dates without a zone are taken as UTC, so a "
            "window can begin or end on the wrong day.",
            "Set CDS_SITE_TIME_ZONE, such as Europe/Vienna.",
        )
    if is_open(settings):
        yield Finding(
            "settings",
            "warning",
            "No client is registered: only this machine is answered.",
            "Set CDS_CLIENTS and CDS_PUBLIC_URL.",
        )
        return
    if settings.profile == "development":
        yield Finding(
            "settings",
            "warning",
            "The profile is development, which allows what production must not.",
            "Leave CDS_PROFILE unset.",
        )
    if settings.hash_key is None:
        yield Finding(
            "settings",
            "warning",
            "No secret hides patients in what is kept of cards: overridden cards, and those that "
            "were just shown, are shown again.",
            "Set CDS_HASH_KEY_FILE.",
        )


def pack_findings(packs: Iterable[Pack]) -> Iterator[Finding]:
    """Whether a clinician signed each pack as it is."""
    for pack in packs:
        name = f"The pack {pack.id} {pack.version}"
        if is_signed(pack):
            yield Finding("pack", "fine", f"{name}: {approval(pack)}")
        else:
            remedy = "A clinician signs it: cds-service review."
            yield Finding("pack", "warning", f"{name}: {approval(pack)}", remedy)
