import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { connect as connectSocket } from "node:net";
import { text as readText } from "node:stream/consumers";
import { after, test } from "node:test";
import { startServerAndRedis } from "./testing/server-program.ts";

const pushLogs = "/fleetlog.v1.IngestService/PushLogs";
const { server } = await startServerAndRedis({ after });

test("every listener refuses a foreign host name over HTTP/1.1, and serves its own", async () => {
  for (const [address, request] of [
    [server.http, `POST ${pushLogs} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2`],
    [server.admin, "GET /metrics HTTP/1.1"],
    [server.admin, "GET /livez HTTP/1.1"],
  ] as const) {
    const ask = async (host: string) => {
      const [name = "", port = ""] = address.split(":");
      const socket = connectSocket(Number(port), name);
      socket.write(`${request}\r\nHost: ${host}\r\nConnection: close\r\n\r\n{}`);
      return await readText(socket);
    };
    assert.match(await ask("evil.example"), /^HTTP\/1.1 421 [^]*"permission_denied".*ALLOWED_HOSTS/);
    assert.doesNotMatch(await ask("LocalHost.:1"), /^HTTP\/1.1 421 /);
    assert.doesNotMatch(await ask("[::1]:1"), /^HTTP\/1.1 421 /);
  }
});

test("both listeners of RPCs refuse another :authority in the words of the protocol", async () => {
  for (const [address, type, status, grpcStatus] of [
    [server.grpc, "application/grpc", 200, "7"],
    [server.http, "application/connect+json", 421, undefined],
    [server.http, "application/grpc-web+proto", 200, "7"],
  ] as const) {
    const session = connectHttp2(`http://${address}`);
    const call = session.request({
      ":method": "POST",
      ":path": pushLogs,
      ":authority": "evil.example",
      "content-type": type,
    });
    const head = await new Promise<Readonly<Record<string, unknown>>>((resolve, reject) => {
      call.on("response", resolve);
      call.on("error", reject);
    });
    session.destroy();
    assert.deepEqual([head[":status"], head["grpc-status"]], [status, grpcStatus], type);
  }
});
