# SPDX-License-Identifier: Apache-2.0
"""The rule catalogue: every rule with its cases, versions and sources, as plain values.

The same value becomes a page, JSON or a file of the documentation. Nothing here knows HTTP or HTML.
"""
