/** What every variable is for, as docs/operations/configure.md says it. */
export const meanings: Readonly<Record<string, string>> = {
  LOG_LEVEL: "The least that is logged, as one JSON object a line on standard output.",
  ADMIN_LISTEN:
    "Where `/livez`, `/readyz` and `/metrics` are answered. Port 0: any free one, told in the log.",
  ALLOWED_HOSTS:
    "Names by which clients may call, besides localhost and IP addresses, apart by commas: `logs.example.org`, `*.example.org`, `*` for any. All else is answered 421. The same for Nginx and every program. See [Host names](secure.md#host-names).",
  GRPC_LISTEN: "Where HTTP/2 is served, unencrypted: gRPC by the server, every protocol by Nginx.",
  HTTP_LISTEN:
    "Where HTTP/1.1 is served: Connect and gRPC-Web by the server, queries and the page by the gateway, both by Nginx.",
  REDIS_URL:
    "Redis, with user and password if it wants them; `rediss://` for TLS. Several, with commas between them: some nodes of a Redis Cluster.",
  DATABASE_URL: "PostgreSQL, with user and password; `?sslmode=verify-full` for TLS.",
  GATEWAY_DATABASE_URL:
    "The gateways' DATABASE_URL, with user and password: that role is made, may read everything and write nothing. See [Security](secure.md#postgresql). Made by hand unless set.",
  DATABASE_READ_URL: "A streaming replica for queries to read from. What it lags behind, they lag behind.",
  REPLICA_LAG_MS_MAX:
    "While the replica is further behind than this, or away, queries read from DATABASE_URL instead.",
  DATABASE_CONNECTIONS_MAX:
    "Connections to PostgreSQL of one gateway. All gateways together and 6 per consumer must fit into its max_connections.",
  STREAM_SHARDS:
    "Streams in Redis that devices are spread over; the same for every program. Let the backlog run empty before it is made smaller.",
  REDIS_MEMORY_PERCENT_MAX:
    "Above this share of Redis' maxmemory batches are refused with RESOURCE_EXHAUSTED, until it is 10 points lower.",
  BACKLOG_ENTRIES_MAX:
    "Above so many batches that are not stored yet batches are refused, until there are 10 % less.",
  STREAM_AGE_SECONDS_MAX:
    "How long a device's stream lives before the device is asked to connect again, so that new servers get their share.",
  CLOCK_SKEW_SECONDS_MAX:
    "How far the server's clock may be from Redis'. Beyond it the server is not ready and refuses batches (UNAVAILABLE), for it stamps `received_at`.",
  HEARTBEAT_SECONDS: "How long a stream may be silent before the server says something on it.",
  IN_FLIGHT_MEBIBYTES_MAX:
    "What one server holds on its way to Redis before it refuses; streams slow down at half of it.",
  CONSUMER_NAME:
    "Tells consumers apart: no two that run may have the same. One that comes back under its name goes on at once with what it left.",
  FLUSH_RECORDS_MAX: "A transaction is written when so many records are in hand,",
  FLUSH_BYTES_MAX: "or so many bytes of batches,",
  FLUSH_INTERVAL_MS: "or when the first of them waits so long.",
  STATEMENT_TIMEOUT_MS:
    "When a statement is given up; what it was to store is then stored in smaller pieces, until it succeeds.",
  RECLAIM_IDLE_MS: "When what another consumer has in hand is taken over; at least 3 × STATEMENT_TIMEOUT_MS.",
  DRAIN_TIMEOUT_MS:
    "How long a consumer that is stopped may finish storing; what is left is stored by another, or by its next start.",
  TAIL_WINDOW_MS: "How long stored batches stay in Redis, for live tail, within an eighth of its memory.",
  RETENTION_DAYS:
    "For how many days of arrival records are kept, today not counted; 0: for ever. See [Retention](storage.md#retention).",
  LEDGER_RETENTION_DAYS:
    "The same for the ledger, sessions and declared drops. A retry is recognised for as long. 30 days longer than the records unless set.",
  STATISTICS_RETENTION_DAYS:
    "The same for the counts per minute and per device and hour. 400, or as long as the records, unless set.",
  DEAD_LETTER_RETENTION_DAYS:
    "The same for dead letters. 90, or as long as the records, unless set; for ever while records are.",
  INCIDENT_RETENTION_DAYS:
    "The same for incidents. 400, or as long as the records, unless set; for ever while records are.",
  CLOSED_DAY_INDEXES:
    "Which indexes days get when they are over: for texts, for attributes. See [Indexes of closed days](storage.md#indexes-of-closed-days).",
  INDEX_MEMORY_MEBIBYTES:
    "What building such an index may take of PostgreSQL's memory (`maintenance_work_mem`).",
  TAILS_MAX: "Live tails of one gateway at the same time, of which one client gets at most half.",
  EXPORTS_MAX: "Exports of one gateway at the same time, of which one client gets at most half. 0: none.",
  TRUSTED_PROXIES:
    "Addresses of proxies, and ranges of them, with commas between. Their `X-Forwarded-For` says which client a call is from. See [Shares](secure.md#shares-of-the-gateway).",
  CORS_ORIGINS:
    'Origins whose pages may read through the gateway, such as `https://logs.example.com`, apart by commas; "*" for all. None unless set.',
  HEAVY_QUERIES_MAX:
    "Queries of one gateway that may look at very many records (texts, attributes, severities, sessions, histograms, statistics, dead letters, exports) and run at once; others of the kind wait, so that storing goes on.",
  QUERY_TIMEOUT_MS: "The longest a query may take in PostgreSQL.",
  DOCTOR_READY:
    "Programs that must be ready, by the address of their `/readyz`; every address of a name is asked.",
  DOCTOR_HTTP:
    "Nginx' HTTP/1.1. With TLS in its configuration, the certificate of that port is looked at on the same host.",
  DOCTOR_GRPC: "Nginx' gRPC.",
  DOCTOR_NGINX_VERSION: "Which Nginx that is.",
  DOCTOR_BINARIES: "The folder of the binaries that `npm start` fetched; `npm run doctor` sets it.",
  DOCTOR_NGINX_CONF: "The file of its configuration, ours or another's.",
  DOCTOR_DISKS: "A path on each disk to look at.",
  NGINX_CONFIG_FILE: "What is written.",
  NGINX_FOLDER: "Nginx' own folder, for its pid and temporary files.",
  NGINX_VERSION: "For which Nginx; what it can do differs. 1.27.3 or later.",
  NGINX_RESOLVER:
    "The DNS that Nginx asks for the names below while it runs: what follows its directive `resolver`.",
  SERVER_GRPC: "The servers' gRPC. All addresses of the name are used.",
  SERVER_HTTP: "The servers' HTTP/1.1.",
  GATEWAY_HTTP: "The gateways.",
  NGINX_STREAM_IDLE_SECONDS: "How long a device's stream may carry nothing.",
  NGINX_SHUTDOWN_SECONDS: "How long streams may go on after a reload or a graceful stop.",
  NGINX_WORKER_PROCESSES: "One per CPU unless set.",
  NGINX_WORKER_CONNECTIONS: "Per worker; a stream takes two.",
  NGINX_CONNECTIONS_PER_ADDRESS_MAX:
    "Streams and calls that one address may have open; a site's devices often share one.",
  NGINX_CALLS_PER_SECOND_MAX:
    "Calls that one address may begin in a second, and twice as many in the first; a stream is one call. No limit unless set, for a NAT makes one address of a fleet.",
  NGINX_ACCESS_LOG:
    "Where one JSON object per call is written, such as /dev/stdout: who, method, path, outcome; no query, header or body. None unless set.",
  NGINX_ACCESS_LOG_PERCENT: "How many of 100 calls are logged. Those that fail always are.",
  TLS_CERT:
    "PEM file of the certificate, and of those between it and its CA. With TLS_KEY: Nginx also listens with TLS.",
  TLS_KEY: "PEM file of the certificate's key, readable by Nginx' user.",
  TLS_CLIENT_CA:
    "PEM file of the CAs that sign devices' certificates; who has none is refused with UNAUTHENTICATED. None asked for unless set.",
  TLS_CLIENT_CERT_FOR:
    "Who needs one: `ingest`, whoever sends; `everything`, also queries and the page. Plaintext listeners ask nobody.",
  TLS_SERVES:
    "What that listener serves: `ingest`, with health and reflection; `everything`, also queries and the page. `ingest` unless set, or what TLS_CLIENT_CERT_FOR says when there is a TLS_CLIENT_CA.",
  TLS_LISTEN: "Where TLS is spoken, HTTP/2 and HTTP/1.1 on one port.",
};
