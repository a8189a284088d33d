#!/bin/sh
# Runs a command for which mc knows this MinIO as `minio`, by its administrator.
set -eu
. "$MINIO_SECRETS"
export MC_HOST_minio="http://$MINIO_ROOT_USER:$MINIO_ROOT_PASSWORD@$MINIO_ADDRESS"
exec "$@"
