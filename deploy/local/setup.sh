#!/usr/bin/env bash
# Installs what is missing on Debian 12: system packages (as root or with sudo; else says what to install) and the
# virtualenv .venv with everything pinned by hash. Run again, it finds everything in place in less than a second.
#
#   setup.sh        what `make demo` and `make up` need
#   setup.sh all    and what the tests and checks need
#   setup.sh browsers    and Firefox, with geckodriver built from its crate
#   setup.sh windows     and what builds and tests the agent for Windows
set -euo pipefail
cd "$(dirname "$0")/../.."
what=${1:-run}
geckodriver=0.37.1 oldest_cargo=1.85
python=${PYTHON:-python3}

say() { printf '%s\n' "setup: $*" >&2; }
digest() { cat "$@" | sha256sum | cut -d' ' -f1; }

# --- system packages ---------------------------------------------------------------------------------------------

missing=()
# need PACKAGE COMMAND...: PACKAGE is missing unless COMMAND succeeds
need() { "${@:2}" >/dev/null 2>&1 || missing+=("$1"); }
library() { ldconfig -p | grep -F "$1" || PATH=$PATH:/sbin:/usr/sbin ldconfig -p | grep -F "$1"; }
new_cargo() { printf '%s\n' "$oldest_cargo" "$(cargo --version | cut -d' ' -f2)" | sort -CV; }
any_file() { compgen -G "$1"; }

PATH=$PATH:/usr/sbin:/sbin
need redis-server command -v redis-server
need nginx-light command -v nginx
need swtpm command -v swtpm
need swtpm-tools command -v swtpm_setup
need openssl command -v openssl
need xmlsec1 command -v xmlsec1
need util-linux command -v prlimit
need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
need gcc command -v gcc
need pkg-config command -v pkg-config
need libtss2-dev pkg-config --exists tss2-esys tss2-mu tss2-fapi
need libtss2-tcti-swtpm0 library libtss2-tcti-swtpm.so.0
need libtss2-tcti-device0 library libtss2-tcti-device.so.0
need python3-venv "$python" -c 'import ensurepip, venv'
need python3-dev "$python" -c 'import pathlib, sysconfig; (pathlib.Path(sysconfig.get_path("include")) / "Python.h").stat()'
if [ "$what" != run ]; then
  need git command -v git
  need postgresql any_file '/usr/lib/postgresql/*/bin/postgres'
  need chromium command -v chromium
  need fonts-dejavu-core any_file '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf'
  need cabextract command -v cabextract
  need tpm2-tools command -v tpm2_createprimary
  need tpm2-openssl any_file '/usr/lib/*/ossl-modules/tpm2.so'
  need shellcheck command -v shellcheck
  need php-cli command -v php
  need php-xml php -r 'exit(class_exists("DOMDocument") ? 0 : 1);'
  need php-mbstring php -r 'exit(function_exists("mb_strlen") ? 0 : 1);'
  need nodejs command -v node
  need npm command -v npm
  need simplesamlphp test -d /usr/share/simplesamlphp/www
fi
if [ "$what" = browsers ]; then
  need firefox-esr command -v firefox-esr
  need cargo-web new_cargo
fi
if [ "$what" = windows ]; then
  need wine64 test -x /usr/lib/wine/wine64
  need maven command -v mvn
  need gcc-mingw-w64-x86-64-win32 command -v x86_64-w64-mingw32-gcc
  need wixl command -v wixl
  need msitools command -v msibuild
  need osslsigncode command -v osslsigncode
fi

install_packages() {
  local root=() policy=/usr/sbin/policy-rc.d unit
  if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
      say "these Debian packages are missing, and this is neither root nor sudo without a password. Run:"
      printf '  sudo apt-get update && sudo apt-get install --no-install-recommends %s\n' "${missing[*]}" >&2
      exit 1
    fi
    root=(sudo -n)
  fi
  say "installing ${missing[*]}"
  # The installed servers are for our own processes: none is to be started now or at boot.
  if [ ! -e "$policy" ]; then
    # shellcheck disable=SC2064 # as they are now
    trap "${root[*]} rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee "$policy" >/dev/null
    "${root[@]}" chmod 755 "$policy"
  fi
  local new=()
  for unit in redis-server nginx postgresql; do
    [ -e "/lib/systemd/system/$unit.service" ] || new+=("$unit")
  done
  "${root[@]}" apt-get update -q
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get install -y -q --no-install-recommends "${missing[@]}"
  for unit in "${new[@]}"; do
    if [ -e "/lib/systemd/system/$unit.service" ] && command -v systemctl >/dev/null; then
      "${root[@]}" systemctl disable --quiet "$unit.service" || say "could not disable $unit.service"
    fi
  done
}

if [ "${#missing[@]}" -gt 0 ]; then
  (install_packages)
fi

# --- virtualenv --------------------------------------------------------------------------------------------------

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "Python 3.11 or newer is needed"; exit 1; }
if ! .venv/bin/python -c '' 2>/dev/null; then
  say "making .venv"
  rm -rf .venv
  "$python" -m venv .venv
fi

installer() {
  if [ ! -x .venv/bin/uv ]; then
    .venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: \
      -r deploy/local/uv.txt 2>/dev/null || true
  fi
  if [ -x .venv/bin/uv ] && .venv/bin/uv pip install --system-certs --python .venv/bin/python "$@"; then
    return
  fi
  .venv/bin/python -m pip install --disable-pip-version-check "$@"
}

# once NAME DIGEST COMMAND...: runs COMMAND unless it ran for the same DIGEST in this virtualenv
once() {
  local stamp=.venv/setup-$1
  if [ "$(cat "$stamp" 2>/dev/null)" != "$2" ]; then
    say "installing $1"
    "${@:3}"
    printf '%s\n' "$2" > "$stamp"
  fi
}

packages=(services/contracts services/kit services/auth services/enroll services/notify agent)
editable=()
for package in "${packages[@]}"; do editable+=(-e "$package"); done
once dependencies "$(digest requirements/dev.txt)" installer --require-hashes -r requirements/dev.txt
once workspace "$(digest "${packages[@]/%//pyproject.toml}")" installer --no-deps --no-build-isolation "${editable[@]}"

# --- geckodriver: Debian has none ----------------------------------------------------------------------------------

if [ "$what" = browsers ]; then
  built=${XDG_CACHE_HOME:-$HOME/.cache}/keystead/geckodriver-$geckodriver
  if [ ! -x "$built/bin/geckodriver" ]; then
    say "building geckodriver $geckodriver, once; it takes minutes"
    nice cargo install --quiet --locked --root "$built" "geckodriver@$geckodriver"
  fi
  ln -sf "$built/bin/geckodriver" .venv/bin/geckodriver
fi
