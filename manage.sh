#!/bin/sh
# Runs Fleetlog with Docker Compose. See ./manage.sh --help
set -eu

usage() {
  cat <<'TEXT'
usage: manage.sh COMMAND

  start                 build the image if needed, start everything, wait until everything is healthy
  stop                  stop everything in order; keeps the data
  restart [SERVICE]     restart one container after the other, waiting for each; without SERVICE: all
  status                show the containers and their health
  health                show whether everything is healthy, and why not; exit code 0 or 1
  doctor [--json]       check settings, versions, clocks, disks, certificate; exit code 0 or 1
  logs [SERVICE…]       show the latest lines and follow; Ctrl-C ends
  scale SERVICE=N…      set the number of containers: server=4, consumer=2, gateway=2; saved in .env
  migrate               run the database migrations (start does it too)
  backup [FILE]         save the database to a file; default backups/fleetlog-TIME.dump beside this script
  restore FILE          replace the database by a backup (asks first)
  retention [show|confirm N]  show or confirm what retention would remove
  psql [ARGUMENT…]      run psql on the database
  redis [ARGUMENT…]     run redis-cli
  send-test             send one record, and wait until a query finds it
  bench                 send at full speed for 10 s (BENCH_SECONDS, BENCH_DEVICES in .env); stores the records
  clean                 remove the containers and ALL DATA (asks first)

  -y, --yes             before restore or clean: skip the confirmation

Services: nginx server consumer gateway redis postgres migrate nginx-config; with COMPOSE_PROFILES=monitoring also
prometheus node-exporter grafana
Settings: .env beside this script (or the file in FLEETLOG_ENV_FILE), created by the first start; .env.example explains
them. Environment variables override the file.
A backup contains the stored records. Acknowledged batches that are not stored yet are in Redis; restore keeps them, and
they are stored afterwards.
TEXT
}

fail() {
  printf 'manage.sh: %s\n' "$*" >&2
  exit 1
}

root=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
env_file=${FLEETLOG_ENV_FILE:-$root/.env}
yes=no

compose() {
  if [ -e "$env_file" ]; then set -- --env-file "$env_file" "$@"; fi
  docker compose --project-directory "$root" -f "$root/docker-compose.yml" "$@"
}

need_docker() {
  command -v docker >/dev/null 2>&1 ||
    fail 'docker is not installed: see https://docs.docker.com/engine/install/ (without Docker, npm start runs Fleetlog too)'
  docker compose version >/dev/null 2>&1 ||
    fail 'docker has no "compose" command: install the plugin docker-compose-plugin (version 2.20 or later)'
  docker info >/dev/null 2>&1 ||
    fail 'the Docker daemon is unreachable: is it running, and are you in the group "docker"?'
}

confirm() {
  [ "$yes" = yes ] && return
  [ -t 0 ] || fail "$1 Use --yes to confirm."
  printf '%s Type yes to continue: ' "$1"
  read -r answer
  [ "$answer" = yes ] || fail 'nothing was done'
}

new_password() {
  od -An -N16 -tx1 /dev/urandom | tr -d ' \n'
}

# A database that exists already keeps its password, so a new one is made up for a new database only.
make_env_file() {
  [ -e "$env_file" ] && return
  volume=${COMPOSE_PROJECT_NAME:-fleetlog}_postgres
  (umask 077 && cp "$root/.env.example" "$env_file")
  if ! docker volume inspect "$volume" >/dev/null 2>&1; then
    set_env POSTGRES_PASSWORD "$(new_password)"
  fi
  set_env GRAFANA_PASSWORD "$(new_password)"
  set_env GRAFANA_DATABASE_PASSWORD "$(new_password)"
  printf 'Created %s\n' "$env_file"
}

# Also for a file of an earlier version: every start gives the gateway's role the password that stands there.
make_gateway_password() {
  grep -q '^GATEWAY_DATABASE_PASSWORD=' "$env_file" || set_env GATEWAY_DATABASE_PASSWORD "$(new_password)"
}

# Also for a file of an earlier version: Redis takes the passwords that stand there whenever it starts.
make_redis_passwords() {
  for name in ADMIN SERVER CONSUMER GATEWAY DOCTOR; do
    grep -q "^REDIS_${name}_PASSWORD=" "$env_file" || set_env "REDIS_${name}_PASSWORD" "$(new_password)"
  done
}

