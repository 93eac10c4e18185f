#!/bin/sh
# Starts Redis with the users of users.acl beside this file; their passwords are in REDIS_<NAME>_PASSWORD. Neither a
# command line nor a file has a password: the file has their SHA-256. Arguments go to redis-server.
set -eu
umask 077
rules=$(sed '/^#/d' "$(dirname -- "$0")/users.acl")
for name in admin server consumer gateway doctor; do
  variable=REDIS_$(printf %s "$name" | tr '[:lower:]' '[:upper:]')_PASSWORD
  eval "password=\${$variable:-}"
  [ -n "$password" ] || { echo "start-redis.sh: $variable is not set" >&2; exit 1; }
  hash=$(printf %s "$password" | sha256sum | cut -d ' ' -f 1)
  rules=$(printf '%s\n' "$rules" | sed "s/%$name%/#$hash/")
done
acl_file=${TMPDIR:-/tmp}/users.acl
printf '%s\n' "$rules" >"$acl_file"
exec redis-server --aclfile "$acl_file" "$@"
