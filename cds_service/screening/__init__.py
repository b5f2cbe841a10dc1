# SPDX-License-Identifier: Apache-2.0
"""A population: an embedded engine finds and groups, the ordinary core decides."""