# In place of the line that sets it, else of the commented one.
set_env() {
  changed=$(awk -v name="$1" -v value="$2" '
    { lines[NR] = $0 }
    index($0, name "=") == 1 { at = NR }
    index($0, "# " name "=") == 1 && !comment { comment = NR }
    END {
      if (!at) at = comment
      for (i = 1; i <= NR; i++) print (i == at ? name "=" value : lines[i])
      if (!at) print name "=" value
    }' "$env_file")
  printf '%s\n' "$changed" >"$env_file"
}

health() {
  seen=$(compose ps --all --format '{{.Name}}|{{.Service}}|{{.State}}|{{.Health}}|{{.ExitCode}}')
  [ -n "$seen" ] || fail 'nothing runs: ./manage.sh start'
  printf '%s\n' "$seen" | (
    bad=0
    while IFS='|' read -r name service state condition code; do
      case $service/$state/$condition/$code in
        */running/healthy/*) printf '%-28s healthy\n' "$name" ;;
        migrate/exited/*/0 | nginx-config/exited/*/0 | reader-role/exited/*/0) printf '%-28s done\n' "$name" ;;
        *)
          bad=1
          printf '%-28s %s %s (exit code %s)\n' "$name" "$state" "$condition" "$code"
          docker inspect --format '{{if .State.Health}}{{range .State.Health.Log}}{{.Output}}{{end}}{{end}}' "$name" |
            grep . | tail -n 3 | sed 's/^/    /' || printf '    see: ./manage.sh logs %s\n' "$service"
          ;;
      esac
    done
    exit "$bad"
  )
}

wait_healthy() { # container
  left=120
  until [ "$(docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{else}}healthy{{end}}' "$1")" = healthy ]; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || fail "$1 did not become healthy: see ./manage.sh health"
    sleep 1
  done
}

start() {
  make_env_file
  make_gateway_password
  make_redis_passwords
  compose up --detach --build --wait --wait-timeout 600 --remove-orphans
  # A new image may have written a new nginx.conf; Nginx reads it without an interruption.
  compose kill --signal HUP nginx >/dev/null 2>&1
  http=$(compose port nginx 8080)
  grpc=$(compose port nginx 50051)
  cat <<TEXT

Fleetlog runs: http://$http and gRPC on $grpc
  $0 send-test     one record there and back
  $0 status        how it is
  $0 stop          until the next start
TEXT
  grafana=$(compose port grafana 3000 2>/dev/null) || return 0
  printf 'Grafana: http://%s, user admin, password GRAFANA_PASSWORD in %s\n' "$grafana" "$env_file"
}

restart() {
  [ $# -gt 0 ] || {
    compose --profile '*' down
    start
    return
  }
  for service; do
    containers=$(compose ps --quiet "$service")
    [ -n "$containers" ] || fail "$service is not running"
    for container in $containers; do
      docker restart "$container" >/dev/null
      wait_healthy "$container"
      printf '%s restarted\n' "$(docker inspect --format '{{slice .Name 1}}' "$container")"
    done
  done
}

scale() {
  [ $# -gt 0 ] || fail 'how many of what? ./manage.sh scale server=4'
  for target; do
    case $target in
      server=[1-9] | server=[1-9][0-9] | consumer=[1-9] | consumer=[1-9][0-9] | gateway=[1-9] | gateway=[1-9][0-9]) ;;
      *) fail "$target: expected server=N, consumer=N or gateway=N with N of 1 to 99" ;;
    esac
  done
  make_env_file
  for target; do
    service=${target%%=*}
    set_env "$(printf '%s' "$service" | tr '[:lower:]' '[:upper:]')_REPLICAS" "${target#*=}"
    compose up --detach --wait --wait-timeout 120 --no-recreate --scale "$target" "$service"
  done
}

backup() {
  file=${1:-$root/backups/fleetlog-$(date -u +%Y%m%dT%H%M%SZ).dump}
  [ ! -e "$file" ] || fail "$file exists already"
  mkdir -p "$(dirname -- "$file")"
  # Under its name only when it is whole.
  (umask 077 && compose exec -T postgres pg_dump -U fleetlog -d fleetlog -Fc >"$file.part") ||
    { rm -f "$file.part"; fail 'the backup failed'; }
  mv "$file.part" "$file"
  printf 'Saved %s (%s bytes)\n' "$file" "$(wc -c <"$file" | tr -d ' ')"
}

