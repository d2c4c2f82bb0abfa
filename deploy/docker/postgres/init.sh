#!/usr/bin/env bash
# Run once by the postgres image on an empty data folder: a role and a database for each service, closed to the others.
set -euo pipefail
for service in auth enroll notify; do
  psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres --set "name=keystead_$service" \
    --set "password=$(cat "/run/secrets/$service-database-password")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
