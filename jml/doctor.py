"""Preflight: signs in to each tenant, tries what can be tried harmlessly, and names what is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from jml.events import QUEUE, REJECTED
from jml.gather import literal
from jml.permissions import PERMISSIONS, PRIVILEGED_ROLE, Permission, TenantRole
from jml.services import Services
from jml.state import PEOPLE, People
from shared.checkpoints import name_of
from shared.errors import Conflict, Denied, Refused, Transient
from shared.ledger import TABLE as LEDGER
from shared.ports import Call, Row
from shared.replies import describe, expect

Granted = Callable[[str], Awaitable[tuple[str, frozenset[str]]]]
"""Tenant id → the app's object id there and the permissions it was granted."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `ok` None: worth knowing, but not a fault."""

    subject: str
    ok: bool | None
    detail: str


async def examine(services: Services, granted: Granted) -> list[Check]:
    """Every check, whatever the ones before it found."""
    tenants = [(TenantRole.CORPORATE, services.corporate), (TenantRole.MSSP, services.mssp)]
    tenants += [(TenantRole.CUSTOMER, str(one)) for one in services.policy.residual_access.customer_tenants]
    checks: list[Check] = []
    for role, tenant in tenants:
        checks += await _tenant(services, granted, role, tenant)
    for look in (_canary, _scope, _protected, _tables, _proof, _queues, _unlinked):
        try:
            checks += await look(services)
        except (Denied, Refused, Transient) as error:
            checks.append(Check(look.__name__.strip("_"), ok=False, detail=str(error)))
    return checks


async def _tenant(services: Services, granted: Granted, role: TenantRole, tenant: str) -> list[Check]:
    subject = f"{role.value} tenant {tenant}"
    try:
        object_id, names = await granted(tenant)
    except (Denied, Transient) as error:
        return [Check(subject, ok=False, detail=str(error))]
    checks = [Check(subject, ok=True, detail=f"signed in as {object_id}")]
    for permission in (one for one in PERMISSIONS if one.tenant is role):
        checks.append(await _permission(services, tenant, permission, names))
    if role is TenantRole.MSSP:
        checks.append(await _directory_role(services, object_id))
    return checks


async def _permission(services: Services, tenant: str, permission: Permission, names: frozenset[str]) -> Check:
    """Granted according to the token and, where a read can show it, in fact."""
    subject = f"{permission.tenant.value}: {permission.name}"
    if permission.name not in names:
        return Check(subject, ok=False, detail=f"is not granted; it is there to {permission.purpose}")
    if permission.probe is not None:
        [reply] = await services.graph(tenant).send([Call("GET", permission.probe)])
        if not reply.ok:
            return Check(subject, ok=False, detail=f"is granted, and yet: {describe(reply)}")
    return Check(subject, ok=True, detail=permission.purpose)


async def _directory_role(services: Services, object_id: str) -> Check:
    subject = f"mssp: Entra role {PRIVILEGED_ROLE}"
    path = f"/roleManagement/directory/roleAssignments?$filter=principalId eq '{object_id}'&$expand=roleDefinition"
    [reply] = await services.graph(services.mssp).send([Call("GET", path)])
    if not reply.ok:
        return Check(subject, ok=False, detail=f"cannot be read: {describe(reply)}")
    held = [str((item.get("roleDefinition") or {}).get("displayName")) for item in reply.body["value"]]
    detail = "holders of Entra roles can be disabled" if PRIVILEGED_ROLE in held else "is not held by the app"
    return Check(subject, ok=PRIVILEGED_ROLE in held, detail=detail)


async def _canary(services: Services) -> list[Check]:
    canary = services.policy.leaver.canary
    if canary is None:
        return [Check("canary", ok=None, detail="the policy names none: a cleared leave date will not be noticed")]
    _, sings = await services.corporate_tenant.people([str(canary.person)])
    detail = "its leave date can be read" if sings else "its leave date does not read as the policy says"
    return [Check("canary", ok=sings, detail=detail)]


async def _scope(services: Services) -> list[Check]:
    """Each value that the policy looks for: one that nobody has is misspelt, or everybody is out of scope."""
    asked = sorted({(name, value) for rule in services.policy.scope for name, value in rule.wanted()})
    calls = [Call("GET", f"/users?$filter={name} eq {literal(value)}&$select=id&$top=1") for name, value in asked]
    replies = await services.graph(services.corporate).send(calls)
    checks: list[Check] = []
    for (name, value), reply in zip(asked, replies, strict=True):
        found = bool(expect(reply, "people in scope", "User.Read.All in the corporate tenant")["value"])
        detail = "somebody has it" if found else "nobody of the corporate tenant has it"
        checks.append(Check(f"policy: scope {name} {value!r}", ok=found, detail=detail))
    return checks


async def _tables(services: Services) -> list[Check]:
    """Rights on the tables: replacing a row that is not there is refused for that reason, or for a missing right."""
    nobody = Row("doctor", "doctor", {}, 'W/"0"')
    with contextlib.suppress(Conflict):
        await services.store.replace(PEOPLE, nobody)
    return [Check("storage tables", ok=True, detail="can be read and written")]


async def _proof(services: Services) -> list[Check]:
    """The signing key and the container can be reached, and the app itself cannot change what the ledger says."""
    key = await services.signer.key()
    await services.checkpoints.get(name_of(0))
    try:
        with contextlib.suppress(Conflict):
            await services.store.replace(LEDGER, Row("doctor", "doctor", {}, 'W/"0"'))
        guarded = Check("ledger", ok=False, detail="the app may change rows: its role is too wide (docs/proof.md)")
    except Denied:
        guarded = Check("ledger", ok=True, detail="the app may read and add, and cannot change a row")
    return [Check("checkpoints", ok=True, detail=f"can be read; the key that signs is {key.id}"), guarded]


async def _queues(services: Services) -> list[Check]:
    for queue in (QUEUE, REJECTED):
        await services.messages.reach(queue)
    return [Check("Service Bus queues", ok=True, detail="can be sent to")]


async def _protected(services: Services) -> list[Check]:
    accounts = sorted(services.policy.protected_accounts)
    if not accounts:
        return [Check("protected accounts", ok=None, detail="the policy names none: name the break-glass accounts")]
    there = await services.mssp_tenant.enabled(accounts)
    return [
        Check(
            f"protected account {one}",
            ok=one in there,
            detail="exists" if one in there else "is not there, or disabled",
        )
        for one in accounts
    ]


async def _unlinked(services: Services) -> list[Check]:
    """Enabled accounts that no link names: nobody removes them when their person leaves."""
    linked = {account async for link in People(services.store).all() for account in link.accounts}
    known = linked | services.policy.protected_accounts
    checks: list[Check] = []
    async for page in services.graph(services.mssp).pages("/users?$select=id,accountEnabled&$top=999"):
        for item in page:
            if item.get("accountEnabled") is not False and item["id"] not in known:
                checks.append(Check(f"account {item['id']}", ok=None, detail="is linked to nobody: jml link import"))
    return checks or [Check("links", ok=True, detail="every enabled account of the MSSP tenant is linked")]
