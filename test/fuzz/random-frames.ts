import type { Random } from "#batch/testing/random.ts";
import { encodeRequest, makeBatch } from "#server/testing/batches.ts";
import { flag, frame, frameType, headerBlock, number32, settings } from "./http2-frames.ts";

/** One thing to do on a connection: the frames of it, on stream `stream` where they need one. */
type Move = (random: Random, stream: number) => Buffer;

const request = Buffer.from(encodeRequest(makeBatch(1, { deviceId: "frames" })));
const message = Buffer.concat([Buffer.from([0]), number32(request.length), request]);

const goodHeaders: readonly (readonly [string, string])[] = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/fleetlog.v1.IngestService/PushLogs"],
  [":authority", "localhost"],
  ["content-type", "application/grpc"],
  ["te", "trailers"],
];

const headersFrame = (stream: number, block: Uint8Array, flags: number = flag.endHeaders) =>
  frame(frameType.headers, flags, stream, block);

const resetFrame = (stream: number, code: number) => frame(frameType.rstStream, 0, stream, number32(code));

const call = (stream: number) =>
  Buffer.concat([
    headersFrame(stream, headerBlock(goodHeaders)),
    frame(frameType.data, flag.endStream, stream, message),
  ]);

function noise(random: Random, lengthMax: number): Buffer {
  return Buffer.from(Array.from({ length: random.below(lengthMax + 1) }, () => random.below(256)));
}

function times(count: number, make: (index: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));
}

/** Headers that are almost right. */
function wrongHeaders(random: Random): (readonly [string, string])[] {
  const headers = [...goodHeaders];
  const at = random.below(headers.length);
  const pieces: readonly (readonly [string, string])[] = [
    [
      ":authority",
      random.pick(["a b", "[", "%%%:x", "", "x".repeat(5_000), "\0", "a\r\nb: c", "user@host:99999999"]),
    ],
    [
      ":path",
      random.pick([
        "",
        "*",
        "//",
        "no-slash",
        "/\0",
        "/%",
        "/?".repeat(4_000),
        "http://[",
        "/fleetlog.v1.IngestService/StreamLogs",
      ]),
    ],
    [":method", random.pick(["", "GET", "CONNECT", "PRI", "post", "P O"])],
    [":scheme", random.pick(["", "ftp", "h t"])],
    [":status", "200"],
    [":protocol", "websocket"],
    ["Content-Type", "upper"],
    ["connection", "keep-alive"],
    ["transfer-encoding", "chunked"],
    ["te", "gzip"],
    ["content-length", random.pick(["-1", "1", "99999999999999999999", "x"])],
    ["grpc-timeout", random.pick(["1n", "99999999H", "x"])],
    ["content-type", random.pick(["", "text/html", "application/grpc+", "application/json"])],
    ["", "no name"],
    ["a b", "space"],
    ["x-bin", "\xff\xff"],
    ["cookie", "a".repeat(random.below(20_000))],
    ["host", "another"],
  ];
  if (random.chance(0.5)) headers.splice(at, 1);
  if (random.chance(0.8)) headers.splice(random.pick([at, headers.length]), 0, random.pick(pieces));
  if (random.chance(0.2)) headers.splice(at, 0, random.pick(goodHeaders));
  return headers;
}