restore() {
  [ $# -eq 1 ] || fail 'from which file? ./manage.sh restore FILE'
  [ -r "$1" ] || fail "$1 cannot be read"
  compose exec -T postgres pg_restore --list <"$1" >/dev/null || fail "$1 is not a backup"
  confirm 'This replaces the whole database.'
  compose stop nginx server gateway consumer
  # Into a database of its own first: when the file is bad, what was there is still there.
  sql 'DROP DATABASE IF EXISTS fleetlog_restored' 'CREATE DATABASE fleetlog_restored'
  compose exec -T postgres pg_restore -U fleetlog -d fleetlog_restored --exit-on-error <"$1" ||
    fail 'the restore failed; the database is as it was: ./manage.sh start'
  # A database can be renamed only without connections, such as Grafana's or a forgotten psql.
  sql 'DROP DATABASE IF EXISTS fleetlog_replaced WITH (FORCE)' 'ALTER DATABASE fleetlog ALLOW_CONNECTIONS false'
  sql "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'fleetlog'" \
    'ALTER DATABASE fleetlog RENAME TO fleetlog_replaced; ALTER DATABASE fleetlog_restored RENAME TO fleetlog' || {
    sql 'ALTER DATABASE fleetlog ALLOW_CONNECTIONS true'
    fail 'the database could not be replaced and is as it was: ./manage.sh start'
  }
  sql 'DROP DATABASE fleetlog_replaced'
  start
}

sql() { # each argument a transaction of its own, from beside the database
  for statement; do
    compose exec -T postgres psql -q -o /dev/null -v ON_ERROR_STOP=1 -U fleetlog -d postgres -c "SET client_min_messages = warning" -c "$statement" ||
      return
  done
}

clean() {
  confirm 'This removes the containers and ALL DATA of Fleetlog: the database, and batches not yet stored.'
  compose --profile '*' down --volumes --remove-orphans
}

# A terminal only where there is one, so that pipes work.
exec_in() {
  if [ -t 0 ] && [ -t 1 ]; then compose exec "$@"; else compose exec -T "$@"; fi
}

while [ $# -gt 0 ]; do
  case $1 in
    -y | --yes) yes=yes ;;
    -h | --help | help) usage && exit ;;
    *) break ;;
  esac
  shift
done
[ $# -gt 0 ] || { usage >&2; exit 2; }
command=$1
shift
for argument; do
  case $command/$argument in
    psql/* | redis/* | retention/*) ;; # their own
    */-h | */--help) usage && exit ;;
    restore/-y | restore/--yes | clean/-y | clean/--yes)
      # Also after the command, for who types it last.
      yes=yes
      ;;
  esac
done

case $command in
  start | stop | restart | status | health | doctor | logs | scale | migrate | backup | restore | retention | psql | redis | send-test | bench | clean) ;;
  *) printf 'manage.sh: unknown command %s\n\n' "$command" >&2 && usage >&2 && exit 2 ;;
esac
need_docker

case $command in
  start) start ;;
  stop) compose --profile '*' down ;;
  restart) restart "$@" ;;
  status) compose ps --all ;;
  health) health ;;
  doctor) compose run --rm --no-deps doctor doctor/main.ts "$@" ;;
  logs) compose logs --follow --tail 100 "$@" ;;
  scale) scale "$@" ;;
  migrate)
    compose build --quiet migrate >/dev/null
    compose run --rm migrate
    ;;
  backup) backup "$@" ;;
  restore)
    for argument; do
      shift
      case $argument in -y | --yes) ;; *) set -- "$@" "$argument" ;; esac
    done
    restore "$@"
    ;;
  retention) exec_in consumer /usr/local/bin/node dead-letters/main.ts retention "$@" ;;
  psql) exec_in postgres psql -U fleetlog -d fleetlog "$@" ;;
  redis) exec_in redis sh -c 'REDISCLI_AUTH="$REDIS_ADMIN_PASSWORD" exec redis-cli --user admin "$@"' redis-cli "$@" ;;
  send-test) compose exec -T gateway /usr/local/bin/node deploy/compose/send-test.ts ;;
  bench) compose run --rm bench ;;
  clean) clean ;;
esac
