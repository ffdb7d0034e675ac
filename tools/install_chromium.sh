#!/bin/sh
# Debian's Chromium for the browser tests, if it is missing and we may install packages.
set -eu
for program in chromium chromium-browser google-chrome; do
    if command -v "$program" >/dev/null 2>&1; then exit 0; fi
done
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    echo "No chromium here, and no right to install it: the browser tests will be skipped (apt-get install chromium)."
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; }; then
    echo "Chromium could not be installed: the browser tests will be skipped."
fi
