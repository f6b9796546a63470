#!/bin/sh
# Run by the image once, when the cluster is made: a role that owns its database, and may do nothing else.
set -eu
psql --set ON_ERROR_STOP=1 --username postgres --dbname postgres <<'END'
\getenv password RUSHES_ROLE_PASSWORD
CREATE ROLE rushes LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'password';
CREATE DATABASE rushes OWNER rushes;
REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
END
