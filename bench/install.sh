#!/usr/bin/env bash
# Installs the servers that `make bench` compares with, below tests/.tools and without root.
set -euo pipefail

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/tests/.tools
mkdir -p "$tools"

for peer in s3s-proxy s3s-fs; do
    [ -x "$tools/bin/$peer" ] && continue
    echo "tools: building $peer"
    features=()
    [ "$peer" = s3s-fs ] && features=(--features binary)
    # A folder of its own: the workspace's may be in use.
    cargo install --quiet --locked --root "$tools" --target-dir "$tools/build" "${features[@]}" "$peer@0.14.1"
done

rm -rf "$tools/build"

nginx=$tools/nginx
if [ ! -e "$nginx/installed" ]; then
    echo "tools: installing nginx"
    rm -rf "$nginx"
    mkdir -p "$nginx/lists/partial" "$nginx/debs/partial"
    # Lists of our own, since refreshing the machine's takes root.
    options=(-qq -o "Dir::State::Lists=$nginx/lists" -o "Dir::Cache=$nginx" -o APT::Sandbox::User= -o Debug::NoLocking=1)
    apt-get "${options[@]}" update
    (cd "$nginx/debs" && apt-get "${options[@]}" download nginx)
    for package in "$nginx"/debs/*.deb; do dpkg-deb -x "$package" "$nginx/root"; done
    rm -rf "$nginx/debs" "$nginx/lists" "$nginx"/*.bin
    touch "$nginx/installed"
fi
