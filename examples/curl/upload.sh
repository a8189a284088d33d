#!/usr/bin/env bash
# Uploads with curl, in each way that the proxy takes.
set -euo pipefail

usage="usage: upload.sh put FILE KEY       with the token in MIZUCHI_TOKEN; of any size, - is standard input
       upload.sh named FILE         likewise, and the proxy makes the key: its answer says which
       upload.sh signed FILE KEY    with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
       upload.sh url FILE URL       to a presigned URL

MIZUCHI_URL is the proxy (http://127.0.0.1:8080); CONTENT_TYPE is the type of the file (application/octet-stream)."

# A refusal is exit code 22, and S3's error is printed all the same. With Expect: 100-continue curl waits for the proxy before it
# sends the body; a refusal follows so soon that little of a large file has gone. 503 is tried again, after Retry-After.
send() {
  local file=$1
  shift
  curl --fail-with-body --silent --show-error --include --retry 3 \
    --header 'Expect: 100-continue' --header "Content-Type: ${CONTENT_TYPE:-application/octet-stream}" \
    --upload-file "$file" "$@"
}

# From a file, so that no other user of this machine can read the token among the arguments.
send_with_token() {
  local file=$1
  shift
  send "$file" --header @<(printf 'Authorization: Bearer %s' "${MIZUCHI_TOKEN:?}") "$@"
}

# As S3 has it: all but letters, digits, - . _ ~ and the slashes.
encode() {
  local LC_ALL=C text=$1 byte i
  for ((i = 0; i < ${#text}; i++)); do
    byte=${text:i:1}
    case $byte in
      [A-Za-z0-9._~/-]) printf %s "$byte" ;;
      *) printf %%%02X "'$byte" ;;
    esac
  done
}

url=${MIZUCHI_URL:-http://127.0.0.1:8080}
case "${1-} $#" in
  'put 3') send_with_token "$2" "$url/uploads/$(encode "$3")" ;;
  # curl adds the file's name to a URL that ends in a slash, unless the path is given by itself.
  'named 2') send_with_token "$2" --request-target /inbox/ "$url/inbox/" ;;
  'signed 3')
    send "$2" --aws-sigv4 "aws:amz:${AWS_REGION:-us-east-1}:s3" --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' \
      --config <(printf 'user = "%s:%s"\n' "${AWS_ACCESS_KEY_ID:?}" "${AWS_SECRET_ACCESS_KEY:?}") \
      "$url/uploads/$(encode "$3")"
    ;;
  'url 3') send "$2" "$3" ;;
  *)
    echo "$usage" >&2
    exit 2
    ;;
esac
