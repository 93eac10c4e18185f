import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { listen } from "#lib/admin-server.ts";
import { unknownCaller } from "./admission.ts";
import { createHttpListener } from "./http-listener.ts";

test("a connection that is reset while the listener closes does not end the wait for the others", async (t) => {
  const listener = createHttpListener(
    { http1: (_request, response) => response.end("hello"), http2() {} },
    { admit: () => unknownCaller, windowBytes: { stream: 65_536, connection: 65_536 } },
  );
  t.after(() => listener.destroy());
  const { host, port } = await listen(listener.server, { host: "127.0.0.1", port: 0 });
  const keptAlive = async (): Promise<Socket> => {
    const socket = connect(port, host);
    t.after(() => socket.destroy());
    socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await once(socket, "data");
    return socket;
  };
  const [reset, other] = [await keptAlive(), await keptAlive()];
  other.on("end", () => other.end());
  const closed = once(other, "close");
  const closing = listener.close();
  reset.resetAndDestroy();
  await assert.doesNotReject(closing);
  await closed;
});
