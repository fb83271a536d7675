// Roles for Azurite, which has none: loaded into its process with `node --require`, ahead of its own request listener.
//
// A managed identity (Bearer) may read and add on the tables and containers named in AZURITE_APPEND_ONLY, and do
// anything elsewhere; the owner of the account's key (SharedKey) may do anything everywhere. That is what the custom
// roles of docs/proof.md grant in Azure. A refusal is Storage's: 403, AuthorizationPermissionMismatch.
"use strict";

const https = require("https");

const { tables, containers } = JSON.parse(process.env.AZURITE_APPEND_ONLY);
const CODE = "AuthorizationPermissionMismatch";
const MESSAGE = "This request is not authorized to perform this operation using this permission.";
const PART = /^(GET|POST|PUT|PATCH|MERGE|DELETE) (\S+) HTTP\/1\.1\r?$/gm;

// "/account/ledger(PartitionKey='x',RowKey='y')", "/account/Tables('ledger')" -> "ledger"
function resource(path) {
  const last = decodeURIComponent(path.split("?")[0]).replace(/\/+/g, "/").split("/").slice(2).join("/");
  const table = /^Tables\('([^']*)'\)/i.exec(last);
  return (table ? table[1] : last.split(/[(/]/)[0]).toLowerCase();
}

function tableAllows(method, path, headers) {
  if (!tables.includes(resource(path))) return true;
  if (/\/Tables\('/i.test(decodeURIComponent(path)) || /[?&]comp=/.test(path)) return method === "GET";
  return method === "GET" || (method === "POST" && !headers["x-http-method"]);
}

// Put Blob with `blobs/add/action` makes a new blob and nothing else.
function blobAllows(method, path, headers) {
  if (!containers.includes(resource(path))) return true;
  if (method === "GET" || method === "HEAD") return true;
  const query = path.split("?")[1] || "";
  return method === "PUT" && !/(^|&)(comp|restype)=/.test(query) && headers["if-none-match"] === "*"
    && !headers["x-ms-copy-source"];
}

function refuse(response, isTable) {
  const value = `${MESSAGE}\nTime:${new Date().toISOString()}`;
  const json = JSON.stringify({ "odata.error": { code: CODE, message: { lang: "en-US", value } } });
  const xml = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${CODE}</Code><Message>${value}</Message></Error>`;
  response.writeHead(403, {
    "Content-Type": isTable ? "application/json;odata=minimalmetadata;charset=utf-8" : "application/xml",
    "x-ms-error-code": CODE,
  });
  response.end(isTable ? json : xml);
}

// A transaction is judged by its parts: the body is held back until it is whole, then given on as it came.
function withBody(request, then) {
  const push = request.push;
  const chunks = [];
  request.push = (chunk, encoding) => {
    if (chunk !== null) {
      chunks.push(chunk);
      return true;
    }
    request.push = push;
    then(Buffer.concat(chunks).toString("utf8"));
    for (const one of chunks) request.push(one, encoding);
    return request.push(null);
  };
}

function guarded(listener, isTable) {
  const allows = isTable ? tableAllows : blobAllows;
  return function (request, response) {
    const { method, url, headers } = request;
    const pass = () => listener.call(this, request, response);
    if (!/^Bearer /i.test(headers.authorization || "")) return pass();
    if (isTable && /\/\$batch$/.test(url.split("?")[0])) {
      return withBody(request, (body) => {
        const parts = [...body.matchAll(PART)];
        const path = (address) => new URL(address, "https://host").pathname;
        if (parts.every((part) => tableAllows(part[1], path(part[2]), {}))) return pass();
        refuse(response, true);
      });
    }
    if (allows(method, url, headers)) return pass();
    request.resume();
    refuse(response, isTable);
  };
}

const create = https.createServer;
https.createServer = (...options) => {
  const service = /(Blob|Queue|Table)Server\.js/.exec(new Error().stack);
  if (!service) throw new Error("azurite_rights.cjs: this Azurite makes its servers in another way");
  const server = create(...options);
  if (service[1] === "Queue") return server;
  const on = server.on.bind(server);
  server.on = (event, listener) => on(event, event === "request" ? guarded(listener, service[1] === "Table") : listener);
  return server;
};
