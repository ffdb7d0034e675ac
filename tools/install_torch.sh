#!/bin/sh
# Install torch in its small CPU build where there is no NVIDIA card: on Linux the package index gives a build with
# gigabytes of CUDA to everybody. Where the CPU builds' own index cannot be reached, one quick try, then the index that can.
set -eu
python=$1
torch=$(grep '^torch==' constraints.txt)
cpu_builds=https://download.pytorch.org/whl/cpu

if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null 2>&1; then
    if "$python" -m pip install --quiet --no-deps --retries 0 --timeout 10 --index-url "$cpu_builds" "$torch" 2>/dev/null
    then exit 0
    fi
    echo "The index of torch's CPU builds is out of reach: taking torch from the usual index."
fi
"$python" -m pip install --quiet "$torch"
