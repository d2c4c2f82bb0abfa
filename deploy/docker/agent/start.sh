#!/usr/bin/env bash
# A computer that is switched on: its TPM, and, once it could register with SERVER, its agent.
set -euo pipefail
swtpm socket --tpm2 --tpmstate dir=/var/lib/keystead/tpm --flags not-need-init,startup-clear \
  --server type=tcp,port=2321,bindaddr=127.0.0.1 --ctrl type=tcp,port=2322,bindaddr=127.0.0.1 &
tpm=$!
agent=
stop() { kill ${agent:+"$agent"} "$tpm" 2>/dev/null || true; }
trap stop TERM INT EXIT

register_and_run() {
  until keystead-agent register --token-file /run/secrets/registration-token "$SERVER"; do sleep 5; done
  exec keystead-agent run
}

if [ -n "${SERVER:-}" ] && [ -e /run/secrets/registration-token ]; then
  register_and_run &
  agent=$!
fi
# Without its TPM or its agent the computer is of no use: the container ends with either and is started again.
wait -n
