import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { status } from "@grpc/grpc-js";
import type { RpcType, StartRpc } from "#rpc/call-metrics.ts";
import type { BudgetShare, RequestBudget } from "../../connect/request-budget.ts";
import type { Decompressor } from "../../decompressor.ts";
import { readTimeoutMs } from "../call-timeout.ts";
import {
  type CallHandler,
  type IngestCall,
  type IngestDependencies,
  ok,
  pushLogs,
  type Status,
  streamLogsHandler,
} from "../ingest-calls.ts";
import { messageBytesMax } from "../message.ts";
import { refusalStatus } from "../status.ts";
import { FastCall } from "./fast-call.ts";

/** A method that is served on node:http2. */
export interface FastMethod {
  readonly service: string;
  readonly name: string;
  readonly type: RpcType;
  readonly messageBytesMax: number;
  /** Of unary calls: bounds the messages that are being read or answered, and the time in which one arrives. */
  readonly budget?: RequestBudget;
  /** `share` is the call's of {@link budget}. */
  readonly start: (call: IngestCall, share: BudgetShare) => CallHandler;
}

const service = "fleetlog.v1.IngestService";

/** The two calls that devices make all day. */
export function ingestMethods(parts: IngestDependencies, budget: RequestBudget): readonly FastMethod[] {
  const push = (request: Buffer) => pushLogs(parts, request);
  return [
    {
      service,
      name: "PushLogs",
      type: "unary",
      messageBytesMax,
      budget,
      start: (call) => unaryHandler(call, push),
    },
    {
      service,
      name: "StreamLogs",
      type: "bidi_stream",
      messageBytesMax,
      start: (call) => streamLogsHandler(parts, call),
    },
  ];
}

/**
 * Serves these methods with less work than grpc-js does: no object streams, no promise for each message, acks of one
 * turn of the event loop in one write. `serve` returns false, and has done nothing, for every other call.
 */
export function createFastPath(
  methods: readonly FastMethod[],
  { decompressor, startRpc }: { readonly decompressor: Decompressor; readonly startRpc: StartRpc },
) {
  const byPath = new Map<string, FastMethod & { decompress: (packed: Buffer) => Promise<Buffer> }>(
    methods.map((method) => {
      const decompress = (packed: Buffer) => decompressor.decompress(packed, method.messageBytesMax);
      return [`/${method.service}/${method.name}`, { ...method, decompress }] as const;
    }),
  );
  return {
    has: (path: string | undefined): boolean => byPath.has(path ?? ""),
    serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
      const method = byPath.get(headers[":path"] ?? "");
      if (method === undefined) return false;
      const share = method.budget?.open() ?? noShare;
      const end = startRpc(method.type, method.service, method.name);
      const call = new FastCall(stream, {
        messageBytesMax: method.messageBytesMax,
        timeoutMs: readTimeoutMs(headers),
        bodyMsMax: method.budget?.bodyMsMax,
        unpack: headers["grpc-encoding"] === "gzip" ? method.decompress : undefined,
        onStatus: (code) => {
          share[Symbol.dispose]();
          end(code);
        },
        hold: method.budget && ((bytes) => share.hold(bytes)),
      });
      call.serve(method.start(call, share));
      return true;
    },
  };
}

const noShare: BudgetShare = { hold() {}, read: (body) => body, [Symbol.dispose]() {} };

/** Answers one unary call. */
export function unaryHandler(
  call: IngestCall,
  answer: (request: Buffer) => Promise<Buffer | Status>,
): CallHandler {
  let request: Buffer | undefined;
  const respond = async (request: Buffer) => {
    const response = await answer(request);
    if ("code" in response) return call.finish(response);
    call.finish(ok, response);
  };
  const unimplemented = (details: string) => call.finish({ code: status.UNIMPLEMENTED, details });
  return {
    wantsMore: true,
    message(message) {
      if (request !== undefined) unimplemented("Received a second request message for a unary method");
      request = message;
    },
    complete() {
      if (request === undefined) unimplemented("Received no request message for a unary method");
      else void respond(request);
    },
    unreadable: (refusal) => call.finish(refusalStatus(refusal)),
    closed() {},
  };
}
