import { caughtBy, type Mutant } from "./mutant.ts";

/** In what becomes of OpenTelemetry's requests. */
export const otlpMutants: readonly Mutant[] = [
  ...caughtBy("otlp/transcode.test.ts", "otlp/transcode.ts", [
    {
      name: "untimed-is-unique",
      title: "records without a time are taken for a retry when they come again",
      search: "isUnique &&= fields.hasTime || fields.hasUid;",
      replacement: "",
    },
  ]),
  ...caughtBy("otlp/transcode.test.ts", "otlp/request-groups.ts", [
    {
      name: "scopes-mixed",
      title: "records of one scope get the attributes of another",
      search: "isLogger ? rest : this.#text(scope)",
      replacement: '""',
    },
    {
      name: "unbounded-records",
      title: "a request may have any number of records",
      search: "if (++this.#records > otlpLimits.recordsMax)",
      replacement: "if (++this.#records < 0)",
    },
  ]),
  ...caughtBy("otlp/random.test.ts", "otlp/attribute-writer.ts", [
    {
      name: "json-beyond-limit",
      title: "an array as an attribute may be longer than a batch, whatever its limit",
      search: "return json.problem;",
      replacement: "return undefined;",
    },
  ]),
  ...caughtBy("server/otlp/otlp.test.ts", "batch/content-identity.ts", [
    {
      name: "content-without-name",
      title: "a retry of a request gets another identity",
      search: "(digest.readBigUInt64BE() >> 2n) + 1n",
      replacement: "BigInt(Date.now()) * 1000n + BigInt(Math.floor(Math.random() * 1000))",
    },
  ]),
];
