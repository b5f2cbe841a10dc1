# SPDX-License-Identifier: Apache-2.0
"""The one rule as a CDS Hooks service of HealthChain, for uvicorn."""

from alt_rule import cards_for
from healthchain.gateway import CDSHooksService, HealthChainAPI
from healthchain.models import CDSRequest, CDSResponse

service = CDSHooksService()


@service.hook("patient-view", id="alt")
def alt(request: CDSRequest) -> CDSResponse:
    """The cards of one call."""
    return CDSResponse(cards=cards_for(request.prefetch))


app = HealthChainAPI()
app.register_service(service)
