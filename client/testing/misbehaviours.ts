import { constants } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import {
  answer,
  beginResponse,
  framed,
  type HostilePeer,
  type Misbehaviour,
} from "#client/testing/hostile-peer.ts";
import { RetryInfoSchema } from "#proto/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "#proto/gen/google/rpc/status_pb.ts";

/** A status without a message before it, which is how a server or a proxy refuses a call. */
export const trailersOnly =
  (code: number, headers: Record<string, string> = {}): Misbehaviour =>
  (stream) =>
    stream.respond(
      { ":status": 200, "content-type": "application/grpc", "grpc-status": String(code), ...headers },
      { endStream: true },
    );

export function retryInfo(seconds: bigint, nanos = 0): string {
  const info = anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay: { seconds, nanos } }));
  const status = toBinary(StatusSchema, create(StatusSchema, { code: 8, details: [info] }));
  return Buffer.from(status).toString("base64");
}

/** Starts a response, and misbehaves once the first batch arrived. */
const afterBatch =
  (peer: HostilePeer, act: (stream: Parameters<Misbehaviour>[0], sequence: bigint) => void): Misbehaviour =>
  (stream) => {
    beginResponse(stream);
    peer.onBatch(stream, ({ sequence }) => {
      act(stream, sequence);
      return false;
    });
  };

/** What a server may do instead of its task, by name. */
export const misbehaviours: Readonly<Record<string, (peer: HostilePeer) => Misbehaviour>> = {
  "answers out of order": (peer) =>
    afterBatch(peer, (stream, sequence) => {
      stream.write(answer({ ack: { sequence: sequence + 1n } }));
      stream.write(answer({ ack: { sequence } }));
    }),
  "answers with numbers that were never sent": (peer) =>
    afterBatch(peer, (stream) => stream.write(answer({ ack: { sequence: 2n ** 63n } }))),
  "answers twice": (peer) =>
    afterBatch(peer, (stream, sequence) => {
      const ack = answer({ ack: { sequence } });
      stream.write(Buffer.concat([ack, ack]));
    }),
  "answers with bytes that are no message": (peer) =>
    afterBatch(peer, (stream) => stream.write(framed(Buffer.alloc(100, 0xff)))),
  "answers with bytes that are no frame": (peer) =>
    afterBatch(peer, (stream) => stream.write(Buffer.alloc(1_000, 0xff))),
  "promises 4 GiB": (peer) =>
    afterBatch(peer, (stream) => stream.write(framed(Buffer.alloc(10), 2 ** 32 - 1))),
  "answers with 17 MiB": (peer) =>
    afterBatch(peer, (stream) => stream.write(framed(Buffer.alloc(17 * 1024 * 1024)))),
  "breaks off within a message": (peer) =>
    afterBatch(peer, (stream, sequence) => stream.end(answer({ ack: { sequence } }).subarray(0, 6))),
  "ends without a status": (peer) => afterBatch(peer, (stream) => stream.end()),
  "says nothing but signs of life": (peer) =>
    afterBatch(peer, (stream) => {
      for (let turn = 0; turn < 1_000; turn++) stream.write(answer({}));
    }),
  "never answers": () => () => {},
  "never answers after its headers": () => beginResponse,
  "resets the stream at once": () => (stream) => stream.close(constants.NGHTTP2_REFUSED_STREAM),
  "resets the stream after its headers": () => (stream) => {
    beginResponse(stream);
    stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  },
  "resets the stream after a batch": (peer) =>
    afterBatch(peer, (stream) => stream.close(constants.NGHTTP2_CANCEL)),
  "destroys the connection at once": () => (stream) => stream.session?.destroy(),
  "destroys the connection after a batch": (peer) => afterBatch(peer, (stream) => stream.session?.destroy()),
  "sends GOAWAY at once": () => (stream) => stream.session?.goaway(),
  "sends GOAWAY that denies the stream": () => (stream) =>
    stream.session?.goaway(constants.NGHTTP2_NO_ERROR, 0),
  "sends GOAWAY with an error after a batch": (peer) =>
    afterBatch(peer, (stream) => stream.session?.goaway(constants.NGHTTP2_ENHANCE_YOUR_CALM)),
  "closes the session after a batch and an ack": (peer) =>
    afterBatch(peer, (stream, sequence) => {
      stream.write(answer({ ack: { sequence } }));
      stream.session?.close();
      stream.end();
    }),
  ...Object.fromEntries(
    [0, 1, 2, 4, 5, 8, 10, 13, 14, 15, 99].map((code) => [
      `refuses the call with code ${code}`,
      () => trailersOnly(code),
    ]),
  ),
  "refuses the call with details that are none": () =>
    trailersOnly(8, { "grpc-status-details-bin": Buffer.alloc(50, 0xff).toString("base64") }),
  "asks for a negative time": () => trailersOnly(8, { "grpc-status-details-bin": retryInfo(-5n, -5) }),
  "answers with a page": () => (stream) => {
    stream.respond({ ":status": 502, "content-type": "text/html" });
    stream.end("<html>bad gateway</html>");
  },
  "answers 200 with a page": () => (stream) => {
    stream.respond({ ":status": 200, "content-type": "text/html" });
    stream.end("<html>please log in</html>");
  },
  "changes its epoch": (peer) =>
    afterBatch(peer, (stream) => {
      for (const epoch of [1n, 2n, 3n]) stream.write(answer({ progress: { committedThrough: 0n, epoch } }));
      stream.end();
    }),
};
