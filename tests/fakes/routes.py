"""Every HTTP route that a deployment has, as the app's own index lists them: a new one is found by itself."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from jml import triggers
from jml.services import Services

HEALTH = "GET health"
"""The one route that asks nobody who they are."""


@dataclass(frozen=True)
class Route:
    """`serve` is the function behind it."""

    method: str
    template: str
    serve: Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]

    @property
    def name(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def has_id(self) -> bool:
        return "{id}" in self.template

    async def ask(
        self, authorization: str | None, name: str = "", body: bytes = b"", query: Mapping[str, str] | None = None
    ) -> func.HttpResponse:
        """A request as the host hands it over; `name` is the id in the path."""
        return await self.serve(
            func.HttpRequest(
                self.method,
                f"https://app.example/api/{self.template}",
                headers={} if authorization is None else {"Authorization": authorization},
                params=dict(query or {}),
                route_params={"id": name} if self.has_id else {},
                body=body,
            )
        )


def routes(services: Services | None = None) -> dict[str, Route]:
    """By name, such as `GET runs/{id}`; without services they can be named and not be asked."""
    app = func.FunctionApp()
    for make in _blueprints():
        app.register_functions(make(services))
    found: dict[str, Route] = {}
    for one in app.get_functions():
        trigger: Any = one.get_trigger()
        if hasattr(trigger, "route"):
            for method in trigger.methods or ():
                route = Route(str(getattr(method, "value", method)), str(trigger.route), one.get_user_function())
                found[route.name] = route
    return found


def _blueprints() -> list[Callable[[Any], func.Blueprint]]:
    makers = [make for _, make in inspect.getmembers(triggers, inspect.isfunction)]
    return [make for make in makers if inspect.signature(make).return_annotation == "func.Blueprint"]
