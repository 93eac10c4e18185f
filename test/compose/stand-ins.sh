#!/bin/sh
# Builds stand-ins for the images of docker-compose.yml and Dockerfile, under their names, for a machine that reaches
# Debian's archive but no image registry:
#
#   test/compose/stand-ins.sh FOLDER      as root, with debootstrap, a Docker daemon, and `npm ci` done; about 3 GB
#
# The programs are the real ones, of the versions wanted (Debian forky has Nginx 1.30, Redis 8.0, PostgreSQL 18.6,
# Prometheus 3.5, node_exporter 1.11; node is the npm package). Debian has no Grafana. What stands in are the systems around them and the entry points, written here from the images'
# documentation: users, folders, volumes, environment.
set -eu

folder=${1:?usage: test/compose/stand-ins.sh FOLDER}
project=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
mkdir -p "$folder"

# An older debootstrap does not know the newer release by name.
bootstrap() { # name release packages
  [ -e "$folder/$1/made" ] || {
    rm -rf "${folder:?}/$1"
    debootstrap --variant=minbase --include="$3" "$2" "$folder/$1" "$mirror" /usr/share/debootstrap/scripts/sid
    rm -rf "$folder/$1/var/cache/apt" "$folder/$1/var/lib/apt/lists" "$folder/$1/usr/share/doc" "$folder/$1/usr/share/locale"
    touch "$folder/$1/made"
  }
  tar -C "$folder/$1" -c . | docker import - "fleetlog-stand-in:$1"
}

build() { # image, with a Dockerfile on standard input
  rm -rf "$folder/context"
  mkdir "$folder/context"
  cp "$folder"/files/* "$folder/context/"
  cat >"$folder/context/Dockerfile"
  DOCKER_BUILDKIT=0 docker build -q -t "$1" "$folder/context"
}

bootstrap bookworm bookworm ca-certificates,libstdc++6,tzdata,netbase
bootstrap forky forky ca-certificates,curl,nginx,redis-server,redis-tools,postgresql-18
bootstrap monitoring forky busybox,prometheus,prometheus-node-exporter

rm -rf "$folder/files"
mkdir "$folder/files"
cp "$project/node_modules/node/bin/node" "$folder/files/node"
tar -C "$(dirname -- "$(readlink -f "$(command -v npm)")")/../.." -cf "$folder/files/npm.tar" npm
# A machine behind a proxy that reads along has a certificate of its own.
cp "${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}" "$folder/files/ca-certificates.crt"

cat >"$folder/files/postgres-entrypoint" <<'SCRIPT'
#!/bin/sh
set -eu
export PGDATA=/var/lib/postgresql/18/docker PATH="/usr/lib/postgresql/18/bin:$PATH"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p -m 0700 "$PGDATA"
  printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
  initdb -U "$POSTGRES_USER" --pwfile=/tmp/password --auth-local=trust --auth-host=scram-sha-256 $POSTGRES_INITDB_ARGS
  rm /tmp/password
  printf "listen_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
  printf 'host all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
  pg_ctl -w -o "-c listen_addresses=''" start
  [ "$POSTGRES_DB" = postgres ] || createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl -w -m fast stop
fi
exec "$@"
SCRIPT
chmod +x "$folder/files/postgres-entrypoint"

build postgres:18 <<'DOCKERFILE'
FROM fleetlog-stand-in:forky
RUN usermod -u 999 postgres && groupmod -g 990 systemd-journal 2>/dev/null; groupmod -o -g 999 postgres \
  && rm -rf /var/lib/postgresql && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql
COPY postgres-entrypoint /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/18/bin PGDATA=/var/lib/postgresql/18/docker
VOLUME /var/lib/postgresql
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
CMD ["postgres"]
DOCKERFILE

build redis:8 <<'DOCKERFILE'
FROM fleetlog-stand-in:forky
RUN usermod -o -u 999 redis && groupmod -o -g 999 redis && install -d -o redis -g redis /data
VOLUME /data
WORKDIR /data
CMD ["redis-server"]
DOCKERFILE

build nginx:1.30 <<'DOCKERFILE'
FROM fleetlog-stand-in:forky
RUN rm -rf /etc/nginx/modules-enabled && install -d -o 101 -g 101 /var/cache/nginx
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
DOCKERFILE

build "$(sed -n 's/.*:-\(prom\/prometheus:[^}]*\)}.*/\1/p' "$project/docker-compose.yml")" <<'DOCKERFILE'
FROM fleetlog-stand-in:monitoring
RUN ln -s busybox /usr/bin/wget && install -d -o 65534 -g 65534 /prometheus
USER 65534:65534
WORKDIR /prometheus
VOLUME /prometheus
ENTRYPOINT ["prometheus"]
DOCKERFILE

build "$(sed -n 's/.*:-\(prom\/node-exporter:[^}]*\)}.*/\1/p' "$project/docker-compose.yml")" <<'DOCKERFILE'
FROM fleetlog-stand-in:monitoring
RUN ln -s busybox /usr/bin/wget
USER 65534:65534
ENTRYPOINT ["prometheus-node-exporter"]
DOCKERFILE

build "$(sed -n 's/^ARG NODE_IMAGE=//p' "$project/Dockerfile")" <<'DOCKERFILE'
FROM fleetlog-stand-in:bookworm
COPY node /usr/local/bin/node
ADD npm.tar /usr/local/lib/node_modules/
COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
CMD ["node"]
DOCKERFILE

# distroless/cc: the libraries, certificates and time zones of Debian, no shell.
(
  cd "$folder/bookworm"
  for package in libc6 libgcc-s1 libstdc++6 tzdata netbase; do
    # Not through dpkg --root: another machine's dpkg may have another database format.
    cat "var/lib/dpkg/info/$package.list" "var/lib/dpkg/info/$package:amd64.list" "var/lib/dpkg/info/$package:arm64.list" 2>/dev/null || true
  done | sed 's|^/||' | sort -u | while read -r path; do
    if [ -n "$path" ] && { [ -L "$path" ] || [ -f "$path" ]; }; then printf '%s\n' "$path"; fi
  done >../cc.list
)
rm -rf "$folder/cc"
mkdir -p "$folder/cc/tmp" "$folder/cc/etc/ssl/certs" "$folder/cc/home/nonroot"
chmod 1777 "$folder/cc/tmp"
for link in lib lib64 bin; do cp -P "$folder/bookworm/$link" "$folder/cc/"; done
mkdir -p "$folder/cc/usr/lib" "$folder/cc/usr/lib64" "$folder/cc/usr/bin"
# Paths below lib/ are really below usr/lib/.
sed -e 's|^lib64/|usr/lib64/|' -e 's|^lib/|usr/lib/|' "$folder/cc.list" | sort -u | tar -C "$folder/bookworm" -T - -c | tar -C "$folder/cc" -x
cp -P "$folder/bookworm"/usr/lib64/* "$folder/cc/usr/lib64/"
cp "$folder/files/ca-certificates.crt" "$folder/cc/etc/ssl/certs/"
printf 'root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n' >"$folder/cc/etc/passwd"
printf 'root:x:0:\nnonroot:x:65532:\n' >"$folder/cc/etc/group"
tar -C "$folder/cc" -c . | docker import -c 'USER 65532:65532' \
  -c 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt' \
  - "$(sed -n 's/^ARG RUNTIME_IMAGE=//p' "$project/Dockerfile")"
rm -rf "$folder/context" "$folder/files"
