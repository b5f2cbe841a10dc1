# SPDX-License-Identifier: Apache-2.0
"""Who may call: registered clients, CORS, and open mode."""
