#!/usr/bin/env bash
# smoke.sh URL [COMMAND…]: looks from outside whether an installation of Tiffin works. Places 50 orders at its gateway,
# has 50 subscribers follow some of them over WebSocket and server-sent events, looks at each at its end, cancels five more,
# and ends green or says what was wrong.
# Each COMMAND restarts something and returns when that is ready again; they are run one after the other while orders are
# placed and watched, and nothing may be lost by it.
#
#   deploy/smoke.sh http://localhost:8080
#   deploy/smoke.sh http://localhost:8080 'docker compose restart api' 'docker compose restart orders'
#
# It needs curl, and Rust, which builds the subscribers. TIFFIN_API_KEY is a customer's key, if it is another than that of
# `docker compose up`.
set -euo pipefail
[ $# -gt 0 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2; }
cd "$(dirname "$0")/.."
url=${1%/}
shift
export TIFFIN_API_KEY=${TIFFIN_API_KEY:-da2-tiffindevelopmentkey000000}

fail() { echo "NOT WELL: $*" >&2; exit 1; }

graphql() { # QUERY
    # The key is read from the standard input, where no list of processes shows it.
    curl --silent --show-error --max-time 20 "$url/graphql" --header @- --header 'content-type: application/json' \
        --data "{\"query\": \"$1\"}" <<<"x-api-key: $TIFFIN_API_KEY"
}

cancel_one() {
    local answer id
    answer=$(graphql 'mutation { createOrder(input: {products: [{name: \"Dal\", quantity: 1}]}) { id } }')
    id=$(sed -n 's/.*"id":"\([^"]*\)".*/\1/p' <<<"$answer")
    [ -n "$id" ] || fail "an order was not taken: $answer"
    answer=$(graphql "mutation { cancelOrder(input: {id: \\\"$id\\\"}) { status } }")
    [[ $answer == *'"status":"CANCELLED"'* ]] || fail "order $id was not cancelled: $answer"
    answer=$(graphql "{ order(id: \\\"$id\\\") { status version } }")
    [[ $answer == *'"status":"CANCELLED"'* ]] || fail "order $id does not stay cancelled: $answer"
    echo "order $id was cancelled"
}

cargo build --quiet --package tiffin-tests --bin load
load=("${CARGO_TARGET_DIR:-target}/debug/load" --url "$url" --subscribers 50 --rate 5)
[ $# -gt 0 ] || load+=(--seconds 10)
"${load[@]}" &
watching=$!
trap 'kill $watching 2>/dev/null || true' EXIT
for _ in 1 2 3 4 5; do cancel_one; done
for restart in "$@"; do
    sleep 3 # Some orders between two restarts.
    echo "restarting: $restart"
    bash -c "$restart" || fail "$restart: exit code $?"
done
if [ $# -gt 0 ]; then
    sleep 3
    kill -TERM $watching
fi
wait $watching || fail "see above"
trap - EXIT
echo "all is well"
