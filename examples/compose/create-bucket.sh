#!/bin/sh
# Makes the bucket, and the user whom the proxy is to MinIO. Run at every start: what is there stays as it is.
set -eu
. "$UPLOADER_SECRETS"
mc mb --ignore-existing minio/uploads
# By standard input: the arguments of a process can be read by others.
printf '%s\n%s\n' "$S3_ACCESS_KEY" "$S3_SECRET_KEY" | mc admin user add minio >/dev/null
mc admin policy create minio upload-only "$UPLOAD_POLICY"
# Attaching what is attached is a fault to some versions of mc. The image has no grep.
case "$(mc admin user info minio "$S3_ACCESS_KEY")" in
*upload-only*) ;;
*) mc admin policy attach minio upload-only --user "$S3_ACCESS_KEY" ;;
esac
