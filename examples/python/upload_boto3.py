"""Uploads a file with boto3, in parts when it is large; or prints a URL that somebody else can upload it to.

    upload_boto3.py FILE KEY
    upload_boto3.py --presign KEY

The keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, as boto3 does it.
"""

import argparse
import mimetypes
import os
import sys

import boto3
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = "uploads"
MIB = 1024 * 1024


def create_client():
    return boto3.client(
        "s3",
        endpoint_url=os.environ.get("MIZUCHI_URL", "http://127.0.0.1:8080"),
        region_name=os.environ.get("AWS_REGION", "us-east-1"),
        # Without the version boto3 presigns by Signature Version 2 in us-east-1, which the proxy refuses.
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


def upload(file: str, key: str) -> None:
    content_type = mimetypes.guess_type(file)[0] or "application/octet-stream"
    create_client().upload_file(
        file,
        BUCKET,
        key,
        ExtraArgs={"ContentType": content_type},
        # Files of 16 MiB and more go in parts of 8 MiB, four at a time.
        Config=TransferConfig(multipart_threshold=16 * MIB, multipart_chunksize=8 * MIB, max_concurrency=4),
    )
    print(f"uploaded {file} as {key}")


def presign(key: str) -> None:
    params = {"Bucket": BUCKET, "Key": key}
    print(create_client().generate_presigned_url("put_object", Params=params, ExpiresIn=300))


def main() -> None:
    parser = argparse.ArgumentParser(description="Uploads a file through Mizuchi Uploadr.")
    parser.add_argument("--presign", action="store_true", help="print a URL instead, good for five minutes")
    parser.add_argument("names", nargs="+", metavar="FILE KEY")
    arguments = parser.parse_args()
    if len(arguments.names) != (1 if arguments.presign else 2):
        parser.error("FILE and KEY are needed, or --presign and KEY")
    try:
        (presign if arguments.presign else upload)(*arguments.names)
    except (S3UploadFailedError, ClientError, BotoCoreError, OSError) as error:
        sys.exit(f"not uploaded: {error}")


if __name__ == "__main__":
    main()
