#!/bin/sh
# Builds the Dockerfile as it stands, and checks the container that comes of it:
#   sh scripts/image.sh build NAME [--build-arg TORCH=cuda …]
#   sh scripts/image.sh check NAME PYTHON     PYTHON has playwright, HEADLIGHT_CHROMIUM names its browser
# With Docker where an engine answers. Otherwise, as root, with buildah, which needs neither a daemon nor more of the kernel
# than chroot: debootstrap makes the Debian that FROM names, and this machine's settings for pip hold during the build alone.
# All that comes of it lies in $IMAGE_STORE; removing the folder removes it.
set -eu
cd "$(dirname "$0")/.."
task=$1
name=$2
shift 2
store=${IMAGE_STORE:-/var/tmp/headlight-image}
from=$(sed -n 's/^FROM //p' Dockerfile)
work=$(mktemp -d)
container=
server=

say() { echo "$*" >&2; }

cleanup() {
    [ -z "$container" ] || remove
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# debootstrap also leaves this machine's name and resolver, and the packages that it unpacked.
make_base() {
    case $from in
        debian:12*) suite=bookworm ;;
        debian:13*) suite=trixie ;;
        *) say "FROM $from is no Debian that scripts/image.sh knows."; exit 1 ;;
    esac
    container=$(buildah from scratch)
    root=$(buildah mount "$container")
    debootstrap --variant=minbase "$suite" "$root"
    rm -rf "$root/etc/hostname" "$root/etc/resolv.conf" "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    buildah commit -q "$container" "$from"
    remove
    container=
}

# What `pip config list` says, as the pip.conf of the build; the files that it names are copied to $work/mnt, folders are
# mounted there, and the build sees that as /mnt. An index (file://) links to what lies beside it, so its parent is mounted.
pip_settings() {
    mkdir "$work/mnt"
    echo "$work/pip.conf:/etc/pip.conf:ro" >"$work/volumes"
    echo "$work/mnt:/mnt:ro" >>"$work/volumes"
    echo '[global]' >"$work/pip.conf"
    # Variables are listed before files and go first; of each option the first is kept.
    python3 -m pip config list 2>/dev/null |
        sed "s/^[^=]*\.\([^=.]*\)='\(.*\)'\$/\1 \2/; s/\\\\n/ /g" | sort -s -u -k 1,1 |
        while read -r option words; do
            value=
            for word in $words; do
                path=${word#file://}
                if [ "${path#/}" != "$path" ] && [ -d "$path" ]; then
                    [ "$path" = "$word" ] && folder=$path || folder=$(dirname "$path")
                    mkdir -p "$work/mnt$folder"
                    echo "$folder:/mnt$folder:ro" >>"$work/volumes"
                elif [ "${path#/}" != "$path" ] && [ -f "$path" ]; then
                    mkdir -p "$work/mnt$(dirname "$path")"
                    cp "$path" "$work/mnt$path"
                else
                    path=
                fi
                value="$value ${word%"$path"}${path:+/mnt$path}"
            done
            echo "$option =$value" >>"$work/pip.conf"
        done
}

if docker info >/dev/null 2>&1; then
    build() { docker build -t "$name" "$@" . && docker images "$name"; }
    create() { container=$(docker create -p 127.0.0.1:7860:7860 "$name"); }
    start() { docker start "$container" >/dev/null; }
    inside() { docker exec "$container" "$@"; }
    setting() { docker inspect --format "{{range .Config.$1}}{{.}} {{end}}" "$container"; }
    log() { docker logs "$container"; }
    stop() { docker stop -t 20 "$container" >/dev/null && return "$(docker wait "$container")"; }
    remove() { docker rm -f "$container" >/dev/null; }
elif [ "$(id -u)" = 0 ] && command -v buildah >/dev/null && command -v debootstrap >/dev/null; then
    printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/images"\nrunroot = "%s/run"\n' "$store" "$store" >"$work/storage.conf"
    export BUILDAH_ISOLATION=chroot CONTAINERS_STORAGE_CONF="$work/storage.conf"
    build() {
        buildah inspect --type image "$from" >/dev/null 2>&1 || make_base
        pip_settings
        while read -r volume; do set -- -v "$volume" "$@"; done <<END
$(sort -u -t : -k 2 "$work/volumes")
END
        # Docker's format: the other one has no health check.
        buildah bud --format docker --pull-never -t "$name" "$@" .
        buildah rmi --prune >/dev/null
        buildah images "$name"
    }
    create() { container=$(buildah from --pull-never "$name"); }
    # The network is this machine's.
    start() {
        # shellcheck disable=SC2016,SC2046 # expanded inside; words of a command
        buildah run -e STREAMLIT_SERVER_ADDRESS=127.0.0.1 "$container" -- \
            sh -c 'echo $$ >"$HEADLIGHT_CACHE/pid" && exec "$@"' sh $(setting Cmd) >"$work/log" 2>&1 &
        server=$!
    }
    inside() { buildah run "$container" -- "$@"; }
    setting() { buildah inspect --format "{{range .Docker.Config.$1}}{{.}} {{end}}" "$container"; }
    log() { cat "$work/log"; }
    # Asked itself, buildah would end what it started at once.
    stop() {
        # shellcheck disable=SC2016 # expanded inside
        inside sh -c 'kill "$(cat "$HEADLIGHT_CACHE/pid")"'
        wait "$server" && server=
    }
    remove() {
        [ -z "$server" ] || { kill "$server" && wait "$server"; } || true
        buildah rm "$container" >/dev/null
    }
else
    say 'No Docker engine answers. Without one this takes root, buildah and debootstrap (apt-get install buildah debootstrap).'
    exit 1
fi

# User 1000, healthy by the image's own check, SmolLM2 painted in a browser, nothing written but in the one folder, and an
# end with 0 when asked to go.
check() {
    python=$1
    create
    health=$(setting Healthcheck.Test)
    # shellcheck disable=SC2086 # words of a command
    healthy() { inside ${health#CMD } 2>/dev/null; }
    ! healthy || { say 'Something else answers at port 7860.'; exit 1; }
    began=$(date +%s)
    start
    until healthy; do
        [ $(($(date +%s) - began)) -lt 120 ] || { log; say 'not healthy after 120 s'; exit 1; }
        sleep 0.5
    done
    user=$(inside id -u)
    echo "healthy after $(($(date +%s) - began)) s, as user $user"
    [ "$user" = 1000 ]
    "$python" -m scripts.painted "$began" 'http://127.0.0.1:7860/?model=smollm2' || { log; exit 1; }
    written=$(inside find / -xdev -user 1000 -type f ! -path '/var/cache/headlight/*' 2>/dev/null || true)
    [ -z "$written" ] || { say "written outside /var/cache/headlight: $written"; exit 1; }
    stop || { log; say "ended with $? when asked to go"; exit 1; }
    echo 'nothing written outside /var/cache/headlight; ended with 0 when asked to go'
}

case $task in
    build) build "$@" ;;
    check) check "$@" ;;
    *) say "scripts/image.sh knows build and check, not $task"; exit 1 ;;
esac
