# SPDX-License-Identifier: Apache-2.0
"""Tables as text: CSV and its kin, and what was copied from a page."""
