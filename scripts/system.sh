#!/bin/sh
# What the app needs of a Debian that has nothing yet: Python, pip and make.
set -eu
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    ca-certificates make python3 python3-venv
apt-get clean
rm -rf /var/lib/apt/lists/*
