"""The composition root: settings → adapters → services → blueprints, by deployment."""

from __future__ import annotations

import azure.functions as func

from jml import triggers
from jml.wiring import configuration, connect
from shared import telemetry
from shared.settings import Deployment

BLUEPRINTS = {
    Deployment.COMMERCIAL: (
        triggers.timers,
        triggers.events,
        triggers.reports,
        triggers.holds,
        triggers.baseline,
        triggers.terminations,
    ),
    Deployment.GOV: (triggers.reports,),
}
"""Which functions a deployment has. The enclave has no intake of its own until its puller exists."""

settings, policy = configuration()
telemetry.configure()
services, _ = connect(settings, policy)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for blueprint in BLUEPRINTS[settings.deployment]:
    app.register_functions(blueprint(services))
