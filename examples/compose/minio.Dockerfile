# MinIO and mc from their sources: the modules that the tests of this project build and run.
FROM golang:1.26-bookworm AS build
ENV CGO_ENABLED=0 GOBIN=/out
RUN go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
RUN go install github.com/minio/mc@v0.0.0-20250313080218-cf909e1063a9

FROM debian:bookworm-slim
COPY --from=build /out/minio /out/mc /usr/local/bin/
ENTRYPOINT ["minio"]
