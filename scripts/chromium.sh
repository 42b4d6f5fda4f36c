#!/bin/sh
# Prints the path of a Chromium or Chrome that starts, installing one if there
# is none: scripts/chromium.sh .venv/bin/python
# Everything else it has to say goes to the standard error stream.
set -eu
python=$1

say() { echo "$*" >&2; }

# Started, not only looked for: Ubuntu's chromium-browser may be a stub that
# just tells people to install a snap.
starts() {
    case $("$1" --version 2>/dev/null </dev/null) in
        *Chrom*) return 0 ;;
        *) return 1 ;;
    esac
}

offer() {
    if [ -n "$1" ] && [ -x "$1" ] && starts "$1"; then
        echo "$1"
        exit 0
    fi
}

offer_installed() {
    for name in chromium google-chrome google-chrome-stable chromium-browser; do
        offer "$(command -v "$name" || true)"
    done
    for folder in /Applications "${HOME:-}/Applications"; do
        offer "$folder/Google Chrome.app/Contents/MacOS/Google Chrome"
        offer "$folder/Chromium.app/Contents/MacOS/Chromium"
    done
}

# Playwright's own, where it has been installed before.
offer_playwrights() {
    offer "$("$python" -c 'from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    print(p.chromium.executable_path)' 2>/dev/null || true)"
}

if [ -n "${HEADLIGHT_CHROMIUM:-}" ]; then
    offer "$(command -v "$HEADLIGHT_CHROMIUM" || true)"
    say "HEADLIGHT_CHROMIUM=$HEADLIGHT_CHROMIUM is not a Chromium or Chrome that starts."
    exit 1
fi

offer_installed
offer_playwrights

apt=false
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt=true
fi

# Debian's package; Ubuntu's of that name only points to a snap.
if $apt && grep -q '^ID=debian' /etc/os-release 2>/dev/null; then
    say "Installing Debian's Chromium for the browser tests."
    apt-get update -qq >&2 || true
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >&2 || true
    offer_installed
fi

say "Installing Playwright's Chromium for the browser tests."
if $apt; then
    "$python" -m playwright install --with-deps chromium >&2 || true
else
    "$python" -m playwright install chromium >&2 || true
fi
offer_playwrights

say "No Chromium for the browser tests: none was found and none could be installed. Install Chromium or Chrome, or"
say "name one: make test HEADLIGHT_CHROMIUM=/path/to/chromium, or leave them out: make test ARGS='-m \"not browser\"'"
exit 1
