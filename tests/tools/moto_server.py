"""Starts moto with a store that one request changes at a time.

moto answers in threads, and changes the versions of a key by reading their list and writing another one: a version that
was deleted meanwhile comes back, one that was put is lost.
"""

import functools
import sys
import threading

from moto.s3.models import S3Backend
from moto.server import main

LOCK = threading.RLock()
CHANGES = [
    "abort_multipart_upload",
    "complete_multipart_upload",
    "copy_object",
    "create_multipart_upload",
    "delete_object",
    "delete_objects",
    "put_object",
    "put_object_tagging",
    "upload_part",
]


def one_at_a_time(change):
    @functools.wraps(change)
    def changes(*arguments, **named):
        with LOCK:
            return change(*arguments, **named)

    return changes


for name in CHANGES:
    change = getattr(S3Backend, name, None)
    if change is None:
        sys.exit(f"moto has no {name} any more: see {__file__}")
    setattr(S3Backend, name, one_at_a_time(change))

main(sys.argv[1:])
