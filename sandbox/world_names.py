"""What a world file may call its objects, and which words stand for which of Microsoft's types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.world import Application, Tenant, World

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

NAMED_TYPES = {
    "groups": "group",
    "devices": "device",
    "service_principals": "servicePrincipal",
    "administrative_units": "administrativeUnit",
    "access_packages": "accessPackage",
}
"""A tenant's lists of named objects, with the types that their properties are of."""


class Names:
    """A tenant's objects by whatever a file may call them."""

    def __init__(self, tenant: Tenant, applications: dict[str, str]) -> None:
        self._ids: dict[str, dict[str, list[str]]] = {"users": {}, "applications": {}}
        for user in tenant.users:
            upn = str(user.get("userPrincipalName", ""))
            self._add("users", user["id"], (user["id"], user.get("displayName"), upn, upn.split("@", 1)[0]))
        for kind in NAMED_TYPES:
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
