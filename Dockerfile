# A first image: the locked release build on a small base, as nobody in particular. Both bases can be replaced, for
# instance by digests of a registry of your own.
ARG BUILD_IMAGE=rust:1-slim-bookworm
ARG RUN_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
# aws-lc is C: it needs a compiler, headers, cmake for some targets, and nothing at run time.
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev make cmake \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src ./src
# Without the demo.
RUN cargo build --release --locked --no-default-features --bin keycard

FROM ${RUN_IMAGE}
# The roots that identity providers and upstreams are checked against.
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/keycard /usr/local/bin/keycard
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/keycard/
USER 65532:65532
EXPOSE 8080
# `serve` drains on SIGTERM. The configuration is mounted; secrets belong into files or the environment, not the image.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/keycard"]
CMD ["serve", "--config", "/etc/keycard/keycard.toml"]
