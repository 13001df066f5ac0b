#!/bin/bash
# Prepares the container, then runs the server as an unprivileged user.
#
# Not sh: Debian's drops variables whose name is no identifier, such as the documented
# azure-test_AZURE_STORAGE_ACCESS_KEY.
#
# The folders are variables so that the script runs without a container:
#   SALLYPORT_ROOT  where the files and folders are mounted   (/usr/src/app)
#   SALLYPORT_USER  who the server runs as                    (sallyport)
set -eu

root=${SALLYPORT_ROOT:-/usr/src/app}
user=${SALLYPORT_USER:-sallyport}
cd "$root"

# Secrets that an orchestrator mounts as shell assignments, as Zenko does.
if [ -r /run/secrets/s3-credentials ]; then
    set -a
    . /run/secrets/s3-credentials
    set +a
fi

export S3DATAPATH="${S3DATAPATH:-$root/localData}"
export S3METADATAPATH="${S3METADATAPATH:-$root/localMetadata}"
# Only the published port decides who reaches a container.
export LISTEN_ADDR="${LISTEN_ADDR:-0.0.0.0}"
mkdir -p "$S3DATAPATH" "$S3METADATAPATH"

if [ "$#" -eq 0 ]; then set -- serve; fi
case "$1" in
    serve | check | backup | restore | fsck | rebind | -*) set -- sallyport "$@" ;;
esac

if [ "$(id -u)" -ne 0 ] || ! id "$user" >/dev/null 2>&1; then
    exec "$@"
fi

# Mounted folders belong to whoever made them on the host. Only the top is looked at: what is
# below an own folder is the server's already, and may be millions of files.
for folder in "$S3DATAPATH" "$S3METADATAPATH"; do
    if [ "$(stat -c %u "$folder")" != "$(id -u "$user")" ]; then
        chown -R "$user" "$folder"
    fi
done

as_user() {
    setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --no-new-privs "$@"
}

# Mounted files may be readable by root alone. Those are copied, never changed: the mount is
# the host's own file. What the user can read stays where it is, so that changes are seen.
private=$(mktemp -d)
take() { # source, name, variable that is to name the copy
    if [ -r "$1" ] && eval "[ -z \"\${$3:-}\" ]" && ! as_user test -r "$1"; then
        cp "$1" "$private/$2"
        chmod 400 "$private/$2"
        export "$3=$private/$2"
    fi
}
take "${HOME:-/root}/.aws/credentials" credentials AWS_SHARED_CREDENTIALS_FILE
take "$root/locationConfig.json" locationConfig.json S3_LOCATION_FILE
take "$root/conf/authdata.json" authdata.json S3AUTH_CONFIG
take "$root/config.json" config.json S3_CONFIG_FILE
if [ -z "${AWS_SHARED_CREDENTIALS_FILE:-}" ] && [ -r "${HOME:-/root}/.aws/credentials" ]; then
    export AWS_SHARED_CREDENTIALS_FILE="${HOME:-/root}/.aws/credentials"
fi
chown -R "$user" "$private"
chmod 700 "$private"

export HOME="$private"
exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --no-new-privs "$@"
