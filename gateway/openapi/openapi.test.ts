import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Ajv2020 } from "ajv/dist/2020.js";
import { fullFormats } from "ajv-formats/dist/formats.js";
import { LogFilterSchema } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { openPool } from "../testing/open-pool.ts";
import { startWithTwoHosts } from "../testing/two-hosts.ts";
import type { Schema } from "./schemas.ts";

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query";
  readonly schema: {
    maxLength?: number;
    minimum?: number;
    maxItems?: number;
    pattern?: string;
    items?: Parameter["schema"];
  };
}

interface Document {
  readonly paths: Readonly<
    Record<
      string,
      {
        get: {
          parameters: Parameter[];
          responses: Record<string, { content: Record<string, { schema: Schema }> }>;
        };
      }
    >
  >;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;
let document: Document;
let ajv: Ajv2020;
before(async () => {
  gateway = await startWithTwoHosts();
  const pool = openPool(gateway.databaseUrl);
  await pool.query(`
    insert into dead_letters (device_id, session_id, sequence, idx, reason, raw, raw_bytes) values ('host-1', 's', 1, 1, 'why', 'x', 1)`);
  await pool.query(`insert into dead_letters (reason, raw, raw_bytes) values ('no entry', '', 0)`);
  await pool.query(
    `insert into incidents (kind, device_key, details) values ('sequence_reused', 1, '{"a": [1]}')`,
  );
  await pool.query(
    `update devices set attributes = '{"firmware": {"version": 2}}' where device_id = 'host-1'`,
  );
  await pool.end();
  document = (await (await fetch(`${gateway.url}/openapi.json`)).json()) as Document;
  ajv = new Ajv2020({
    strict: false,
    allErrors: true,
    formats: { ...fullFormats, int32: true, uint64: true, double: true },
  });
  ajv.addSchema({ ...(closed(document.components) as object), $id: "document" });
});
after(() => gateway[Symbol.asyncDispose]());

/** Forbids additional properties everywhere; references point into the schema "document". */
function closed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== "object" || schema === null) return schema;
  const copy = Object.fromEntries(
    Object.entries(schema).map(([name, value]) => [name, closed(value)]),
  ) as Record<string, unknown>;
  if (typeof copy.$ref === "string") copy.$ref = copy.$ref.replace("#/components", "document#");
  if (typeof copy.properties === "object" && copy.type === "object") copy.additionalProperties = false;
  return copy;
}

function assertFits(schema: Schema, value: unknown, what: string): void {
  const fits = ajv.compile(closed(schema) as Schema);
  assert.ok(fits(value), `${what}: ${ajv.errorsText(fits.errors)}`);
}

const needed: Readonly<Record<string, string>> = {
  "/v1/field-values": "field=ATTRIBUTE&attribute=if",
};
const range = "start_time=2026-01-01T00:00:00Z&end_time=2026-01-01T00:10:00Z";

function toAddress(path: string, query: string): string {
  return `${path.replace("{device_id}", "host-1")}?${[needed[path], query].filter(Boolean).join("&")}`;
}

test("is valid OpenAPI 3.1 and contains every path of the index", async () => {
  const { valid, errors } = await new Validator().validate(
    structuredClone(document) as unknown as Record<string, unknown>,
  );
  assert.ok(valid, JSON.stringify(errors));
  const { body } = await gateway.get("/");
  assert.deepEqual(
    Object.keys(document.paths).sort(),
    body.addresses.filter((address) => address.startsWith("/v1/")).sort(),
  );
});

