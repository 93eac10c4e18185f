#!/bin/sh
# Sends batches over gRPC with buf, which learns the messages from the server (reflection).
#
#   examples/buf-curl.sh [http://host:port]
set -eu
service=${1:-http://127.0.0.1:50051}/fleetlog.v1.IngestService
session=$(date +%s).$$

# buf comes with the project; anywhere else, put it on the PATH.
PATH=$(dirname "$0")/../node_modules/.bin:$PATH

# One batch in one call.
buf curl --protocol grpc --http2-prior-knowledge "$service/PushLogs" --data '{
  "batch": {"deviceId": "example-buf-curl", "records": [{"message": "hello from buf curl"}]}
}'

# Two batches over one stream: one acknowledgement each, in order.
buf curl --protocol grpc --http2-prior-knowledge "$service/StreamLogs" --data '
  {"batch": {"deviceId": "example-buf-curl", "sessionId": "'"$session"'", "sequence": "1",
             "records": [{"severity": "SEVERITY_INFO", "message": "first of a stream"}]}}
  {"batch": {"deviceId": "example-buf-curl", "sessionId": "'"$session"'", "sequence": "2",
             "records": [{"severity": "SEVERITY_INFO", "message": "second of a stream"}]}}'
