# One image for every program: the command says which ("server/main.ts", "consumer/main.ts", "gateway/main.ts",
# "postgres/main.ts" to migrate, "nginx/main.ts" to write nginx.conf, "client/main.ts" to send, "dead-letters/main.ts" for dead letters). Node runs the
# TypeScript itself; there is no shell in it.
#
#   docker build -t fleetlog:local .
#
# Both bases can be replaced, for a mirror or a hardened one. NODE_IMAGE gives npm and the node that is copied, so its
# version is the one the project is tested with; RUNTIME_IMAGE needs glibc, libstdc++ and no more.
ARG NODE_IMAGE=node:24.21.0-bookworm-slim
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /fleetlog
COPY package.json package-lock.json ./
# Nothing that runs needs an install script.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && rm -rf node_modules/.bin node_modules/@types \
  && find node_modules -type f ! -iname 'licen*' \( -name '*.map' -o -name '*.md' -o -name '*.d.ts' -o -name '*.d.cts' -o -name '*.d.mts' \) -delete \
  && mkdir /nginx-config

# The gateway's page is the one thing that is built.
FROM ${NODE_IMAGE} AS page
WORKDIR /fleetlog
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node dashboard/build.ts

FROM ${RUNTIME_IMAGE}
ARG VERSION=local
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Fleetlog" \
  org.opencontainers.image.description="The logs of a fleet of devices, in plain PostgreSQL" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}"

COPY --from=dependencies /usr/local/bin/node /usr/local/bin/node
WORKDIR /fleetlog
COPY --from=dependencies /fleetlog/node_modules ./node_modules
# A new volume mounted here takes this owner, so that nginx/main.ts may write to it.
COPY --from=dependencies --chown=65532:65532 /nginx-config /nginx-config
# .dockerignore lets through what the programs and the page need, and nothing else.
COPY . .
COPY --from=page /fleetlog/dashboard/dist ./dashboard/dist

ENV NODE_ENV=production
# By number, so that an orchestrator can see that it is not root.
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=3 \
  CMD ["/usr/local/bin/node", "deploy/compose/healthcheck.mjs"]
ENTRYPOINT ["/usr/local/bin/node"]
CMD ["server/main.ts"]
