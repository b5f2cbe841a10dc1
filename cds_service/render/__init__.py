# SPDX-License-Identifier: Apache-2.0
"""Decisions -> cards: texts are filled, orders proposed, and what they rest on is listed."""

from cds_service.render.cards import CardTemplates, compile_cards, render, with_folded_named

__all__ = ["CardTemplates", "compile_cards", "render", "with_folded_named"]
