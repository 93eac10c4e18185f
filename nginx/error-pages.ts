/** Errors that Nginx returns itself, in the protocol of the request; its default pages are HTML. */
interface ErrorPage {
  /** Nginx's statuses for it. */
  readonly statuses: readonly number[];
  readonly name: string;
  /** The error for HTTP and Connect, and for gRPC. */
  readonly httpStatus: number;
  readonly code: string;
  readonly grpcStatus: number;
  readonly message: string;
  /** The invalid field: the error has a google.rpc.BadRequest. */
  readonly field?: string;
  /** The request may not have been read as far as its address, without which there is no way to a named location. */
  readonly isEarly?: boolean;
  /** Sent again after a second it may succeed. */
  readonly isRetryable?: boolean;
}

const pages: readonly ErrorPage[] = [
  {
    statuses: [400],
    name: "malformed",
    httpStatus: 400,
    code: "invalid_argument",
    grpcStatus: 3,
    message: "malformed HTTP request",
    isEarly: true,
  },
  {
    statuses: [414],
    name: "long-address",
    httpStatus: 414,
    code: "invalid_argument",
    grpcStatus: 3,
    message: "the URL is too long, expected at most 32 KiB: use POST",
    isEarly: true,
  },
  {
    statuses: [494],
    name: "large-headers",
    httpStatus: 431,
    code: "invalid_argument",
    grpcStatus: 3,
    message: "the headers are too large, expected at most 40 KiB",
    isEarly: true,
  },
  {
    statuses: [505],
    name: "http-version",
    httpStatus: 505,
    code: "unimplemented",
    grpcStatus: 12,
    message: "expected HTTP/1.1, or HTTP/2 on the gRPC port and the port with TLS",
    isEarly: true,
  },
  {
    statuses: [426],
    name: "grpc-without-http2",
    httpStatus: 505,
    code: "unimplemented",
    grpcStatus: 12,
    message: "gRPC requires HTTP/2: use the gRPC port or the TLS port; over HTTP/1.1 use Connect or gRPC-Web",
  },
  {
    statuses: [401, 495, 496],
    name: "unauthenticated",
    httpStatus: 401,
    code: "unauthenticated",
    grpcStatus: 16,
    message: "a valid client certificate of the fleet's CA is required",
  },
  {
    statuses: [403],
    name: "closed",
    httpStatus: 403,
    code: "permission_denied",
    grpcStatus: 7,
    message: "this port serves ingest only; TLS_SERVES=everything adds queries and the dashboard",
  },
  {
    statuses: [404],
    name: "unknown",
    httpStatus: 404,
    code: "not_found",
    grpcStatus: 12,
    message: "unknown service or path",
  },
  {
    // No request asks for it, nor does Nginx send it.
    statuses: [406],
    name: "otlp-only",
    httpStatus: 404,
    code: "not_found",
    grpcStatus: 12,
    message: "this port serves OTLP only: POST /v1/logs, or LogsService/Export over gRPC",
  },
  {
    statuses: [405, 501],
    name: "method",
    httpStatus: 405,
    code: "unimplemented",
    grpcStatus: 12,
    message: "HTTP method not allowed: use POST, or GET for read-only RPCs",
  },
  {
    statuses: [411, 412, 415, 416, 497],
    name: "refused",
    httpStatus: 400,
    code: "invalid_argument",
    grpcStatus: 3,
    message: "bad request: an invalid header, or plaintext on the TLS port",
  },
  {
    statuses: [413],
    name: "too-large",
    httpStatus: 400,
    code: "invalid_argument",
    grpcStatus: 3,
    message: "the request is too large: a batch is at most 1 MiB, and JSON 4 MiB",
    field: "batch",
  },
  {
    statuses: [421],
    name: "misdirected",
    httpStatus: 421,
    code: "permission_denied",
    grpcStatus: 7,
    message: "this host is not allowed: expected localhost, an IP address, or a name listed in ALLOWED_HOSTS",
  },
  {
    statuses: [429],
    name: "busy",
    httpStatus: 429,
    code: "resource_exhausted",
    grpcStatus: 8,
    message: "too many streams and calls from this address",
    isRetryable: true,
  },
  {
    statuses: [408, 502, 503, 504],
    name: "unavailable",
    httpStatus: 503,
    code: "unavailable",
    grpcStatus: 14,
    message: "the upstream is unreachable",
    isRetryable: true,
  },
  {
    statuses: [500],
    name: "failed",
    httpStatus: 500,
    code: "internal",
    grpcStatus: 13,
    message: "the proxy failed to forward the request",
  },
];

