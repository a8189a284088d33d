"""Uploads a file with requests and the token in MIZUCHI_TOKEN.

    upload_requests.py FILE KEY
"""

import mimetypes
import os
import sys
from urllib.parse import quote

import requests

CONNECT_SECONDS = 5
ANSWER_SECONDS = 300


def upload(file: str, key: str) -> requests.Response:
    url = os.environ.get("MIZUCHI_URL", "http://127.0.0.1:8080")
    headers = {
        "Authorization": f"Bearer {os.environ['MIZUCHI_TOKEN']}",
        "Content-Type": mimetypes.guess_type(file)[0] or "application/octet-stream",
    }
    # requests streams an open file, and takes Content-Length from it.
    with open(file, "rb") as body:
        return requests.put(
            f"{url}/uploads/{quote(key)}", data=body, headers=headers, timeout=(CONNECT_SECONDS, ANSWER_SECONDS)
        )


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        answer = upload(*sys.argv[1:])
    except KeyError as missing:
        sys.exit(f"{missing} is not set")
    except (requests.RequestException, OSError) as error:
        sys.exit(f"not uploaded: {error}")
    if not answer.ok:
        sys.exit(f"not uploaded: {answer.status_code} {answer.text}")
    print(f"uploaded {sys.argv[1]}, ETag {answer.headers['ETag']}")


if __name__ == "__main__":
    main()
