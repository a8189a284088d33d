# The proxy on Node 22 and Debian 13, whose glibc (2.41) the addon accepts: it needs 2.27 or newer.
FROM node:22.23.3-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No install scripts: what they would fetch is in the packages, or is Node itself.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build
RUN npm prune --omit=dev --ignore-scripts
RUN chmod 0755 dist/cli.js

FROM node:22.23.3-trixie-slim
ENV NODE_ENV=production
# ISA-L, by which CRCs of bodies cost a fraction: it is used where it is found.
RUN apt-get update && apt-get install -y --no-install-recommends libisal2 && rm -rf /var/lib/apt/lists/*
# Relative paths of the configuration start here, state_dir for one; all else can be read-only.
WORKDIR /var/lib/mizuchi
RUN chown 1000:1000 /var/lib/mizuchi
RUN ln -s /app/dist/cli.js /usr/local/bin/mizuchi-uploadr
COPY --from=build /app/package.json /app/package.json
COPY --from=build /app/node_modules /app/node_modules
COPY --from=build /app/dist /app/dist
ENV MIZUCHI_CONFIG=/etc/mizuchi/config.yaml
USER 1000:1000
EXPOSE 8080
# Uploads may end, and what is left is aborted: stop it with as much time as server.shutdown.drain_seconds and some more.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=10s --start-period=10s --retries=3 CMD ["mizuchi-uploadr", "health"]
CMD ["mizuchi-uploadr"]
