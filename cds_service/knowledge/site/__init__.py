# SPDX-License-Identifier: Apache-2.0
"""The changes that a site makes to a pack in a file of its own."""
