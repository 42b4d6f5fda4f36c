#!/bin/sh
# Says whether the torch that pip found is the build that was asked for: scripts/torch.sh .venv/bin/python cpu
# Plain package indexes hand out the CUDA build on Linux, several gigabytes that a CPU has no use for.
set -eu
python=$1
wanted=${2:-any}
found=$("$python" -c 'import torch; print("cuda" if torch.version.cuda else "cpu")')
case $wanted in
    any | "$found") exit 0 ;;
esac
echo "TORCH=$wanted was asked for, and pip found torch's $found build. For the CPU build, name PyTorch's index of CPU" >&2
echo "wheels (pytorch.org, Get Started, says which it is): PIP_EXTRA_INDEX_URL=..., for docker build as --build-arg." >&2
echo "For the CUDA build: TORCH=cuda." >&2
exit 1
