# SPDX-License-Identifier: Apache-2.0
"""CDS Hooks on the wire."""
