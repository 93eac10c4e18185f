import type { TestContext } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import {
  type LogEntry,
  QueryService,
  type TailLogsRequestSchema,
  type TailLogsResponse,
  TailState,
} from "#proto/gen/fleetlog/v1/query_pb.ts";
import { waitFor } from "#test/support/wait-for.ts";

type Request = MessageInitShape<typeof TailLogsRequestSchema>;

/** Calls TailLogs and collects all messages; ends with the test. */
export function follow(t: TestContext, url: string, request: Request = {}) {
  const client = createClient(QueryService, createConnectTransport({ baseUrl: url, httpVersion: "1.1" }));
  const abort = new AbortController();
  const messages: TailLogsResponse[] = [];
  const run = async (): Promise<ConnectError | undefined> => {
    try {
      for await (const message of client.tailLogs(request, { signal: abort.signal })) messages.push(message);
      return undefined;
    } catch (error) {
      return ConnectError.from(error);
    }
  };
  const ended = run();
  let failure: ConnectError | undefined;
  void ended.then((error) => (failure = error));
  /** Waits for the condition, unless the tail has failed. */
  const until = async (what: string, condition: () => boolean): Promise<void> => {
    await waitFor(what, () => failure !== undefined || condition());
    if (failure !== undefined && !condition()) throw failure;
  };
  t.after(() => abort.abort());
  const logs = (): LogEntry[] =>
    messages.flatMap(({ event }) => (event.case === "logs" ? event.value.logs : []));
  return {
    messages,
    logs,
    texts: () => logs().map(({ message }) => message),
    /** The messages that are no record, by the name of their event. */
    events: () =>
      messages.flatMap(({ event }) =>
        event.case === "logs" || event.case === undefined
          ? []
          : [event.case === "state" ? (stateNames[event.value] ?? "") : event.case],
      ),
    token: () => messages.at(-1)?.resumeToken ?? "",
    /** With the error that ended it, or none. */
    ended,
    async stop() {
      abort.abort();
      await ended;
    },
    until,
    untilFollowing: () => until("the tail to follow", () => isFollowing(messages)),
    untilCount: (count: number) => until(`${count} records`, () => logs().length >= count),
  };
}

export type Follower = ReturnType<typeof follow>;

function isFollowing(messages: readonly TailLogsResponse[]): boolean {
  return messages.some(({ event }) => event.case === "state" && event.value === TailState.FOLLOWING);
}

const stateNames: Readonly<Record<number, string>> = {
  [TailState.UNSPECIFIED]: "",
  [TailState.FOLLOWING]: "following",
  [TailState.INTERRUPTED]: "interrupted",
};
