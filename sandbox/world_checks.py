"""What a world file says beyond its form: property names are Microsoft's, and what it names exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.directory_roles import ROLE_TEMPLATES
from sandbox.errors import GraphRefusal
from sandbox.graph.bodies import check_body
from sandbox.graph.schema import entity_type
from sandbox.world import Application, Named, Tenant, World

METHOD_TYPES = {
    "email": "emailAuthenticationMethod",
    "fido2": "fido2AuthenticationMethod",
    "authenticator": "microsoftAuthenticatorAuthenticationMethod",
    "phone": "phoneAuthenticationMethod",
    "oath": "softwareOathAuthenticationMethod",
    "pass": "temporaryAccessPassAuthenticationMethod",
    "hello": "windowsHelloForBusinessAuthenticationMethod",
}
"""The sandbox's words for kinds of authentication methods, with Microsoft's types."""

_NAMED_TYPES = {
    "groups": "group",
    "devices": "device",
    "service_principals": "servicePrincipal",
    "administrative_units": "administrativeUnit",
    "access_packages": "accessPackage",
}

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


class Names:
    """A tenant's objects by whatever a file may call them."""

    def __init__(self, tenant: Tenant, applications: dict[str, str]) -> None:
        self._ids: dict[str, dict[str, list[str]]] = {"users": {}, "applications": {}}
        for user in tenant.users:
            upn = str(user.get("userPrincipalName", ""))
            self._add("users", user["id"], (user["id"], user.get("displayName"), upn, upn.split("@", 1)[0]))
        for kind in _NAMED_TYPES:
            self._ids[kind] = {}
            for item in getattr(tenant, kind):
                self._add(kind, item.id, (item.id, item.displayName))
        for name, object_id in applications.items():
            self._add("service_principals", object_id, (name, object_id))

    def find(self, kinds: Iterable[str], name: str) -> list[str]:
        """Ids of the objects of these kinds that bear the name."""
        folded = name.casefold()
        return list(dict.fromkeys(one for kind in kinds for one in self._ids[kind].get(folded, ())))

    def id(self, name: str, *kinds: str) -> str:
        """The one object of that name, in a world that has been checked."""
        return self.find(kinds, name)[0]

    def _add(self, kind: str, object_id: str, names: Iterable[Any]) -> None:
        for name in {str(name).casefold() for name in names if name}:
            self._ids[kind].setdefault(name, []).append(object_id)


def names_of(world: World, tenant_name: str) -> Names:
    """The names of a tenant, with those of the applications that have a service principal there."""
    applications = {
        name: application.object_id(tenant_name)
        for name, application in world.applications.items()
        if tenant_name in application_tenants(application)
    }
    return Names(world.tenants[tenant_name], applications)


def application_tenants(application: Application) -> set[str]:
    """Tenants in which an application has a service principal."""
    return {application.home_tenant, *application.grants, *application.directory_roles}


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
    for section, type_name in _NAMED_TYPES.items():
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
    for section in _ROLE_LISTS:
        for at, item in enumerate(getattr(tenant, section)):
            if item.role not in ROLE_TEMPLATES:
                yield f"{section}.{at}.role: '{item.role}' is no Entra role known here"
    for at, unit in enumerate(tenant.administrative_units):
        for role in unit.scoped_roles:
            if role.role not in ROLE_TEMPLATES:
                yield f"administrative_units.{at}.scoped_roles: '{role.role}' is no Entra role known here"
    pim = {group.id for group in tenant.groups if group.pim}
    for section in ("group_eligibilities", "group_activations"):
        for at, item in enumerate(getattr(tenant, section)):
            found = names.find(("groups",), item.group)
            if len(found) == 1 and found[0] not in pim:
                yield f"{section}.{at}.group: '{item.group}' is not onboarded to PIM (pim: true)"
    for who, methods in tenant.authentication_methods.items():
        yield from _unresolved("authentication_methods", names, ("users",), who)
        for at, method in enumerate(methods):
            yield from _method(f"authentication_methods.{who}.{at}", method)


def _method(path: str, method: dict[str, Any]) -> Iterator[str]:
    kind = METHOD_TYPES.get(str(method.get("kind")))
    if kind is None:
        yield f"{path}.kind: one of {', '.join(METHOD_TYPES)} is expected"
        return
    body = {name: value for name, value in method.items() if name != "kind"}
    yield from _refusals(path, body, entity_type(kind))
