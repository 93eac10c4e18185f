import { createServer } from "node:http2";
import { listen } from "#lib/admin-server.ts";

/**
 * The minimal server on `node:http2`, which echoes the bytes: the reference for our servers. Forked by
 * the benchmark; reports its address to the parent.
 */
const server = createServer({ settings: { initialWindowSize: 1 << 20, maxConcurrentStreams: 1_000 } });
server.on("session", (session) => session.setLocalWindowSize(8 << 20));
server.on("stream", (stream) => {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.on("error", (error) => process.stderr.write(`http2 echo: ${error.message}\n`));
  stream.pipe(stream);
});
process.on("disconnect", () => process.exit(0));
const { host, port } = await listen(server, { host: "127.0.0.1", port: 0 });
process.send?.(`${host}:${port}`);
