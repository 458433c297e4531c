"""Restores a bucket's keys with boto3 and as many threads as the bench asks for."""

import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

bucket, keys, in_flight = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
# Its pool has ten connections unless told otherwise, and threads would wait for one.
config = Config(max_pool_connections=in_flight, s3={"addressing_style": "path"})
client = boto3.client("s3", config=config)
request = {"Days": 3, "GlacierJobParameters": {"Tier": "Standard"}}


def restore(number):
    client.restore_object(Bucket=bucket, Key=f"2019/08/IMG_{number:08}.jpg", RestoreRequest=request)


with ThreadPoolExecutor(in_flight) as threads:
    for _ in threads.map(restore, range(keys)):
        pass
