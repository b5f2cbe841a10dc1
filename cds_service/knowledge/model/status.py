# SPDX-License-Identifier: Apache-2.0
"""How a pack stands here: its signature, its active rules, its time-critical rules."""

from collections.abc import Iterator

from cds_service.knowledge.model.pack import Pack, Rule

NOT_APPROVED = "No clinician has approved these rules yet."


def rules_on(pack: Pack) -> tuple[Rule, ...]:
    """The rules that are evaluated."""
    return tuple(rule for rule in pack.rules.values() if rule.status == "active")


def time_critical_on(pack: Pack) -> tuple[Rule, ...]:
    """Of those, the rules that ask for action within hours."""
    return tuple(rule for rule in rules_on(pack) if rule.time_critical)


def rules_off(pack: Pack) -> tuple[str, ...]:
    """The ids of the rules that the site switched off."""
    return tuple(line.rule for line in pack.site.switched_off) if pack.site else ()


def approval(pack: Pack) -> str:
    """Who signed the rules, as a sentence; a change since then is said."""
    signed = pack.signature
    if signed is None:
        return NOT_APPROVED
    if signed.holds:
        return f"Signed by {signed.by} on {signed.on}."
    return (
        f"Changed since {signed.by} signed these rules on {signed.on}: "
        "what has changed is not approved."
    )


def is_signed(pack: Pack) -> bool:
    """Whether a clinician signed the rules as they are."""
    return pack.signature is not None and pack.signature.holds


def status_summary(pack: Pack) -> str:
    """Approval, time-critical rules and site changes, for discovery's `usageRequirements`."""
    return " ".join(_sentences(pack))


def _sentences(pack: Pack) -> Iterator[str]:
    yield approval(pack)
    if on := [rule.id for rule in time_critical_on(pack)]:
        yield f"Rules that are on and ask for action within hours: {', '.join(on)}."
    if pack.site is None:
        return
    if off := rules_off(pack):
        yield f"Switched off by {pack.site.site}: {', '.join(off)}."
    if pack.site.values or pack.site.orders:
        yield f"Some values are those of {pack.site.site}; cards and rule pages name them."
    if read := dict.fromkeys(spelling.marker for spelling in pack.site.spellings):
        yield f"Units, names or codes of {pack.site.site} are read for: {', '.join(read)}."
