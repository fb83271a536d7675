"""What Graph refuses whatever the object: tokens, paths, query options, bodies, batches, quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.graph.refusal import Refusal

if TYPE_CHECKING:
    from sandbox.graph.calls import Call

MAX_IDS = 1000
MAX_BATCH = 20
MAX_CLAUSES = 15


def _too_many_ids(call: Call) -> bool:
    return len(call.body.get("ids") or ()) > MAX_IDS


PROTOCOL: tuple[Refusal, ...] = (
    Refusal("token-missing", 401, "InvalidAuthenticationToken", "Access token is empty.", "learn resolve-auth-errors"),
    Refusal("token-refused", 401, "InvalidAuthenticationToken", "{reason}", "learn resolve-auth-errors"),
    Refusal(
        "token-audience",
        401,
        "InvalidAuthenticationToken",
        "Access token validation failure. Invalid audience.",
        "learn resolve-auth-errors",
    ),
    Refusal(
        "token-tenant",
        401,
        "InvalidAuthenticationToken",
        "Access token validation failure. The tenant for tenant guid '{tenant}' does not exist.",
        "learn resolve-auth-errors",
    ),
    Refusal(
        "permission",
        403,
        "Authorization_RequestDenied",
        "Insufficient privileges to complete the operation.",
        "learn resolve-auth-errors",
    ),
    Refusal("version", 400, "BadRequest", "Invalid version: {version}.", "common"),
    Refusal("path", 400, "BadRequest", "Resource not found for the segment '{segment}'.", "learn errors; common"),
    Refusal(
        "method",
        405,
        "Request_BadRequest",
        "Specified HTTP method is not allowed for the request target.",
        "learn errors",
    ),
    Refusal(
        "no-such-object",
        404,
        "Request_ResourceNotFound",
        "Resource '{id}' does not exist or one of its queried reference-property objects are not present.",
        "facts 3",
    ),
    Refusal(
        "no-such-resource",
        404,
        "ResourceNotFound",
        "The requested resource '{id}' does not exist.",
        "learn errors; common",
    ),
    Refusal("query-option", 400, "BadRequest", "The query option '{option}' is not supported.", "learn errors"),
    Refusal(
        "query-option-twice",
        400,
        "BadRequest",
        "Query option '{option}' was specified more than once, but it must be specified at most once.",
        "common",
    ),
    Refusal(
        "select-name",
        400,
        "BadRequest",
        "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
        "'microsoft.graph.{entity}'.",
        "learn query-parameters",
    ),
    Refusal(
        "expand-name",
        400,
        "BadRequest",
        "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
        "'microsoft.graph.{entity}'.",
        "learn query-parameters",
    ),
    Refusal(
        "expand-unsupported",
        400,
        "Request_BadRequest",
        "Invalid $expand: property '{name}' cannot be expanded here.",
        "learn query-parameters",
    ),
    Refusal(
        "orderby-name",
        400,
        "BadRequest",
        "Could not find a property named '{name}' on type 'microsoft.graph.{entity}'.",
        "learn query-parameters",
    ),
    Refusal(
        "filter-syntax",
        400,
        "BadRequest",
        "Invalid filter clause: Syntax error at position {position} in '{filter}'.",
        "learn filter-query-parameter",
    ),
    Refusal(
        "filter-name",
        400,
        "BadRequest",
        "Invalid filter clause: Could not find a property named '{name}' on type 'microsoft.graph.{entity}'.",
        "learn filter-query-parameter",
    ),
    Refusal(
        "filter-type",
        400,
        "BadRequest",
        "Invalid filter clause: A binary operator with incompatible types was detected. Found operand types "
        "'{kind}' and '{literal}' for operator kind '{operator}'.",
        "learn filter-query-parameter",
    ),
    Refusal(
        "filter-operator",
        400,
        "Request_UnsupportedQuery",
        "Unsupported or invalid query filter clause specified for property '{name}': operator '{operator}'.",
        "learn resources/user (each property says what $filter takes); facts 2",
    ),
    Refusal(
        "filter-unsupported",
        400,
        "Request_UnsupportedQuery",
        "Unsupported or invalid query filter clause specified for property '{name}'.",
        "learn resources/user (each property says whether it takes $filter)",
    ),
    Refusal(
        "filter-clauses",
        400,
        "Request_UnsupportedQuery",
        "Too many child clauses specified in search filter expression containing 'OR' operators: {count}. "
        f"Max allowed: {MAX_CLAUSES}.",
        "common",
    ),
    Refusal(
        "advanced-query",
        400,
        "Request_UnsupportedQuery",
        "Operator or cast is only supported with advanced query capabilities: ConsistencyLevel: eventual and "
        "$count=true.",
        "learn aad-advanced-queries",
    ),
    Refusal(
        "top",
        400,
        "Request_UnsupportedQuery",
        "Invalid page size specified: '{value}'. Must be between 1 and {most} inclusive.",
        "common",
    ),
    Refusal("count", 400, "BadRequest", "Invalid value '{value}' for $count query option found.", "common"),
    Refusal(
        "skiptoken",
        400,
        "Directory_ExpiredPageToken",
        "The specified page token value has expired and can no longer be included in your request.",
        "learn errors",
    ),
    Refusal(
        "body-json",
        400,
        "BadRequest",
        "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid "
        "JSON format.",
        "common",
    ),
    Refusal("body-unexpected", 400, "BadRequest", "A request body is not expected for this request.", "learn errors"),
    Refusal("body-size", 413, "RequestEntityTooLarge", "The request payload exceeds the limit.", "learn errors"),
    Refusal(
        "property-name",
        400,
        "Request_BadRequest",
        "Property '{name}' does not exist as a declared property or extension property.",
        "common",
    ),
    Refusal(
        "property-read-only",
        400,
        "Request_BadRequest",
        "Property '{name}' is read-only and cannot be set.",
        "learn resources/user (each property says whether it is read-only)",
    ),
    Refusal(
        "property-value",
        400,
        "Request_BadRequest",
        "Invalid value specified for property '{name}' of resource '{entity}'.",
        "common",
    ),
    Refusal(
        "property-required",
        400,
        "Request_BadRequest",
        "A value is required for property '{name}' of resource '{entity}'.",
        "learn api/user-post-users; facts 4",
    ),
    Refusal(
        "reference",
        400,
        "BadRequest",
        "Invalid URL format specified in @odata.id for {value}.",
        "facts 4",
    ),
    Refusal(
        "ids-too-many",
        400,
        "Request_BadRequest",
        f"Too many elements present in the ids parameter; the limit is {MAX_IDS}.",
        "learn api/directoryobject-getbyids; facts 3",
        on=("POST directoryObjects/getByIds",),
        when=_too_many_ids,
    ),
    Refusal("batch-requests", 400, "BadRequest", "Invalid batch payload format: {reason}", "learn json-batching"),
    Refusal(
        "batch-too-many",
        400,
        "BadRequest",
        f"Number of batch request steps exceeds the maximum value of {MAX_BATCH}.",
        "learn json-batching; facts 2",
    ),
    Refusal("batch-ids", 400, "BadRequest", "Request id '{id}' is not unique in the batch.", "learn json-batching"),
    Refusal(
        "batch-depends",
        400,
        "BadRequest",
        "Request id '{id}' has a dependsOn that names no earlier request: '{on}'.",
        "learn json-batching",
    ),
    Refusal(
        "batch-content-type",
        400,
        "BadRequest",
        "Write request id : {id} does not contain Content-Type header or body.",
        "github.com/microsoftgraph/msgraph-sdk-dotnet/issues/2628",
    ),
    Refusal(
        "batch-dependency-failed",
        424,
        "FailedDependency",
        "A request that this request depends on has failed: '{on}'.",
        "learn json-batching; facts 2",
    ),
    Refusal(
        "throttled",
        429,
        "TooManyRequests",
        "Too many requests: the {limit} limit of this application in this tenant is reached.",
        "learn throttling-limits; facts 7",
    ),
)
