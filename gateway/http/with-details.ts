import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { createAsyncIterable } from "@connectrpc/connect/protocol";

type UniversalResponse = Awaited<ReturnType<UniversalHandler>>;

/** Connect leaves `details` out of an error that has none; here every error has a code, a message and details. */
export async function withDetails(result: UniversalResponse): Promise<UniversalResponse> {
  const isError = result.status >= 400 && result.header?.get("content-type") === "application/json";
  if (!isError || result.body === undefined) return result;
  if (result.header?.has("content-encoding")) return result; // long enough to be compressed: it has details
  const chunks: Uint8Array[] = [];
  for await (const chunk of result.body) chunks.push(chunk);
  const error = JSON.parse(Buffer.concat(chunks).toString()) as object;
  const body = Buffer.from(JSON.stringify({ code: "unknown", message: "", details: [], ...error }));
  const header = new Headers(result.header);
  header.delete("content-length");
  return { ...result, header, body: createAsyncIterable([body]) };
}
