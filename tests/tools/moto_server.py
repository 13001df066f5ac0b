"""Starts moto with a store that one request changes at a time, and that forgets what was deleted.

moto answers in threads, and changes the versions of a key by reading their list and writing another one: a version that
was deleted meanwhile comes back, one that was put is lost. It also keeps a list of all that it ever made, bytes
included, to dispose of at a reset: a thousand kills' worth of writes took all memory of a machine of 24 GiB.
"""

import functools
import sys
import threading

from moto.s3.models import FakeKey, FakeMultipart, S3Backend
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


class Forgetful(list):
    def append(self, _instance):
        pass


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

for model in [FakeKey, FakeMultipart]:
    if not isinstance(getattr(model, "instances_tracked", None), list):
        sys.exit(f"moto tracks no instances of {model.__name__} any more: see {__file__}")
    model.instances_tracked = Forgetful()

main(sys.argv[1:])
