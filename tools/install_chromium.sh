#!/bin/sh
# Debian's Chromium for the browser test, if it is missing and we may install packages.
set -eu
if command -v chromium >/dev/null 2>&1; then exit 0; fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    echo "No chromium here, and no right to install it: the browser test will be skipped (apt-get install chromium)."
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; }; then
    echo "Chromium could not be installed: the browser test will be skipped."
fi
