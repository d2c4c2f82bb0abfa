#!/usr/bin/env bash
# Fills in nginx.conf.template and runs nginx. Service names are looked up again every few seconds, so a container that
# was replaced is found at its new address.
set -euo pipefail
run=/tmp/nginx
mkdir -p "$run"
resolver=$(awk '$1 == "nameserver" {print ($2 ~ /:/) ? "[" $2 "]" : $2; exit}' /etc/resolv.conf)
listen="listen ${PORT:-8443} ssl; ssl_certificate /run/secrets/tls.pem; ssl_certificate_key /run/secrets/tls.key;"
listen="$listen ssl_protocols TLSv1.2 TLSv1.3;"
connections=${CONNECTIONS:-16384}
processes="worker_processes ${PROCESSES:-2}; worker_rlimit_nofile $((connections + 64));"
sed -e "s|@PROCESSES@|$processes|" -e "s|@CONNECTIONS@|$connections|" -e "s|@RUN@|$run|" -e "s|@LOG@|/dev/stdout|" \
  -e "s|@RESOLVER@|resolver $resolver valid=5s ipv6=off;|" -e "s|@LISTEN@|$listen|" -e "s|@SCHEME@|https|" \
  -e "s|@AUTH@|${AUTH:-auth-web:8000}|" -e "s|@ENROLL@|${ENROLL:-enroll-web:8000}|" \
  /keystead/nginx.conf.template > "$run/nginx.conf"
exec nginx -e /dev/stderr -p "$run" -c "$run/nginx.conf"
