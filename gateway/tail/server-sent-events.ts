import { Code } from "@connectrpc/connect";
import {
  createAsyncIterable,
  encodeEnvelope,
  transformSplitEnvelope,
  type UniversalHandler,
} from "@connectrpc/connect/protocol";
import { codeFromString, codeToHttpStatus, endStreamFlag } from "@connectrpc/connect/protocol-connect";
import { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { completeErrorText } from "#rpc/send-error.ts";
import { type RpcHandlers, rpcPath } from "../http/rpc-handlers.ts";
import { readCall } from "../rest/rest-handlers.ts";

const method = QueryService.method.tailLogs;

/**
 * GET /v1/tail: the messages of TailLogs as Server-Sent Events, for curl and EventSource. It unwraps the
 * envelopes of the same call, so that both share one implementation, one JSON and one set of errors. The id of
 * each event is the resume token: a browser sends the last one as Last-Event-ID when it reconnects.
 */
export function createTailEventsHandler(rpcHandlers: RpcHandlers): UniversalHandler {
  const rpc = rpcHandlers.get(rpcPath(method.parent, method.name));
  if (rpc === undefined) throw new Error(`nothing serves ${method.toString()}`);
  const handle = async (request: Parameters<UniversalHandler>[0]): ReturnType<UniversalHandler> => {
    const { body, contextValues } = readCall(
      method.input,
      new URL(request.url).searchParams,
      request.contextValues,
    );
    const lastEventId = request.header.get("last-event-id");
    if (lastEventId) body["resume_token"] = lastEventId;
    // The headers are those of the first message, which the last records would delay.
    if (request.method === "HEAD") delete body["last"];
    const header = new Headers({ "content-type": "application/connect+json" });
    const response = await rpc({
      ...request,
      method: "POST",
      header,
      body: createAsyncIterable([encodeEnvelope(0, Buffer.from(JSON.stringify(body)))]),
      contextValues,
    });
    const messages = readEnvelopes(response.body ?? createAsyncIterable<Uint8Array>([]));
    const first = await messages.next();
    if (!first.done && !first.value.isEnd) {
      return { status: 200, header: new Headers(eventStream), body: writeEvents(first.value, messages) };
    }
    // The stream never began: the error is that of a plain call.
    const { error = {} } = JSON.parse(first.value?.text ?? "{}") as { error?: { code?: string } };
    return {
      status: codeToHttpStatus(codeFromString(error.code ?? "") ?? Code.Unknown),
      header: new Headers({ "content-type": "application/json" }),
      body: createAsyncIterable([Buffer.from(completeErrorText(error))]),
    };
  };
  return Object.assign(handle, rpc, { allowedMethods: ["GET", "HEAD"] });
}

interface Envelope {
  readonly text: string;
  /** The last one, with the error or without. */
  readonly isEnd: boolean;
}

async function* readEnvelopes(body: AsyncIterable<Uint8Array>): AsyncGenerator<Envelope, undefined> {
  for await (const { flags, data } of transformSplitEnvelope(messageBytesMax)(body)) {
    yield { text: utf8.decode(data), isEnd: flags === endStreamFlag };
  }
  return undefined;
}

/** A browser reconnects after every end of the stream, so errors and ends are not sent. */
async function* writeEvents(first: Envelope, rest: AsyncIterable<Envelope>): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`retry: ${retryMs}\n\n${toEvent(first.text)}`);
  for await (const { text, isEnd } of rest) {
    if (isEnd) return;
    yield Buffer.from(toEvent(text));
  }
}

/** A message in JSON begins with the name of its event, if it has one, and ends with its resume token. */
function toEvent(json: string): string {
  const [, name = ""] = /^\{"(\w+)"/.exec(json) ?? [];
  const [, token = ""] = /"resumeToken":"([\w.]*)"\}$/.exec(json.slice(-tokenCharactersMax)) ?? [];
  return `event: ${name === "resumeToken" ? "heartbeat" : name}\nid: ${token}\ndata: ${json}\n\n`;
}

const eventStream = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  // For a proxy without a configuration of its own.
  "x-accel-buffering": "no",
};
const retryMs = 1000;
const utf8 = new TextDecoder();
/** Its messages are our own, so only the envelope's length field bounds them. */
const messageBytesMax = 0xffff_ffff;
/** The token of 1,024 shards fits. */
const tokenCharactersMax = 32_768;
