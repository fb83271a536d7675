"""What a world file says beyond its form: property names are Microsoft's, and what it names exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from sandbox.directory_roles import ROLE_TEMPLATES
from sandbox.errors import GraphRefusal
from sandbox.graph.bodies import check_body
from sandbox.graph.schema import entity_type
from sandbox.world import Named, Tenant, World
from sandbox.world_names import METHOD_TYPES, NAMED_TYPES, Names, application_tenants, names_of

# Where a tenant's lists name other objects: list, field, kinds of object that may be named.
_PRINCIPALS = ("users", "groups", "service_principals")
_REFERENCES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("groups", "members", (*_PRINCIPALS, "devices")),
    ("groups", "owners", _PRINCIPALS),
    ("devices", "users", ("users",)),
    ("devices", "owners", ("users",)),
    ("service_principals", "owners", ("users",)),
    ("administrative_units", "members", ("users", "groups", "devices")),
    ("role_assignments", "principal", _PRINCIPALS),
    ("role_eligibilities", "principal", _PRINCIPALS),
    ("role_activations", "principal", _PRINCIPALS),
    ("group_eligibilities", "principal", ("users",)),
    ("group_eligibilities", "group", ("groups",)),
    ("group_activations", "principal", ("users",)),
    ("group_activations", "group", ("groups",)),
    ("access_packages", "groups", ("groups",)),
    ("access_packages", "assigned", ("users",)),
    ("app_roles", "principal", _PRINCIPALS),
    ("app_roles", "resource", ("service_principals",)),
    ("oauth2_grants", "principal", ("users",)),
    ("oauth2_grants", "client", ("service_principals",)),
    ("oauth2_grants", "resource", ("service_principals",)),
)
_ROLE_LISTS = ("role_assignments", "role_eligibilities", "role_activations")


def mistakes_in(world: World) -> list[str]:
    """Every mistake of a world whose form is right, as `path: what was expected`."""
    found = list(_application_mistakes(world))
    for name, tenant in world.tenants.items():
        names = names_of(world, name)
        path = f"tenants.{name}"
        for one in (_people(tenant), _objects(tenant), _references(tenant, names), _others(tenant, names)):
            found += [f"{path}.{mistake}" for mistake in one]
    ids = Counter(tenant.id for tenant in world.tenants.values())
    found += [f"tenants: {count} tenants have the id {one}" for one, count in ids.items() if count > 1]
    return found


def _application_mistakes(world: World) -> Iterator[str]:
    for name, application in world.applications.items():
        for tenant in application_tenants(application) - set(world.tenants):
            yield f"applications.{name}: there is no tenant '{tenant}'"
        for tenant, roles in application.directory_roles.items():
            for role in roles:
                if role not in ROLE_TEMPLATES:
                    yield f"applications.{name}.directory_roles.{tenant}: '{role}' is no Entra role known here"


def _people(tenant: Tenant) -> Iterator[str]:
    kind = entity_type("user")
    for section in ("users", "deleted_users"):
        for at, user in enumerate(getattr(tenant, section)):
            for required in ("displayName", "userPrincipalName"):
                if not isinstance(user.get(required), str) or not user[required]:
                    yield f"{section}.{at}.{required}: a name is required"
            body = {name: value for name, value in user.items() if name != "manager"}
            yield from _refusals(f"{section}.{at}", body, kind)
    names = [u.get("userPrincipalName") for u in (*tenant.users, *tenant.deleted_users)]
    for name, count in Counter(str(name).casefold() for name in names).items():
        if count > 1:
            yield f"users: {count} users have the userPrincipalName '{name}'"
    for one, count in Counter(str(u["id"]) for u in (*tenant.users, *tenant.deleted_users)).items():
        if count > 1:
            yield f"users: {count} users have the id '{one}'"


def _objects(tenant: Tenant) -> Iterator[str]:
    for section, type_name in NAMED_TYPES.items():
        items: list[Named] = getattr(tenant, section)
        for at, item in enumerate(items):
            yield from _refusals(f"{section}.{at}", item.graph(), entity_type(type_name))


def _refusals(path: str, body: dict[str, Any], kind: Any) -> Iterator[str]:
    """Each property by itself, so that every mistake shows."""
    for name, value in body.items():
        try:
            check_body({name: value}, kind, writable=False)
        except GraphRefusal as refusal:
            yield f"{path}.{name}: {refusal.message}"


def _references(tenant: Tenant, names: Names) -> Iterator[str]:
    for section, field, kinds in _REFERENCES:
        for at, item in enumerate(getattr(tenant, section)):
            value = getattr(item, field)
            for name in value if isinstance(value, list) else [value]:
                yield from _unresolved(f"{section}.{at}.{field}", names, kinds, name)
    for at, unit in enumerate(tenant.administrative_units):
        for role in unit.scoped_roles:
            yield from _unresolved(f"administrative_units.{at}.scoped_roles", names, _PRINCIPALS, role.principal)
    for at, user in enumerate(tenant.users):
        if "manager" in user:
            yield from _unresolved(f"users.{at}.manager", names, ("users",), str(user["manager"]))


def _unresolved(path: str, names: Names, kinds: tuple[str, ...], name: str) -> Iterator[str]:
    found = names.find(kinds, name)
    if len(found) != 1:
        wanted = " or ".join(kind.replace("_", " ") for kind in kinds)
        yield f"{path}: '{name}' names {len(found) or 'none'} of the {wanted}; exactly one is expected"


def _others(tenant: Tenant, names: Names) -> Iterator[str]:
    yield from _roles(tenant)
    yield from _onboarding(tenant, names)
    for who, methods in tenant.authentication_methods.items():
        yield from _unresolved("authentication_methods", names, ("users",), who)
        for at, method in enumerate(methods):
            yield from _method(f"authentication_methods.{who}.{at}", method)


def _roles(tenant: Tenant) -> Iterator[str]:
    named = [
        (f"{section}.{at}.role", item.role)
        for section in _ROLE_LISTS
        for at, item in enumerate(getattr(tenant, section))
    ]
    named += [
        (f"administrative_units.{at}.scoped_roles", scoped.role)
        for at, unit in enumerate(tenant.administrative_units)
        for scoped in unit.scoped_roles
    ]
    for path, role in named:
        if role not in ROLE_TEMPLATES:
            yield f"{path}: '{role}' is no Entra role known here"


def _onboarding(tenant: Tenant, names: Names) -> Iterator[str]:
    onboarded = {group.id for group in tenant.groups if group.pim}
    for section in ("group_eligibilities", "group_activations"):
        for at, item in enumerate(getattr(tenant, section)):
            found = names.find(("groups",), item.group)
            if len(found) == 1 and found[0] not in onboarded:
                yield f"{section}.{at}.group: '{item.group}' is not onboarded to PIM (pim: true)"


def _method(path: str, method: dict[str, Any]) -> Iterator[str]:
    kind = METHOD_TYPES.get(str(method.get("kind")))
    if kind is None:
        yield f"{path}.kind: one of {', '.join(METHOD_TYPES)} is expected"
        return
    body = {name: value for name, value in method.items() if name != "kind"}
    yield from _refusals(path, body, entity_type(kind))
