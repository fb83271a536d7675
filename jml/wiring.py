"""From settings to services: what the Functions app and the commands both start with."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from jml.policy import Policy
from jml.services import Services
from shared.adapters.cloud import Cloud
from shared.authorisation import Door, Tenant
from shared.clock import SystemClock
from shared.errors import InvalidConfiguration
from shared.policyfile import load_policy
from shared.settings import Settings, load_settings


def configuration(environment: Mapping[str, str] = os.environ) -> tuple[Settings, Policy]:
    """Settings and policy. Raises InvalidConfiguration with every problem of both."""
    try:
        settings = load_settings(environment)
    except InvalidConfiguration as wrong:
        raise InvalidConfiguration("settings", [*wrong.problems, *_policy_problems(environment)]) from None
    return settings, load_policy(settings.policy, Policy)


def _policy_problems(environment: Mapping[str, str]) -> Sequence[str]:
    """What is wrong with the policy, if there is one: settings that are wrong do not hide it."""
    path = Path(environment.get("JML_POLICY", ""))
    if not path.is_file():
        return ()
    try:
        load_policy(path, Policy)
    except InvalidConfiguration as wrong:
        return [f"policy {path}: {problem}" for problem in wrong.problems]
    return ()


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
        checkpoints=cloud.checkpoints,
        signer=cloud.signer,
        door=door,
        clock=clock,
    )
    return services, cloud