/** The directives of a `server` block for every error that Nginx itself sends. */
export function errorPages(): string {
  return pages.map(errorPage).join("\n");
}

function errorPage(page: ErrorPage): string {
  const { statuses, name, httpStatus, code, grpcStatus, message, isEarly, isRetryable } = page;
  const location = isEarly ? `/problems/${name}` : `@${name}`;
  const type = isEarly ? "$early_error_type" : "$error_type";
  const condition = isEarly ? "$is_early_error_in_header" : "$is_error_in_header";
  const detail = encodeDetail(page);
  const details = detail ? [{ type: detail.type, value: toBase64(detail.bytes) }] : [];
  const lines = [
    `error_page ${statuses.join(" ")} = ${location};`,
    `location ${isEarly ? "= " : ""}${location} {`,
    ...(isEarly ? ["  internal;"] : []),
    // A response without a type of its own has the added one.
    '  default_type "";',
    `  if (${condition}) {`,
    `    add_header Content-Type ${type};`,
    `    add_header grpc-status ${grpcStatus};`,
    `    add_header grpc-message "${message.replaceAll("%", "%25")}";`,
    ...(detail ? [`    add_header grpc-status-details-bin ${encodeStatus(page, detail)};`] : []),
    '    return 200 "";',
    "  }",
    ...(isEarly ? [] : otlpResponses(page)),
    "  add_header Content-Type application/json always;",
    ...(isRetryable ? ["  add_header Retry-After 1 always;"] : []),
    `  return ${httpStatus} '${JSON.stringify({ code, message, details }).replaceAll("'", "\\'")}';`,
    "}",
  ];
  return lines.map((line) => `    ${line}`).join("\n");
}

/** OTLP/HTTP has a google.rpc.Status as the body of an error, in the encoding of the request. */
function otlpResponses({ httpStatus, grpcStatus, message, isRetryable }: ErrorPage): string[] {
  const json = JSON.stringify({ code: grpcStatus, message, details: [] });
  const protobuf = `\x08${String.fromCharCode(grpcStatus)}\x12${String.fromCharCode(message.length)}${message}`;
  return [
    ["protobuf", "application/x-protobuf", protobuf],
    ["json", "application/json", json],
  ].flatMap(([encoding, type, body = ""]) => {
    // Lengths of 128 and more have two bytes, and Nginx would expand a variable.
    if (body.includes("$") || message.length > 127)
      throw new Error(`Nginx cannot send ${JSON.stringify(body)}`);
    return [
      `  if ($otlp_encoding = ${encoding}) {`,
      `    add_header Content-Type ${type} always;`,
      ...(isRetryable ? ["    add_header Retry-After 1 always;"] : []),
      `    return ${httpStatus} '${body.replaceAll(/['\\]/g, "\\$&")}';`,
      "  }",
    ];
  });
}

interface Detail {
  readonly type: string;
  readonly bytes: Buffer;
}

/** The detail of google.rpc that says what to do. */
function encodeDetail({ code, field, message }: ErrorPage): Detail | undefined {
  if (field !== undefined) {
    const violation = Buffer.concat([encodeField(1, field), encodeField(2, message)]);
    return { type: "google.rpc.BadRequest", bytes: encodeField(1, violation) };
  }
  // A retry_delay of one second.
  if (code === "resource_exhausted")
    return { type: "google.rpc.RetryInfo", bytes: encodeField(1, "\x08\x01") };
  return undefined;
}

/** The `google.rpc.Status` with this detail, as gRPC carries it. */
function encodeStatus({ grpcStatus, message }: ErrorPage, { type, bytes }: Detail): string {
  const any = Buffer.concat([encodeField(1, `type.googleapis.com/${type}`), encodeField(2, bytes)]);
  return toBase64(
    Buffer.concat([Buffer.from([0x08, grpcStatus]), encodeField(2, message), encodeField(3, any)]),
  );
}

/** A field of protobuf with a length, below 16 KiB. */
function encodeField(number: number, content: string | Buffer): Buffer {
  const bytes = Buffer.from(content);
  const { length } = bytes;
  const size = length < 0x80 ? [length] : [(length & 0x7f) | 0x80, length >> 7];
  return Buffer.concat([Buffer.from([number * 8 + 2, ...size]), bytes]);
}

function toBase64(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
