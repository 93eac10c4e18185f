#!/bin/sh
# Sends a batch as JSON over HTTP/1.1 (Connect), then reads it back.
#
#   examples/curl.sh [http://host:port]
#
# Without session_id and sequence the server names the batch. A script that wants its retries recognised gives both.
set -eu
url=${1:-http://127.0.0.1:8080}

curl --silent --show-error --fail-with-body --max-time 10 "$url/fleetlog.v1.IngestService/PushLogs" \
  --header 'content-type: application/json' \
  --data '{
    "batch": {
      "deviceId": "example-curl",
      "records": [
        {"severity": "SEVERITY_INFO", "logger": "example", "message": "hello from curl", "eventName": "example.hello"},
        {"severity": "SEVERITY_WARN", "message": "low on coffee", "attributes": {"cups": "0"},
         "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7"}
      ]
    }
  }'
echo

# What was acknowledged is on disk at once, and can be read a moment later.
sleep 1
curl --silent --show-error --fail-with-body --max-time 10 "$url/v1/logs?device_id=example-curl&page_size=2"
echo