const moves: readonly Move[] = [
  (_random, stream) => call(stream),
  (random) =>
    frame(
      random.below(12),
      random.below(256),
      random.pick([0, 1, 2, 3, random.below(2 ** 31), 2 ** 32 - 1]),
      noise(random, 60),
    ),
  // A length that lies.
  (random, stream) =>
    frame(
      random.below(10),
      random.below(256),
      stream,
      noise(random, 60),
      random.pick([0, 1, 5, 16_385, 2 ** 24 - 1]),
    ),
  (random, stream) =>
    headersFrame(
      stream,
      headerBlock(wrongHeaders(random)),
      random.pick([flag.endHeaders, flag.endHeaders | flag.endStream]),
    ),
  // A block of headers that is none: indexes beyond the table, numbers without end, sizes of tables, Huffman codes.
  (random, stream) =>
    headersFrame(
      stream,
      random.pick([
        noise(random, 60),
        Buffer.alloc(40, 0xff),
        Buffer.from([0x80]),
        Buffer.from([0x3f, 0xff, 0xff, 0xff, 0xff, 0x0f]),
        Buffer.from([0, 0x85, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0x61]),
      ]),
    ),
  // Headers that never end (CONTINUATION flood), and many small ones.
  (random, stream) => {
    const piece = headerBlock([["x-flood", "y".repeat(random.pick([0, 100, 16_000]))]]);
    const first = headersFrame(stream, headerBlock(goodHeaders), 0);
    return Buffer.concat([
      first,
      times(random.below(300), () => frame(frameType.continuation, 0, stream, piece)),
    ]);
  },
  (random, stream) =>
    headersFrame(
      stream,
      headerBlock([
        ...goodHeaders,
        ...Array.from({ length: random.below(700) }, (_, index) => [`x-${index}`, "y"] as const),
      ]),
    ),
  (_random, stream) => frame(frameType.continuation, flag.endHeaders, stream, headerBlock(goodHeaders)),
  // Rapid reset: calls that are cancelled as soon as they are made.
  (random, stream) =>
    times(random.below(300), (index) =>
      Buffer.concat([
        headersFrame(stream + 2 * index, headerBlock(goodHeaders)),
        resetFrame(stream + 2 * index, random.pick([8, 0, 99])),
      ]),
    ),
  // More calls than may be open.
  (random, stream) =>
    times(random.below(1_500), (index) => headersFrame(stream + 2 * index, headerBlock(goodHeaders))),
  (random) => times(random.below(2_000), () => settings()),
  (random) =>
    times(random.below(2_000), () => frame(frameType.ping, random.pick([0, flag.ack]), 0, Buffer.alloc(8))),
  (random) =>
    settings([
      random.below(10),
      random.pick([0, 1, 2 ** 14 - 1, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]),
    ]),
  (random) => frame(frameType.settings, random.pick([0, flag.ack]), random.below(2), noise(random, 20)),
  (random, stream) =>
    times(1 + random.below(3), () =>
      frame(
        frameType.windowUpdate,
        0,
        random.pick([0, stream]),
        number32(random.pick([0, 1, 2 ** 31 - 1, 2 ** 32 - 1])),
      ),
    ),
  // No room for any answer, and calls that want one.
  (random, stream) =>
    Buffer.concat([settings([4, 0]), times(random.below(100), (index) => call(stream + 2 * index))]),
  // More data than the window of the stream, or none in many frames.
  (random, stream) =>
    Buffer.concat([
      headersFrame(stream, headerBlock(goodHeaders)),
      times(random.below(200), () => frame(frameType.data, 0, stream, Buffer.alloc(16_384))),
    ]),
  (random, stream) =>
    Buffer.concat([
      headersFrame(stream, headerBlock(goodHeaders)),
      times(random.below(2_000), () => frame(frameType.data, 0, stream)),
    ]),
  (random, stream) =>
    frame(frameType.data, flag.padded | flag.endStream, stream, Buffer.from([random.below(256), 1, 2, 3])),
  (_random, stream) => Buffer.concat([call(stream), call(stream)]),
  (_random, stream) =>
    frame(frameType.priority, 0, stream, Buffer.concat([number32(stream), Buffer.from([255])])),
  (_random, stream) =>
    frame(
      frameType.pushPromise,
      flag.endHeaders,
      stream,
      Buffer.concat([number32(2), headerBlock(goodHeaders)]),
    ),
  (random, stream) => resetFrame(random.pick([0, stream, stream + 100]), random.below(20)),
  (random) =>
    frame(
      frameType.goaway,
      0,
      random.below(2),
      Buffer.concat([number32(random.below(100)), number32(random.below(20)), noise(random, 10)]),
    ),
];

/** What one to five moves put on a connection, behind the preface. */
export function randomFrames(random: Random): Buffer {
  let stream = 1;
  return times(1 + random.below(5), () => {
    const bytes = random.pick(moves)(random, stream);
    stream += 2 * (1 + random.below(300));
    return bytes;
  });
}
