import { readFileSync } from "node:fs";
import { type CallOptions, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { IngestService } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import { Field, QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "#proto/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "#proto/gen/grpc/reflection/v1/reflection_pb.ts";

type NodeProtocol = "connect" | "connect-json" | "grpc" | "grpcweb";

export interface NodeCall {
  readonly protocol: NodeProtocol;
  readonly httpVersion: "1.1" | "2";
  readonly baseUrl: string;
  readonly caFile?: string | undefined;
  readonly device: string;
}

/** What went wrong with each RPC, called once with connect-node; "" is nothing. */
export async function callByNode(call: NodeCall): Promise<Map<string, string>> {
  const transport = createTransport(call);
  const outcomes = new Map<string, string>();
  for (const [rpc, run] of Object.entries(createCalls(transport, call))) {
    try {
      await run({ timeoutMs: 20_000 });
      outcomes.set(rpc, "");
    } catch (error) {
      outcomes.set(rpc, String(error));
    }
  }
  return outcomes;
}

function createTransport({ protocol, httpVersion, baseUrl, caFile }: NodeCall): Transport {
  const nodeOptions = caFile === undefined ? {} : { ca: readFileSync(caFile) };
  const options = { baseUrl, httpVersion, nodeOptions };
  if (protocol === "grpc") return createGrpcTransport({ baseUrl, nodeOptions });
  if (protocol === "grpcweb") return createGrpcWebTransport(options);
  return createConnectTransport({ ...options, useBinaryFormat: protocol === "connect" });
}

function createCalls(
  transport: Transport,
  { device: deviceId, httpVersion }: NodeCall,
): Readonly<Record<string, (options: CallOptions) => Promise<unknown>>> {
  const ingest = createClient(IngestService, transport);
  const query = createClient(QueryService, transport);
  const health = createClient(Health, transport);
  const reflection = createClient(ServerReflection, transport);
  const batch = { deviceId, records: [{ message: "through connect-node" }] };
  return {
    PushLogs: (options) => ingest.pushLogs({ batch }, options),
    StreamLogs: async (options) => {
      // Over HTTP/2 one batch waits for the ack of the one before; over HTTP/1.1 a client has sent all before it reads.
      let acked = Promise.withResolvers<void>();
      async function* requests() {
        for (let sent = 0; sent < 3; sent += 1) {
          yield { batch };
          if (httpVersion === "2") await acked.promise;
          acked = Promise.withResolvers();
        }
      }
      let acks = 0;
      for await (const { ack } of ingest.streamLogs(requests(), options)) {
        if (ack === undefined) continue; // a heartbeat
        if (ack.accepted !== 1) throw new Error(`accepted ${ack.accepted} of 1`);
        acks += 1;
        acked.resolve();
      }
      if (acks !== 3) throw new Error(`${acks} acks of 3`);
    },
    GetSession: (options) => ingest.getSession({ deviceId, sessionId: "a" }, options),
    GetLimits: (options) => ingest.getLimits({}, options),
    ListLogs: (options) => query.listLogs({}, options),
    TailLogs: async (options) => {
      for await (const _ of query.tailLogs({ last: 1 }, options)) return;
      throw new Error("no message");
    },
    GetHistogram: (options) => query.getHistogram({}, options),
    GetStatistics: (options) => query.getStatistics({}, options),
    ListFieldValues: (options) => query.listFieldValues({ field: Field.LOGGER }, options),
    ListDevices: (options) => query.listDevices({}, options),
    GetDevice: (options) => query.getDevice({ deviceId }, options),
    ListDeadLetters: (options) => query.listDeadLetters({}, options),
    ListIncidents: (options) => query.listIncidents({}, options),
    Health: async (options) => {
      const { status } = await health.check({ service: "fleetlog.v1.IngestService" }, options);
      if (status !== Status.SERVING) throw new Error(`status ${status}`);
    },
    HealthWatch: async (options) => {
      for await (const { status } of health.watch({}, options)) {
        if (status !== Status.SERVING) throw new Error(`status ${status}`);
        return;
      }
      throw new Error("no message");
    },
    Reflection: async (options) => {
      for await (const { messageResponse } of reflection.serverReflectionInfo(listServices(), options)) {
        if (messageResponse.case !== "listServicesResponse") throw new Error(`${messageResponse.case}`);
        const names = messageResponse.value.service.map(({ name }) => name);
        if (names.length !== 3) throw new Error(`lists ${names.join()}`);
        return;
      }
      throw new Error("no message");
    },
  };
}

async function* listServices() {
  yield { messageRequest: { case: "listServices", value: "" } } as const;
}
