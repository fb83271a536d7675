"""The composition root: settings → adapters → services → blueprints, by deployment."""

from __future__ import annotations

import gc

gc.disable()  # what is imported stays: looking through all of it for garbage, again and again, is a fifth of the start

import azure.functions as func  # noqa: E402

from jml import triggers  # noqa: E402
from jml.wiring import configuration, connect  # noqa: E402
from shared import telemetry  # noqa: E402
from shared.settings import Deployment  # noqa: E402

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

gc.freeze()  # and no later look goes through it either
gc.enable()
