"""From settings to services: what the Functions app and the commands both start with."""

from __future__ import annotations

import os
from collections.abc import Mapping

from jml.policy import Policy
from jml.services import Services
from shared.adapters.cloud import Cloud
from shared.authorisation import Door, Tenant
from shared.clock import SystemClock
from shared.policyfile import load_policy
from shared.settings import Settings, load_settings


def configuration(environment: Mapping[str, str] = os.environ) -> tuple[Settings, Policy]:
    """Settings and policy. Raises InvalidConfiguration with every problem of both."""
    settings = load_settings(environment)
    return settings, load_policy(settings.policy, Policy)


def connect(settings: Settings, policy: Policy) -> tuple[Services, Cloud]:
    """The services over the real cloud; close the second when done."""
    clock = SystemClock()
    cloud = Cloud(settings, policy.limits.retry_budget.total_seconds(), clock)
    door = Door(settings.login_endpoint, settings.api_audience, {Tenant.MSSP: settings.mssp_tenant_id}, cloud.keys)
    services = Services(
        policy=policy,
        corporate=settings.corporate_tenant_id,
        mssp=settings.mssp_tenant_id,
        graph=cloud.graph,
        store=cloud.tables,
        messages=cloud.messages,
        door=door,
        clock=clock,
    )
    return services, cloud
