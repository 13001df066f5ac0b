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
# SALLYPORT_... wins over CloudServer's variables.
folders=("${SALLYPORT_DATA_DIR:-$S3DATAPATH}" "${SALLYPORT_METADATA_DIR:-$S3METADATAPATH}")
mkdir -p "${folders[@]}"

if [ "$#" -eq 0 ]; then set -- serve; fi
case "$1" in
    serve | check | backup | restore | fsck | key | plugin | import | rebind | help | -*) set -- sallyport "$@" ;;
esac

if [ "$(id -u)" -ne 0 ] || ! id "$user" >/dev/null 2>&1; then
    exec "$@"
fi

# Mounted folders belong to whoever made them on the host. Only the top is looked at: what is
# below an own folder is the server's already, and may be millions of files.
for folder in "${folders[@]}"; do
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
is_private() {
    [ -r "$1" ] && ! as_user test -r "$1"
}
take() { # source, variable that is to name the copy
    if is_private "$1"; then
        install -m 400 "$1" "$private/$2"
        export "$2=$private/$2"
    fi
}
# Where the server looks for the file that a variable of CloudServer's names.
named() { # variable, file below the root when it is unset
    local file=${!1:-}
    case "$file" in
        "") echo "$root/$2" ;;
        /*) echo "$file" ;;
        *) if [ -f "$root/conf/$file" ]; then echo "$root/conf/$file"; else echo "$root/$file"; fi ;;
    esac
}
# Whose paths are in config.json, which then is copied with the copies' paths in it.
take_certificates() { # config.json, variable that names it
    local text block own key field file
    text=$(cat "$1" 2>/dev/null) || return 0
    [[ $text =~ \"certFilePaths\"[[:space:]]*:[[:space:]]*\{([^}]*)\} ]] || return 0
    block=${BASH_REMATCH[1]}
    own=$block
    for key in key cert ca; do
        field="\"$key\"[[:space:]]*:[[:space:]]*\"([^\"]+)\""
        [[ $own =~ $field ]] || continue
        field=${BASH_REMATCH[0]}
        file=${BASH_REMATCH[1]}
        # From the root, where the server is started.
        if is_private "$file"; then
            install -m 400 "$file" "$private/certificate.$key"
            own=${own/"$field"/"\"$key\": \"$private/certificate.$key\""}
        fi
    done
    if [ "$own" != "$block" ]; then
        printf '%s\n' "${text%%"$block"*}$own${text#*"$block"}" >"$private/config.json"
        chmod 400 "$private/config.json"
        export "$2=$private/config.json"
    fi
}
take "${AWS_SHARED_CREDENTIALS_FILE:-${HOME:-/root}/.aws/credentials}" AWS_SHARED_CREDENTIALS_FILE
take "$(named S3_LOCATION_FILE locationConfig.json)" S3_LOCATION_FILE
take "$(named S3AUTH_CONFIG conf/authdata.json)" S3AUTH_CONFIG
take "$(named S3_CONFIG_FILE config.json)" S3_CONFIG_FILE
for variable in SALLYPORT_LOCATIONS SALLYPORT_AUTH SALLYPORT_CONFIG SALLYPORT_MASTER_KEY_FILE; do
    if [ -n "${!variable:-}" ]; then take "${!variable}" "$variable"; fi
done
if [ -n "${SALLYPORT_CONFIG:-}" ]; then
    take_certificates "$SALLYPORT_CONFIG" SALLYPORT_CONFIG
else
    take_certificates "$(named S3_CONFIG_FILE config.json)" S3_CONFIG_FILE
fi
if [ -z "${AWS_SHARED_CREDENTIALS_FILE:-}" ] && [ -r "${HOME:-/root}/.aws/credentials" ]; then
    export AWS_SHARED_CREDENTIALS_FILE="${HOME:-/root}/.aws/credentials"
fi
chown -R "$user" "$private"
chmod 700 "$private"

export HOME="$private"
exec setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups --no-new-privs "$@"
