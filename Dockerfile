# The images of Tiffin: `docker build --target api .`, and so on; `make images` builds all of them.
#
# Each is one static program in an otherwise empty image, for the platform that the build is asked for. Everything is
# compiled on the builder's own platform: zig is the C compiler and the linker for the other one.

ARG RUST_IMAGE=rust:1.95-slim-trixie

FROM --platform=$BUILDPLATFORM ${RUST_IMAGE} AS toolchain
# In place of rust-toolchain.toml, whose components only developers need.
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake python3-pip \
 && rm -rf /var/lib/apt/lists/* \
 && pip install --break-system-packages --no-cache-dir cargo-zigbuild==0.24.1 ziglang==0.16.0 \
 && rustup target add x86_64-unknown-linux-musl aarch64-unknown-linux-musl
RUN cargo install --locked cargo-chef@0.1.77
WORKDIR /src

FROM toolchain AS recipe
COPY . .
RUN cargo chef prepare --recipe-path recipe.json

# Dependencies are compiled before the sources are there, so that they are compiled again only when they change.
FROM toolchain AS build
ARG TARGETARCH
RUN case "$TARGETARCH" in \
      amd64) echo x86_64-unknown-linux-musl ;; \
      arm64) echo aarch64-unknown-linux-musl ;; \
      *) echo "there is no image for $TARGETARCH: amd64 and arm64 there are" >&2; exit 1 ;; \
    esac > /target
ENV PROGRAMS="-p tiffin-api -p tiffin-orders -p tiffin-notifier -p tiffin-cli"
COPY --from=recipe /src/recipe.json .
RUN cargo chef cook --release --zigbuild --target "$(cat /target)" --recipe-path recipe.json $PROGRAMS
COPY . .
RUN cargo zigbuild --locked --release --target "$(cat /target)" $PROGRAMS \
 && install -D -t /out "target/$(cat /target)/release/tiffin-api" "target/$(cat /target)/release/tiffin-orders" \
      "target/$(cat /target)/release/tiffin-notifier" "target/$(cat /target)/release/tiffin" \
 # Those of Debian's package alone: the builder may trust others, too.
 && cat /usr/share/ca-certificates/mozilla/*.crt > /out/ca-certificates.crt

# What the four images have in common. Certificates are for NATS servers, and gateways that `tiffin` calls, with a public
# one; what databases with a public one need is in the programs.
FROM scratch AS base
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.revision=$REVISION \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /out/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM base AS api
LABEL org.opencontainers.image.title=tiffin-api \
      org.opencontainers.image.description="Takes food orders over GraphQL and publishes them"
COPY --from=build /out/tiffin-api /usr/local/bin/
EXPOSE 8080 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/usr/local/bin/tiffin-api", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/tiffin-api"]

FROM base AS orders
LABEL org.opencontainers.image.title=tiffin-orders \
      org.opencontainers.image.description="Carries food orders through payment, kitchen and courier"
COPY --from=build /out/tiffin-orders /usr/local/bin/
EXPOSE 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/usr/local/bin/tiffin-orders", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/tiffin-orders"]

FROM base AS notifier
LABEL org.opencontainers.image.title=tiffin-notifier \
      org.opencontainers.image.description="Pushes updates of food orders to GraphQL subscribers"
COPY --from=build /out/tiffin-notifier /usr/local/bin/
EXPOSE 8080 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/usr/local/bin/tiffin-notifier", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/tiffin-notifier"]

FROM base AS cli
LABEL org.opencontainers.image.title=tiffin \
      org.opencontainers.image.description="The operator's program for Tiffin"
COPY --from=build /out/tiffin /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/tiffin"]
