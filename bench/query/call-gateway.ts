import { Agent, request } from "node:http";

/** A call of QueryService by Connect's JSON. */
export interface Call {
  readonly method: "ListLogs" | "GetHistogram" | "GetStatistics" | "ListDevices";
  readonly body: Readonly<Record<string, unknown>>;
}

export interface QueryResponse {
  readonly ms: number;
  readonly isCached: boolean;
  readonly body: ResponseBody;
}

/** The fields of all responses that the queries inspect. */
export interface ResponseBody {
  readonly logs?: readonly unknown[];
  readonly nextPageToken?: string;
  readonly buckets?: readonly unknown[];
  readonly devices?: readonly unknown[];
  readonly recordCount?: string;
}

/** Connections stay open, as those of Nginx do. */
const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** Calls a gateway at `host:port`; the time ends with the last byte. Throws the gateway's error. */
export function callGateway(target: string, { method, body }: Call): Promise<QueryResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<QueryResponse>();
  const startedAt = performance.now();
  const sent = request(
    `http://${target}/fleetlog.v1.QueryService/${method}`,
    { agent, method: "POST", headers: { "content-type": "application/json" }, timeout: 30_000 },
    (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const ms = performance.now() - startedAt;
        const text = Buffer.concat(chunks).toString();
        if (response.statusCode !== 200) reject(new Error(`${method} ${JSON.stringify(body)}: ${text}`));
        else
          resolve({
            ms,
            isCached: response.headers["x-cache"] === "hit",
            body: JSON.parse(text) as ResponseBody,
          });
      });
    },
  );
  sent.on("timeout", () => sent.destroy(new Error(`${method}: no answer within 30 s`)));
  sent.on("error", reject);
  sent.end(JSON.stringify(body));
  return promise;
}
