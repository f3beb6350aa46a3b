# The gateway and the few files that it needs; no shell, no package manager, nobody's user. `tests/image` builds and
# tries it. 24.6 MB, 10 MB compressed. Build arguments:
#
#   BUILD_IMAGE  where it is compiled: Rust, a C compiler with its headers (aws-lc is C), and CA certificates
#   RUN_IMAGE    what it lies on; nothing. Give a base of your own if it has to have something in it
#   PROFILE      `release`, or `image`: without optimisation across crates, quicker to build, larger
#   FEATURES     `demo` adds `keycard demo`; production images have none
#   VERSION, REVISION  for the labels
ARG BUILD_IMAGE=docker.io/library/rust:1-slim-bookworm
ARG RUN_IMAGE=scratch

FROM ${BUILD_IMAGE} AS build
ARG PROFILE=release
ARG FEATURES=
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# Cargo.toml names these two, and cargo insists that they are there; neither is compiled.
COPY tests/it.rs tests/leak_sweep.rs ./tests/
COPY src ./src
RUN cargo build --locked --profile "$PROFILE" --no-default-features --features "$FEATURES" --bin keycard
COPY LICENSE-APACHE LICENSE-MIT ./
# The root file system: the binary, the C library it is linked to, the roots that providers and apps are checked against,
# and the files in which the C library looks up users and hosts.
RUN set -eu; \
    umask 022; \
    mkdir -p /image/etc/ssl/certs /image/etc/keycard /image/run/secrets /image/var/lib /image/usr/share/doc/keycard; \
    cp "target/$PROFILE/keycard" /image/keycard; \
    ldd /image/keycard | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }' | while read -r library; do \
      mkdir -p "/image$(dirname "$library")"; \
      cp -L "$library" "/image$library"; \
    done; \
    cp -L /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/; \
    cp LICENSE-APACHE LICENSE-MIT /image/usr/share/doc/keycard/; \
    for package in libc6 libgcc-s1; do \
      if [ -e "/usr/share/doc/$package/copyright" ]; then \
        cp -L "/usr/share/doc/$package/copyright" "/image/usr/share/doc/keycard/$package.copyright"; \
      fi; \
    done; \
    echo 'keycard:x:65532:65532:keycard:/var/lib/keycard:/nonexistent' >/image/etc/passwd; \
    echo 'keycard:x:65532:' >/image/etc/group; \
    echo 'hosts: files dns' >/image/etc/nsswitch.conf; \
    install -d -o 65532 -g 65532 -m 0700 /image/var/lib/keycard

FROM ${RUN_IMAGE}
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="Keycard" \
      org.opencontainers.image.description="A front desk for web apps: OpenID Connect sign-in, server-side sessions, one cookie." \
      org.opencontainers.image.licenses="Apache-2.0 OR MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image/ /
# The health check needs an address to ask. A variable beats the file, so another address belongs into this variable
# too; `keycard health` reads it.
ENV KEYCARD__SERVER__HEALTH_LISTEN=127.0.0.1:9090 \
    HOME=/var/lib/keycard
USER 65532:65532
WORKDIR /var/lib/keycard
# The only place that is written to: the embedded store and its key. With Redis, nothing.
VOLUME /var/lib/keycard
EXPOSE 8080
# `serve` drains on SIGTERM. The configuration is mounted; secrets belong into files or the environment, not the image.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/keycard", "health"]
ENTRYPOINT ["/keycard"]
CMD ["serve", "--config", "/etc/keycard/keycard.toml"]
