#!/bin/sh
# Known vulnerabilities of what the app needs; fails only where one was found.
#   sh scripts/audit.sh PYTHON
# Where the advisory service cannot be reached, it says that nothing was checked.
for file in requirements.txt requirements-hub.txt; do
    said=$(timeout 120 "$1" -m pip_audit --progress-spinner off --no-deps --disable-pip -r "$file" 2>&1)
    case $said in
    *"Found "*" known vulnerabilit"*) printf '%s\n' "$said"; exit 1 ;;
    *"could not be audited"*) echo "$file: some packages could not be audited here (make audit ARGS=-v says which)" ;;
    *"No known vulnerabilities found"*) echo "$file: no known vulnerabilities" ;;
    *) echo "$file: not audited, the advisory service could not be reached" ;;
    esac
    [ "$2" = -v ] && printf '%s\n' "$said"
done
exit 0
