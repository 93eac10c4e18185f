import type { DescMessage, DescMethod, FileRegistry } from "@bufbuild/protobuf";
import { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { exportFormats, fieldsNotExported } from "../export/export-request.ts";
import { restRoutes } from "../rest/routes.ts";
import { readComment } from "./comments.ts";
import { errorResponses, errorSchema } from "./errors.ts";
import { toParameters } from "./parameters.ts";
import { type Schema, Schemas } from "./schemas.ts";

/** The OpenAPI 3.1 document of the gateway's REST API, from descriptors with their comments. */
export function createDocument(registry: FileRegistry, version: string): Schema {
  const schemas = new Schemas();
  schemas.add("Error", errorSchema);
  const service = registry.getService(QueryService.typeName);
  const listLogs = service?.method.listLogs;
  const tailLogs = service?.method.tailLogs;
  if (service === undefined || listLogs === undefined || tailLogs === undefined)
    throw new Error(`no ${QueryService.typeName}`);
  const paths: [string, Schema][] = restRoutes.map(({ path, method }) => {
    const described = service.method[method.localName];
    if (described === undefined) throw new Error(`no ${method.toString()}`);
    return [path, { get: createOperation(described, path, schemas) }];
  });
  paths.push(["/v1/export", { get: exportOperation(listLogs.input, schemas) }]);
  paths.push(["/v1/tail", { get: tailOperation(tailLogs, schemas) }]);
  return {
    openapi: "3.1.0",
    info: {
      title: "Fleetlog",
      version,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      description: [
        readComment(service),
        "Parameters may also be written in lowerCamelCase. An empty parameter counts as absent; an unknown one is an error.",
        "Times are RFC 3339 with up to six fractional digits. 64-bit integers are strings. Zero values are included.",
        "Responses have Cache-Control, an ETag for If-None-Match, and X-Cache (hit or miss).",
      ].join(" "),
    },
    servers: [{ url: "/", description: "The server of this document." }],
    security: [],
    tags: [{ name: "query", description: "Stored records and devices." }],
    paths: Object.fromEntries(paths),
    components: { schemas: schemas.all },
  };
}

function createOperation(method: DescMethod, path: string, schemas: Schemas): Schema {
  const comment = readComment(method).replace(/\s*Also GET [^ ]+$/, "");
  return {
    operationId: method.localName,
    tags: ["query"],
    summary: firstSentence(comment),
    description: `${comment} The same as the RPC \`${method.parent.typeName}/${method.name}\`.`,
    parameters: toParameters(method.input, schemas, { path }),
    responses: {
      200: {
        description: readComment(method.output),
        content: { "application/json": { schema: schemas.ofMessage(method.output) } },
      },
      ...errorResponses(),
    },
  };
}

function tailOperation(method: DescMethod, schemas: Schemas): Schema {
  const operation = createOperation(method, "/v1/tail", schemas);
  schemas.ofMessage(method.output);
  const description = `Server-Sent Events; the data of each is a ${method.output.name} in JSON.`;
  const content = { "text/event-stream": { schema: { type: "string", description } } };
  return { ...operation, responses: { 200: { description, content }, ...errorResponses() } };
}

function exportOperation(listLogs: DescMessage, schemas: Schemas): Schema {
  const comment =
    "Exports all records that match a filter, without a limit, as a file. Each record that was stored when the export began is included exactly once. An incomplete export closes the connection before the end of the response, which HTTP clients report as an error.";
  const line = "One line per record";
  return {
    operationId: "exportLogs",
    tags: ["query"],
    summary: firstSentence(comment),
    description: comment,
    parameters: [
      {
        name: "format",
        in: "query",
        required: false,
        description:
          "NDJSON, each line a LogEntry as in ListLogs, or CSV (RFC 4180) with a header. In CSV a cell that a spreadsheet would execute as a formula is prefixed with an apostrophe.",
        schema: { type: "string", enum: exportFormats, default: exportFormats[0] },
      },
      ...toParameters(listLogs, schemas, { without: fieldsNotExported }),
    ],
    responses: {
      200: {
        description: "The records, by time; compressed with gzip if the client accepts it.",
        content: {
          "application/x-ndjson": { schema: { type: "string", description: `${line}, a LogEntry in JSON.` } },
          "text/csv": {
            schema: { type: "string", description: `${line}; the attributes are one cell of JSON.` },
          },
        },
      },
      ...errorResponses(),
    },
  };
}

function firstSentence(comment: string): string {
  return (comment.split(/[.:](?= |$)/, 1)[0] ?? "").trim();
}
