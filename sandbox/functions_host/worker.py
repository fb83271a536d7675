"""Microsoft's Python worker, in process and on the loop of whoever calls it: index, load, invoke.

The host and the worker speak in protobuf messages, as over gRPC in Azure; here they are handed over directly.
"""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from sandbox.functions_host.bindings import Function, UnsupportedFunction, function_from
from sandbox.functions_host.install import MESSAGES_FOLDER, MESSAGES_PACKAGE

HOST_VERSION = "4.1036.0"


class AppFailedToStart(Exception):
    """`function_app.py` could not be imported or indexed; the text is the app's own."""


class InvocationFailed(Exception):
    """A function raised; the text is its exception's, `trace` its stack."""

    def __init__(self, message: str, trace: str) -> None:
        super().__init__(message)
        self.trace = trace

    def log(self, logger: logging.Logger, function: Function) -> None:
        logger.error("function %s failed: %s\n%s", function.name, self, self.trace)


def load_messages() -> ModuleType:
    """The compiled messages in one module, as the worker expects them (`protos.RpcHttp` and the like)."""
    if not MESSAGES_FOLDER.exists():
        raise AppFailedToStart("the worker is not installed: run `python -m sandbox.functions_host.install`")
    sys.path.append(str(MESSAGES_FOLDER))
    try:
        rpc = __import__(f"{MESSAGES_PACKAGE}.FunctionRpc_pb2", fromlist=["*"])
        nullable = __import__(f"{MESSAGES_PACKAGE}.shared.NullableTypes_pb2", fromlist=["*"])
    finally:
        sys.path.remove(str(MESSAGES_FOLDER))
    protos = ModuleType("protos")
    protos.__dict__.update(vars(nullable) | vars(rpc))
    return protos


class Worker:
    def __init__(self, app: Path) -> None:
        self._app = app
        self.protos: Any = load_messages()

    async def start(self) -> list[Function]:
        """Imports `function_app.py` and returns its functions, settings in their bindings resolved."""
        import azure_functions_runtime as runtime

        self._runtime = runtime
        sys.path.insert(0, str(self._app))
        reply = await runtime.worker_init_request(
            self._wrap(
                worker_init_request=self.protos.WorkerInitRequest(
                    host_version=HOST_VERSION, function_app_directory=str(self._app)
                )
            )
        )
        if reply.result.status != self.protos.StatusResult.Success:
            raise AppFailedToStart(_exception_text(reply.result.exception))
        indexed = await runtime.functions_metadata_request(
            self._wrap(functions_metadata_request=self.protos.FunctionsMetadataRequest())
        )
        return [await self._load(row) for row in indexed.function_metadata_results]

    async def invoke(
        self,
        function: Function,
        inputs: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
        trace_parent: str | None = None,
    ) -> Any:
        """Runs a function; answers its return value (`TypedData`) or raises `InvocationFailed`."""
        request = self.protos.InvocationRequest(
            invocation_id=str(uuid.uuid4()),
            function_id=function.id,
            input_data=[self.protos.ParameterBinding(name=name, data=data) for name, data in inputs.items()],
            trigger_metadata=metadata or {},
            trace_context=self.protos.RpcTraceContext(trace_parent=trace_parent or new_trace_parent()),
        )
        reply = await self._runtime.invocation_request(self._wrap(invocation_request=request))
        if reply.result.status != self.protos.StatusResult.Success:
            raise InvocationFailed(reply.result.exception.message, reply.result.exception.stack_trace)
        return reply.return_value

    async def _load(self, row: Any) -> Function:
        if row.retry_options.max_retry_count:
            raise UnsupportedFunction(f"function {row.name}: retry policies are not imitated by this host")
        request = self.protos.FunctionLoadRequest(function_id=row.function_id, metadata=row)
        await self._runtime.function_load_request(self._wrap(function_load_request=request))
        return function_from(row.name, row.function_id, list(row.raw_bindings))

    def _wrap(self, **message: Any) -> SimpleNamespace:
        return SimpleNamespace(
            request=self.protos.StreamingMessage(**message),
            properties={"host": "127.0.0.1", "protos": self.protos},
        )


def new_trace_parent() -> str:
    """A sampled W3C trace context: the host starts one where the caller sent none."""
    return f"00-{uuid.uuid4().hex}-{uuid.uuid4().hex[:16]}-01"


def _exception_text(exception: Any) -> str:
    return f"{exception.stack_trace}\n{exception.message}".strip()
