# SPDX-License-Identifier: Apache-2.0
"""The explainer of a marker, and what the service answers to a value that is typed into it.

Nothing here knows HTTP or HTML.
"""
