#!/bin/sh
# What is used of the official image's entry: a cluster at the first start, then the scripts, then the server.
set -eu
export PGDATA=/var/lib/postgresql/18/docker
if [ "$1" != postgres ]; then exec "$@"; fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  mkdir -p "$PGDATA"
  printf %s "$POSTGRES_PASSWORD" > /tmp/password
  initdb -U postgres -E UTF8 --locale=C.UTF-8 --pwfile=/tmp/password --auth-host=scram-sha-256 --auth-local=trust
  rm /tmp/password
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  pg_ctl -w -o "-c listen_addresses=''" start
  for script in /docker-entrypoint-initdb.d/*.sh; do sh "$script"; done
  pg_ctl -w stop
fi
exec "$@" -c "listen_addresses=*"
