/** What every variable is for, as docs/operations/configure.md says it. */
export const meanings: Readonly<Record<string, string>> = {
  LOG_LEVEL: "Minimum level of log lines, written as one JSON object per line to standard output.",
  ADMIN_LISTEN: "Address of `/livez`, `/readyz` and `/metrics`. Port 0 picks a free port and logs it.",
  ALLOWED_HOSTS:
    "Host names that clients may use besides localhost and IP addresses, comma-separated: `logs.example.org`, `*.example.org`, `*` for any. Other host names get 421. Set the same for Nginx and every program. See [Host names](secure.md#host-names).",
  GRPC_LISTEN: "Address of plaintext HTTP/2: gRPC on the server, every protocol on Nginx.",
  HTTP_LISTEN:
    "Address of HTTP/1.1: Connect and gRPC-Web on the server, queries and the dashboard on the gateway, both on Nginx.",
  REDIS_URL:
    "Redis, with user and password if required; `rediss://` for TLS. For a Redis Cluster, several nodes, comma-separated.",
  DATABASE_URL: "PostgreSQL, with user and password; `?sslmode=verify-full` for TLS.",
  GATEWAY_DATABASE_URL:
    "The DATABASE_URL of the gateways, with user and password. The migration creates this role, which can read everything and write nothing. See [Security](secure.md#postgresql). If not set, create the role yourself.",
  DATABASE_READ_URL: "A streaming replica that queries read from. Query results lag by its replication lag.",
  REPLICA_LAG_MS_MAX:
    "Queries read from DATABASE_URL while the replica lags more than this or is unreachable.",
  DATABASE_CONNECTIONS_MAX:
    "PostgreSQL connections per gateway. The sum over all gateways, plus 6 per consumer, must fit into max_connections.",
  STREAM_SHARDS:
    "Number of Redis streams that devices are spread over; the same for every program. Before reducing it, let consumers store the whole backlog.",
  REDIS_MEMORY_PERCENT_MAX:
    "Refuse batches with RESOURCE_EXHAUSTED while Redis uses more than this share of its maxmemory; accept again 10 points below.",
  BACKLOG_ENTRIES_MAX: "Refuse batches while more than this many wait to be stored; accept again at 90 %.",
  STREAM_AGE_SECONDS_MAX:
    "Maximum age of a stream. The server then asks the device to reconnect, so that streams spread over added servers.",
  CLOCK_SKEW_SECONDS_MAX:
    "Maximum difference between the clocks of the server and of Redis. Beyond it the server is not ready and refuses batches (UNAVAILABLE), because it stamps `received_at`.",
  HEARTBEAT_SECONDS: "Interval after which an idle stream gets a heartbeat.",
  INGEST_CORS_ORIGINS: "Other origins whose pages may send logs, `*` for any; empty: none.",
  GRPC_FAST_PATH:
    "Serve PushLogs and StreamLogs over gRPC on `node:http2` (`on`), which saves CPU, or by `@grpc/grpc-js` like every other call (`off`). See [decision 30](../decisions/0030-grpc-fast-path.md).",
  OTLP_DEVICE_ATTRIBUTES:
    "Attributes of an OpenTelemetry resource that name its device, comma-separated: the first of these that it has. See [SENDING.md](../SENDING.md#opentelemetry).",
  OTLP_RETRIES:
    "`recognise`: records by OTLP or `/v1/ingest` that all have a time and arrive again in the same request are stored once. `store`: they are stored again. See [decision 37](../decisions/0037-opentelemetry.md).",
  OTLP_GRPC_LISTEN: 'Address of OTLP/gRPC alone, or "off". OTLP is served on `GRPC_LISTEN` too.',
  OTLP_HTTP_LISTEN: 'Address of OTLP/HTTP alone, or "off". OTLP is served on `HTTP_LISTEN` too.',
  CUT_TEXT:
    "Store a text that begins or ends inside a character of UTF-8 with U+FFFD in place of the remains (`repair`), or reject its record (`reject`). The same on every server: a retry must be decided alike.",
  IN_FLIGHT_MEBIBYTES_MAX:
    "Maximum size of the batches that one server is appending to Redis; beyond it batches are refused. Streams are slowed down from half of it on.",
  BODY_SECONDS_MAX:
    "Time in which the body of a unary call or a `POST` must arrive; a slower one ends with UNAVAILABLE or 503. At 120 s a batch of 1 MiB needs 70 kbit/s. Streams have no such limit.",
  CONSUMER_NAME:
    "Identifies a consumer; must be unique among running consumers. A consumer that restarts with the same name resumes its pending entries at once.",
  FLUSH_RECORDS_MAX: "A flush is committed when it has this many records,",
  FLUSH_BYTES_MAX: "or this many bytes of batches,",
  FLUSH_INTERVAL_MS: "or when its first batch has waited this long.",
  STATEMENT_TIMEOUT_MS:
    "Timeout of a statement. The consumer then retries in smaller flushes until they succeed.",
  RECLAIM_IDLE_MS:
    "Idle time after which a consumer reclaims the pending entries of another one; at least 3 × STATEMENT_TIMEOUT_MS.",
  DRAIN_TIMEOUT_MS:
    "Time that a stopping consumer has to finish storing. The rest is stored by another consumer, or after the restart.",
  TAIL_WINDOW_MS:
    "How long stored batches stay in Redis for live tail, using at most an eighth of its memory.",
  RETENTION_DAYS:
    "How many days of arrival to keep records, not counting today; 0: forever. See [Retention](storage.md#retention).",
  LEDGER_RETENTION_DAYS:
    "The same for the ledger, sessions and declared drops. Retries are recognised for this long. Default: 30 days longer than the records.",
  STATISTICS_RETENTION_DAYS:
    "The same for the statistics per minute and per device and hour. Default: 400, or as long as the records.",
  DEAD_LETTER_RETENTION_DAYS:
    "The same for dead letters. Default: 90, or as long as the records; forever if records are kept forever.",
  INCIDENT_RETENTION_DAYS:
    "The same for incidents. Default: 400, or as long as the records; forever if records are kept forever.",
  TAILS_MAX: "Maximum number of live tails per gateway. One client gets at most half.",
  EXPORTS_MAX:
    "Maximum number of concurrent exports per gateway. One client gets at most half. 0: no exports.",
  TRUSTED_PROXIES:
    "Addresses and ranges of proxies, comma-separated, whose `X-Forwarded-For` identifies the client. See [Shares](secure.md#shares-of-the-gateway).",
  CORS_ORIGINS:
    'Origins whose pages may read through the gateway, such as `https://logs.example.com`, comma-separated; "*" for all. Default: none.',
  HEAVY_QUERIES_MAX:
    "Maximum number of concurrent queries per gateway that may scan many records (texts, attributes, severities, sessions, histograms, statistics, dead letters, exports). Others wait, so that storing is not slowed down.",
  QUERY_TIMEOUT_MS: "Timeout of a query in PostgreSQL.",
  DOCTOR_READY:
    "Programs that must be ready, by the address of their `/readyz`. All addresses of a name are checked.",
  DOCTOR_HTTP:
    "The HTTP/1.1 address of Nginx. If its configuration has TLS, the certificate is checked on the same host.",
  DOCTOR_GRPC: "The gRPC address of Nginx.",
  DOCTOR_NGINX_VERSION: "The version of Nginx.",
  DOCTOR_BINARIES: "The folder of the binaries that `npm start` downloaded; `npm run doctor` sets it.",
  DOCTOR_NGINX_CONF: "The Nginx configuration file to check.",
  DOCTOR_DISKS: "One path per disk to check.",
  NGINX_CONFIG_FILE: "The configuration file to write.",
  NGINX_FOLDER: "The folder for Nginx's pid and temporary files.",
  NGINX_VERSION: "The version of Nginx, because directives differ. 1.27.3 or later.",
  NGINX_RESOLVER:
    "The DNS server that Nginx uses for the names below, in the form of its directive `resolver`.",
  SERVER_GRPC: "The gRPC address of the servers. All addresses of the name are used.",
  SERVER_HTTP: "The HTTP/1.1 address of the servers.",
  GATEWAY_HTTP: "The address of the gateways.",
  NGINX_STREAM_IDLE_SECONDS: "Maximum idle time of a stream.",
  NGINX_SHUTDOWN_SECONDS: "How long open streams may continue after a reload or a graceful stop.",
  NGINX_WORKER_PROCESSES: "Number of workers. Default: one per CPU.",
  NGINX_WORKER_CONNECTIONS: "Connections per worker; a stream uses two.",
  NGINX_CONNECTIONS_PER_ADDRESS_MAX:
    "Maximum number of open streams and calls per client address. The devices of a site often share one address.",
  NGINX_CALLS_PER_SECOND_MAX:
    "Maximum number of calls per second and client address, with a burst of twice as many; a stream is one call. Default: no limit, because a whole fleet may share the address of a NAT.",
  NGINX_ACCESS_LOG:
    "File of the access log, such as /dev/stdout, with one JSON object per call: client, method, path, outcome; no query, header or body. Default: none.",
  NGINX_ACCESS_LOG_PERCENT: "Percentage of calls to log. Failed calls are always logged.",
  TLS_CERT:
    "PEM file of the certificate and its intermediate certificates. With TLS_KEY, Nginx also listens with TLS.",
  TLS_KEY: "PEM file of the certificate's key, readable by Nginx's user.",
  TLS_CLIENT_CA:
    "PEM file of the CAs that sign device certificates. A client without such a certificate gets UNAUTHENTICATED. Default: no client certificates.",
  TLS_CLIENT_CERT_FOR:
    "Which calls need a client certificate: `ingest`, or `everything`, which adds queries and the dashboard. Plaintext listeners never ask for one.",
  TLS_SERVES:
    "What the TLS listener serves: `ingest`, with health and reflection; or `everything`, which adds queries and the dashboard. Default: `ingest`, or the value of TLS_CLIENT_CERT_FOR if TLS_CLIENT_CA is set.",
  TLS_LISTEN: "Address of TLS, HTTP/2 and HTTP/1.1 on one port.",
};
