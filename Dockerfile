# sms-verify as a container of its own: the program, the certificates of authorities, and nothing
# else, as a user without rights.
#
#   docker build --tag sms-verify .
#   docker run --rm --publish 8080:8080 --env-file .env sms-verify api
FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential \
    && rm -rf /var/lib/apt/lists/*
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked --package sms-verify && cp target/release/sms-verify /sms-verify

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /sms-verify /sms-verify
ENV LISTEN=0.0.0.0:8080
EXPOSE 8080 9464
# By number: Kubernetes' runAsNonRoot knows no names.
USER 65532:65532
ENTRYPOINT ["/sms-verify"]
