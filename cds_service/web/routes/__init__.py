# SPDX-License-Identifier: Apache-2.0
"""The routes of the application, by what they serve."""
