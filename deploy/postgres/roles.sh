#!/bin/sh
# Makes Tiffin's roles and its database, on a new server or again: an init script of the postgres image, and a script
# that is run as the superuser of any other server (PGHOST, PGPORT and so on say where it is). It takes the server to be
# Tiffin's alone: who has no right of their own to connect to a database loses it for `postgres` and `template1`, too.
#
# tiffin_owner owns the database and all that `tiffin migrate` makes in it; migrate then grants the other three, which
# own nothing, what each needs. Their passwords come from the environment, and may hold any character.
set -e
: "${POSTGRES_OWNER_PASSWORD:?}" "${POSTGRES_API_PASSWORD:?}" "${POSTGRES_ORDERS_PASSWORD:?}" "${POSTGRES_NOTIFIER_PASSWORD:?}"

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
-- No statement that carries a password is logged.
SET client_min_messages = 'warning';
SET log_statement = 'none';
SET log_min_duration_statement = -1;
SET log_min_error_statement = 'panic';

\getenv owner POSTGRES_OWNER_PASSWORD
\getenv api POSTGRES_API_PASSWORD
\getenv orders POSTGRES_ORDERS_PASSWORD
\getenv notifier POSTGRES_NOTIFIER_PASSWORD

SELECT format('%s ROLE %I LOGIN PASSWORD %L', CASE WHEN r.oid IS NULL THEN 'CREATE' ELSE 'ALTER' END, name, password)
FROM (VALUES
  ('tiffin_owner', :'owner'),
  ('tiffin_api', :'api'),
  ('tiffin_orders', :'orders'),
  ('tiffin_notifier', :'notifier')
) AS wanted (name, password) LEFT JOIN pg_roles r ON r.rolname = name
\gexec

-- So that `log.replication_v1` can tell of the standbys.
GRANT pg_read_all_stats TO tiffin_owner;

SELECT 'CREATE DATABASE tiffin ENCODING ''UTF8'' TEMPLATE template0' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'tiffin')
\gexec
ALTER DATABASE tiffin OWNER TO tiffin_owner;

-- Nobody else comes in, and these come into no other database.
REVOKE ALL ON DATABASE tiffin, postgres, template1 FROM PUBLIC;
GRANT CONNECT ON DATABASE tiffin TO tiffin_api, tiffin_orders, tiffin_notifier;

-- Nor do they store anything that is no table's.
\connect tiffin
REVOKE EXECUTE ON FUNCTION lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea) FROM PUBLIC;
SQL
