# SPDX-License-Identifier: Apache-2.0
"""Why the rules decided as they did: decisions, results and conditions as plain values."""
