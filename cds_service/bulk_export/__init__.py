# SPDX-License-Identifier: Apache-2.0
"""FHIR Bulk Data Access 2.0: the patients of a server, exported to a folder of NDJSON."""
