# SPDX-License-Identifier: Apache-2.0
"""What a rule can propose, for the page of the rule."""

from cds_service.explanation.clauses import Clause, WithholdingClause, clause_of, reasons_of
from cds_service.explanation.view import View
from cds_service.knowledge.model.pack import Pack, Priority, Suggestion
from cds_service.render.values import window_of


class SuggestionView(View, frozen=True, kw_only=True):
    """An order that the card can propose."""

    order: str
    title: str
    code: str
    site_code: str = ""  # the site's own, with its system
    window: str
    priority: Priority
    group: str = ""  # the title of what it is offered together with
    resulted_days: int | None = None  # a result that is no older makes it needless
    recommended: str = ""  # always, never; or a condition
    recommended_when: Clause | None = None
    when: Clause | None = None
    unless: tuple[WithholdingClause, ...] = ()


def suggestion_view(suggestion: Suggestion, pack: Pack) -> SuggestionView:
    """The suggestion with its titles and its conditions in words."""
    order = pack.orders[suggestion.order]
    recommended, recommended_when = "", None
    if isinstance(suggestion.recommended, bool):
        recommended = "always" if suggestion.recommended else "never"
    elif suggestion.recommended is not None:
        recommended_when = clause_of(suggestion.recommended, pack)
    return SuggestionView(
        order=order.id,
        title=order.title,
        code=order.code.code,
        site_code=f"{order.site_code.code} of {order.site_code.system}" if order.site_code else "",
        window=window_of(suggestion, pack.messages_in()).window,
        priority=suggestion.priority,
        group=pack.order_groups[suggestion.group] if suggestion.group is not None else "",
        resulted_days=suggestion.result_days(order),
        recommended=recommended,
        recommended_when=recommended_when,
        when=None if suggestion.when is None else clause_of(suggestion.when, pack),
        unless=reasons_of(suggestion.unless, pack),
    )
