#!/bin/sh
# Install torch in its small CPU build where there is no NVIDIA card: on Linux the package index gives a build with
# gigabytes of CUDA to everybody. Whether the CPU builds' own index can be reached is asked once, for ten seconds at most.
set -eu
python=$1
torch=$(grep '^torch==' constraints.txt)
cpu_builds=https://download.pytorch.org/whl/cpu

reachable() {
    "$python" -c "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10)" "$1" 2>/dev/null
}

if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null 2>&1; then
    if reachable "$cpu_builds/torch/"; then
        "$python" -m pip install --quiet --no-deps --index-url "$cpu_builds" "$torch"
    else
        echo "The index of torch's CPU builds is out of reach: taking torch from the usual index."
    fi
fi
"$python" -m pip install --quiet "$torch"
