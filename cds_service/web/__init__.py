# SPDX-License-Identifier: Apache-2.0
"""The HTTP door: Flask routes over `service`, and errors as OperationOutcomes."""

from cds_service.web.app import create_app

__all__ = ["create_app"]
