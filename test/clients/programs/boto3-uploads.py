# Uploads one file with boto3, in the way that is asked for. The argument is JSON: see ../definitions/libraries.ts.
import io
import json
import sys
import urllib.request

import boto3
import requests
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

job = json.loads(sys.argv[1])
where = {"Bucket": job["bucket"], "Key": job["key"]}
about = {"ContentType": job["contentType"], "Metadata": job["metadata"]}
# By name, as boto3 still signs URLs with version 2 in us-east-1 otherwise.
s3 = boto3.client("s3", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
MIB = 1024 * 1024


def put_bytes():
    with open(job["file"], "rb") as file:
        s3.put_object(Body=file.read(), **where, **about)


def put_file():
    with open(job["file"], "rb") as file:
        s3.put_object(Body=file, **where, **about)


def put_with_checksum():
    with open(job["file"], "rb") as file:
        s3.put_object(Body=file, ChecksumAlgorithm=job["checksum"], **where, **about)


def upload_file():
    s3.upload_file(job["file"], where["Bucket"], where["Key"], ExtraArgs=about)


def upload_file_with_crt():
    transfer = TransferConfig(preferred_transfer_client="crt")
    s3.upload_file(job["file"], where["Bucket"], where["Key"], ExtraArgs=about, Config=transfer)


def upload_fileobj():
    class Stream(io.RawIOBase):
        """Cannot seek, and does not know its length."""

        def __init__(self, file):
            self.file = file

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.file.readinto(buffer)

    with open(job["file"], "rb") as file:
        transfer = TransferConfig(multipart_chunksize=12 * MIB)
        s3.upload_fileobj(Stream(file), where["Bucket"], where["Key"], ExtraArgs=about, Config=transfer)


def presigned_put():
    headers = {"Content-Type": job["contentType"]}
    headers.update({f"x-amz-meta-{name}": value for name, value in job["metadata"].items()})
    url = s3.generate_presigned_url("put_object", Params={**where, **about}, ExpiresIn=300)
    with open(job["file"], "rb") as file:
        requests.put(url, data=file.read(), headers=headers, timeout=60).raise_for_status()


def presigned_parts():
    upload = {**where, "UploadId": s3.create_multipart_upload(**where, **about)["UploadId"]}
    parts = []
    with open(job["file"], "rb") as file:
        # An empty object is one empty part.
        while (piece := file.read(15 * MIB)) or not parts:
            number = len(parts) + 1
            url = s3.generate_presigned_url("upload_part", Params={**upload, "PartNumber": number}, ExpiresIn=300)
            request = urllib.request.Request(url, data=piece, method="PUT")
            # urllib would call it a form.
            request.add_header("Content-Type", "application/octet-stream")
            with urllib.request.urlopen(request, timeout=60) as answer:
                parts.append({"PartNumber": number, "ETag": answer.headers["ETag"]})
    listed = s3.list_parts(**upload)["Parts"]
    assert [(part["PartNumber"], part["ETag"]) for part in listed] == [(part["PartNumber"], part["ETag"]) for part in parts]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})


def read_back():
    s3.get_object(**where)


{
    "put_object, bytes": put_bytes,
    "put_object, file": put_file,
    "put_object, checksum": put_with_checksum,
    "upload_file": upload_file,
    "upload_file, CRT": upload_file_with_crt,
    "upload_fileobj": upload_fileobj,
    "presigned put_object": presigned_put,
    "presigned upload_part": presigned_parts,
    "get_object": read_back,
}[job["way"]]()
