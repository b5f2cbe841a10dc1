# SPDX-License-Identifier: Apache-2.0
"""The HTTP server in front of the application: bodies, early refusals, the RSGI adapter."""
