#!/bin/sh
# Runs once, in an empty database server: the role and the schemas that docs/database.md describes. The role owns its
# two schemas and may create nothing else.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$EVALOPS_DB_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE evalops LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
CREATE DATABASE evalops;
REVOKE ALL ON DATABASE evalops FROM PUBLIC;
GRANT CONNECT ON DATABASE evalops TO evalops;
\connect evalops
REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA evalops AUTHORIZATION evalops;
CREATE SCHEMA dagster AUTHORIZATION evalops;
SQL