test("every path responds as its schema says, with content", async () => {
  for (const [path, { get }] of Object.entries(document.paths)) {
    const schema = get.responses["200"]?.content["application/json"]?.schema;
    if (schema === undefined) continue;
    const query =
      get.parameters.some(({ name }) => name === "start_time") && !/letters|incidents/.test(path)
        ? range
        : "";
    const { status, body } = await gateway.get(toAddress(path, query));
    assert.equal(status, 200, path);
    assertFits(schema, body, path);
    const lists = Object.values(body).filter(Array.isArray);
    assert.ok(
      lists.some((list) => list.length > 0),
      `${path} lists something`,
    );
  }
  const lines = (await (await fetch(`${gateway.url}/v1/export`)).text()).split("\n").slice(0, -1);
  assert.equal(lines.length, 4);
  for (const line of lines) assertFits({ $ref: "#/components/schemas/LogEntry" }, JSON.parse(line), line);
});

test("every error has the documented shape", async () => {
  for (const address of [
    "/v1/nothing",
    "/v1/devices/unknown",
    "/v1/logs?page_size=-1",
    "/v1/export?format=x",
    "/v1/logs?what=1",
  ]) {
    const { body } = await gateway.get(address);
    assertFits({ $ref: "#/components/schemas/Error" }, body, address);
  }
});

test("every condition is a parameter of each path with a filter, with its limit or its values", () => {
  for (const path of ["/v1/logs", "/v1/histogram", "/v1/field-values", "/v1/export", "/v1/tail"]) {
    const parameters = document.paths[path]?.get.parameters ?? [];
    for (const { name } of LogFilterSchema.fields) {
      const schema = parameters.find((parameter) => parameter.name === name)?.schema;
      const limits = Object.keys({ ...schema, ...schema?.items });
      assert.ok(
        limits.some((limit) => /^(maxItems|maxLength|pattern|\$ref)$/.test(limit)),
        `${path} ${name}: ${limits.join(" ")}`,
      );
    }
  }
});

test("a value beyond a parameter's limit is refused by its name, and one at the limit is not", async () => {
  let limits = 0;
  for (const [path, { get }] of Object.entries(document.paths)) {
    if (path === "/v1/tail") continue; // needs Redis, and has the same filter as the others
    for (const parameter of get.parameters.filter((one) => one.in === "query" && one.name !== "page_token")) {
      for (const [within, beyond] of listEdges(parameter)) {
        limits += 1;
        const ask = async (values: readonly string[]) => {
          const query = values.map((value) => `${parameter.name}=${encodeURIComponent(value)}`).join("&");
          const others = parameter.name === "session_id" ? "&device_id=host-1" : "";
          const response = await fetch(
            gateway.url +
              toAddress(path, query + others).replace(
                parameter.name === "attribute" ? "&attribute=if" : "\0",
                "",
              ),
          );
          return { status: response.status, text: await response.text() };
        };
        const at = await ask(within);
        assert.equal(at.status, 200, `${path} ${parameter.name} at its limit: ${at.text}`);
        const over = await ask(beyond);
        assert.equal(over.status, 400, `${path} ${parameter.name} beyond its limit`);
        assert.ok(
          (JSON.parse(over.text) as { message: string }).message.startsWith(`${parameter.name}: `),
          over.text,
        );
      }
    }
  }
  assert.ok(limits > 60, `${limits} were tried`);
});

/** Values at and beyond each limit of a parameter. */
function listEdges({ name, schema }: Parameter): [within: string[], beyond: string[]][] {
  const one = schema.items ?? schema;
  const edges: [string[], string[]][] = [];
  const { minimum, maxLength, pattern } = one;
  if (minimum !== undefined) edges.push([[String(minimum)], [String(minimum - 1)]]);
  if (maxLength !== undefined) edges.push([["x".repeat(maxLength)], ["x".repeat(maxLength + 1)]]);
  if (pattern !== undefined && name !== "silent_for")
    edges.push([[name === "trace_id" ? "ab".repeat(16) : "a.b-1"], ["a b"]]);
  const { maxItems } = schema;
  if (maxItems !== undefined) {
    const values = Array.from({ length: maxItems + 1 }, (_, index) => `v${index}`);
    edges.push([values.slice(1), values]);
  }
  return edges;
}
