#!/usr/bin/env bash
# Makes every secret that docker-compose.yml needs and that is not there yet, in var/compose/secrets. To bring your own
# TLS certificate, put tls.pem (with its chain), tls.key and tls-ca.pem (whom agents trust) there first.
#
#   secrets.sh [HOST]      HOST: the public host name, for the self-signed TLS certificate (default localhost)
set -euo pipefail
cd "$(dirname "$0")/../.."
host=${1:-localhost}
folder=var/compose/secrets
mkdir -p "$folder"
# Only its owner enters the folder. The files can be read by everyone, because containers run as users of their own;
# each container gets only the files that docker-compose.yml gives it.
chmod 700 "$folder"
cd "$folder"
umask 022

made() { [ ! -e "$1" ] && printf 'secrets: making %s\n' "$1" >&2; }
random() { openssl rand -hex 32; }

for name in postgres-password auth-database-password enroll-database-password notify-database-password \
  auth-redis-password enroll-redis-password notify-redis-password redis-health-password \
  auth-cookie-key auth-totp-key enroll-cookie-key enroll-access-code-key ca-key-passphrase ca-root-passphrase; do
  if made "$name"; then random > "$name"; fi
done
# The example agent registers with the token of deploy/local/seed.yaml.
if made registration-token; then echo example-hospital-laptops > registration-token; fi

for service in auth enroll notify; do
  printf 'postgresql+psycopg://keystead_%s:%s@postgres/keystead_%s\n' \
    "$service" "$(cat "$service-database-password")" "$service" > "$service-database-url"
  printf 'redis://%s:%s@redis:6379/0\n' "$service" "$(cat "$service-redis-password")" > "$service-redis-url"
  if [ "$service" != notify ] && made "$service-token.pem"; then
    openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$service-token.pem"
    chmod 644 "$service-token.pem"
    openssl pkey -in "$service-token.pem" -pubout -out "$service-token.pub.pem"
  fi
done

# A service reads and writes its own keys, puts messages into the others' queues (`???` are the suffixes of kombu's
# priorities), and sees nothing else. `acl log` on a running Redis shows what was refused.
digest() { printf '%s' "$(cat "$1")" | sha256sum | cut -d' ' -f1; }
commands="+@connection +@transaction +lpush +rpush +brpop +lrem +llen +set +get +del +exists +incrby +expire +pttl"
commands="$commands +eval +evalsha +script|load +hset +hget +hdel +zadd +zrem +zrange +zrevrangebyscore +sadd +srem"
commands="$commands +smembers +publish +subscribe +unsubscribe"
{
  echo "user default off"
  echo "user health on #$(digest redis-health-password) resetkeys resetchannels -@all +ping"
  for service in auth enroll notify; do
    others=
    for other in auth enroll notify; do
      [ "$other" = "$service" ] || others="$others %W~keystead.$other %W~keystead.$other???"
    done
    echo "user $service on #$(digest "$service-redis-password") resetkeys resetchannels" \
      "~keystead.$service*$others ~_kombu.binding.keystead.* ~_kombu.binding_permanent.keystead.*" \
      "&keystead.$service.* -@all $commands"
  done
} > redis-users.acl

if made auth-saml.key.pem; then
  openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -keyout auth-saml.key.pem -out auth-saml.crt.pem -subj "/CN=$host" \
    -addext "basicConstraints=critical,CA:FALSE" 2>/dev/null
  chmod 644 auth-saml.key.pem
fi

if made tls.pem; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -keyout tls-ca.key -out tls-ca.pem \
    -subj "/CN=Keystead local TLS CA" -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout tls.key -out tls.csr -subj "/CN=$host" 2>/dev/null
  openssl x509 -req -in tls.csr -CA tls-ca.pem -CAkey tls-ca.key -CAcreateserial -days 397 -out tls.pem -extfile <(
    printf 'subjectAltName=DNS:%s\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n' "$host"
    printf 'extendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n'
  ) 2>/dev/null
  cat tls-ca.pem >> tls.pem
  rm -f tls.csr tls-ca.srl tls-ca.key
  chmod 644 tls.key
fi
printf 'secrets: in %s\n' "$folder" >&2
