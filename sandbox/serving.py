"""Loopback listeners: bound first, so that every address is known before anything is served on it."""

from __future__ import annotations

import socket
import ssl

from aiohttp import web

LOOPBACK = "127.0.0.1"
SHUTDOWN_S = 2.0


def bind(port: int = 0) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((LOOPBACK, port))
    return listener


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


async def serve(
    application: web.Application, listener: socket.socket, tls: ssl.SSLContext | None = None
) -> web.AppRunner:
    """Serves until the returned runner's `cleanup()`, which closes the listener too."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=tls).start()
    return runner
