# syntax=docker/dockerfile:1
#
# One static binary in an otherwise empty image, for amd64 and arm64:
#
#   docker build -t chaos-proxy .
#   docker run --rm -p 15432:15432 -v "$PWD:/etc/chaos-proxy:ro" chaos-proxy --config /etc/chaos-proxy/routes.yaml
#
# It needs BuildKit (the default since Docker 23), podman or buildah.

# What an SBOM is made from: the image itself shows no more than one file.
ARG BUILDKIT_SBOM_SCAN_CONTEXT=true

# The compiler runs on the machine that builds, and cross-compiles from there: nothing is emulated.
FROM --platform=$BUILDPLATFORM rust:1.95.0-slim-bookworm AS build
WORKDIR /src

# musl and not glibc: it finds names by /etc/hosts and /etc/resolv.conf alone. A static glibc would load what an
# nsswitch.conf names into itself, modules made for another glibc. The compiler brings musl and a linker along.
RUN rustup target add x86_64-unknown-linux-musl aarch64-unknown-linux-musl
ENV CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld \
    CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld

# The dependencies: this layer is only made again when they are others.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches && touch src/lib.rs src/main.rs benches/engine.rs && cargo fetch --locked

# The README is the library's front page, and the example is what `demo` serves.
COPY build.rs README.md config.example.yaml ./
COPY src src
COPY benches benches
# What --version says: there is no repository in here to be asked.
ARG COMMIT=""
ARG SOURCE_DATE_EPOCH=""
# `amd64` or `arm64`, set by BuildKit. Each has its own cache, or two that are built at once would wait for each other.
ARG TARGETARCH
RUN --mount=type=cache,id=chaos-proxy-$TARGETARCH,target=/src/target \
    case "$TARGETARCH" in \
      amd64) target=x86_64-unknown-linux-musl ;; \
      arm64) target=aarch64-unknown-linux-musl ;; \
      *) echo "no image is made for the architecture $TARGETARCH" >&2; exit 1 ;; \
    esac && \
    # In the cache a file may be younger than its copy: what cargo goes by is the time.
    find src build.rs -type f -exec touch {} + && \
    CHAOS_PROXY_COMMIT="$COMMIT" cargo build --release --locked --offline --bin chaos-proxy --target "$target" && \
    cp "target/$target/release/chaos-proxy" /chaos-proxy

FROM scratch
ARG VERSION=""
ARG COMMIT=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="chaos-proxy" \
      org.opencontainers.image.description="A TCP proxy that makes the network go wrong: on purpose, exactly as asked, and the same way again tomorrow." \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT" \
      org.opencontainers.image.source="$SOURCE"
COPY --from=build --chmod=755 /chaos-proxy /chaos-proxy

# Inside a container the loopback reaches nobody: routes that say nothing else can be reached from outside. In a pod or
# a shared network namespace set it to 127.0.0.1.
ENV CHAOS_PROXY_BIND="*"
# The control API stays on the container's loopback, where HEALTHCHECK and `docker exec … /chaos-proxy routes` find it.
# To publish it, with arguments of your own, give CHAOS_PROXY_ADMIN=0.0.0.0:8474 and a token (CHAOS_PROXY_TOKEN or
# CHAOS_PROXY_TOKEN_FILE).
EXPOSE 8474
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 CMD ["/chaos-proxy", "healthcheck"]
ENTRYPOINT ["/chaos-proxy"]
# Without arguments it stands in for a Toxiproxy, whose clients know no token: its paths are open to the network of the
# container, and nothing else is. Whoever gives arguments of his own opens nothing.
CMD ["-host=0.0.0.0"]
