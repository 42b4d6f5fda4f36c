#!/bin/sh
# Makes the virtual environment: scripts/venv.sh .venv
# A working one is kept. PYTHON names the interpreter; without it, the first
# that fits is taken. Debian leaves out ensurepip, which is then installed
# where that is possible (root and apt-get) and asked for where not.
set -eu
venv=$1

say() { echo "$*" >&2; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }
can_make_venvs() { "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

if new_enough "$venv/bin/python" && "$venv/bin/python" -c 'import pip' >/dev/null 2>&1; then
    exit 0
fi

# An interpreter that is there but without ensurepip is a second choice.
python= second=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
    new_enough "$candidate" || continue
    if can_make_venvs "$candidate"; then
        python=$candidate
        break
    fi
    second=${second:-$candidate}
done

if [ -z "$python" ] && [ -z "$second" ]; then
    if [ -n "${PYTHON:-}" ]; then
        say "PYTHON=$PYTHON is not a Python 3.11 or newer."
    else
        say "Headlight needs Python 3.11 or newer, and none is on the PATH. Install one, or name it: make PYTHON=/path/to/python3"
    fi
    exit 1
fi

if [ -z "$python" ]; then
    python=$second
    package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "Installing $package, which $python needs to make virtual environments."
        apt-get update -qq >&2 || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >&2 || true
    fi
    if ! can_make_venvs "$python"; then
        say "$python cannot make virtual environments. On Debian or Ubuntu: sudo apt-get install $package"
        exit 1
    fi
fi

say "Making $venv with $("$python" --version) ($python)."
"$python" -m venv --clear "$venv"
