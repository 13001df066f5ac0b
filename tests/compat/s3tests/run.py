#!/usr/bin/env python3
"""Runs ceph/s3-tests against a Sallyport of its own, and compares with what passed before.

    S3TESTS_DIR=<checkout> run.py [--location local|aws_s3|azure] [--update] [pytest arguments]

`<location>.passes` beside this file lists the tests that have to pass; it may only grow, which
`--update` does. `failing.md` says why the others do not. The checkout is never copied here.
"""

import argparse
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
TOOLS = ROOT / "tests" / ".tools"
REQUIREMENTS = [
    "boto3==1.44.5", "gevent", "httplib2", "isodate", "lxml", "munch", "pytest==8.4.2", "pytest-timeout", "pytest-xdist", "pytz",
    "PyYAML", "requests",
]
# Who the suite's users are: section, name, canonical id, twelve digits, keys.
USERS = [
    ("s3 main", "M. Tester", "testid", "tester@ceph.com", "123456789012", "accessKeyMain", "secretKeyOfMain"),
    ("s3 alt", "john.doe", "56789abcdef0123456789abcdef0123456789abcdef0123456789abcdef01234",
     "john.doe@example.com", "123456789013", "accessKeyAlt", "secretKeyOfAlt"),
    ("s3 tenant", "testx$tenanteduser",
     "testx$9876543210abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "tenanteduser@example.com",
     "123456789014", "accessKeyTenant", "secretKeyOfTenant"),
    ("iam", "youruseridhere", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "s3@example.com",
     "123456789015", "accessKeyIam", "secretKeyOfIam"),
    ("iam root", "root1", "ROOT11111111111111111", "account1@ceph.com", "123456789016", "accessKeyRoot",
     "secretKeyOfRoot"),
    ("iam alt root", "root2", "ROOT22222222222222222", "account2@ceph.com", "123456789017", "accessKeyAltRoot",
     "secretKeyOfAltRoot"),
]
# A location that has a name on the wire, which us-east-1 has not.
ELSEWHERE = "eu-west-1"
# Locations that the suite takes for storage classes: what lifecycles move lands there.
CLASSES = ["LUKEWARM", "FROZEN"]
# A day of lifecycle rules is this many seconds, as the suite's `lc_debug_interval` says.
DAY_SECONDS = 10


def python():
    """The suite's own environment, made at the first run."""
    venv = TOOLS / "s3tests"
    stamp = venv / "requirements"
    if not stamp.exists() or stamp.read_text() != "\n".join(REQUIREMENTS):
        print("installing what the suite needs")
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS], check=True)
        stamp.write_text("\n".join(REQUIREMENTS))
    return venv / "bin/python"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Running:
    """A server that ends with the block, by its process id."""

    def __init__(self, command, log, environment=None, line=None, port=None):
        self.log = open(log, "w+")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env={**os.environ, **(environment or {})})
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            text = pathlib.Path(log).read_text()
            if line and line in text:
                self.found = text.split(line, 1)[1].split()[0]
                return
            if port:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        return
            time.sleep(0.1)
        self.stop()
        sys.exit(f"{command[0]} did not start:\n{pathlib.Path(log).read_text()[-4000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()


def upstream(kind, folder):
    """The backend's server, and the location that is on it."""
    if kind == "aws_s3":
        port = free_port()
        server = Running([TOOLS / "venv/bin/python", ROOT / "tests/tools/moto_server.py", "-H", "127.0.0.1", "-p", str(port)], folder / "moto.log", port=port)
        subprocess.run([TOOLS / "venv/bin/python", "-c", f"""
import boto3
s3 = boto3.client("s3", endpoint_url="http://127.0.0.1:{port}", aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1")
s3.create_bucket(Bucket="backend")
s3.put_bucket_versioning(Bucket="backend", VersioningConfiguration={{"Status": "Enabled"}})
"""], check=True)
        details = {
            "awsEndpoint": f"127.0.0.1:{port}", "bucketName": "backend", "bucketMatch": False, "https": False,
            "pathStyle": True, "credentials": {"accessKey": "key", "secretKey": "secret"},
        }
        return server, {"type": "aws_s3", "legacyAwsBehavior": True, "details": details}
    if kind == "azure":
        port = free_port()
        (folder / "azurite").mkdir()
        command = [TOOLS / "node/node_modules/.bin/azurite-blob", "--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent",
                   "--skipApiVersionCheck", "--disableTelemetry", "--location", folder / "azurite"]
        server = Running(command, folder / "azurite.log", port=port)
        # Azurite's published account.
        details = {
            "azureStorageEndpoint": f"http://127.0.0.1:{port}/devstoreaccount1",
            "azureStorageAccountName": "devstoreaccount1",
            "azureStorageAccessKey": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
            "azureContainerName": "backend", "bucketMatch": False,
        }
        return server, {"type": "azure", "legacyAwsBehavior": True, "details": details}
    return None, {"type": "local", "legacyAwsBehavior": True, "details": {}}


def serve(folder, location):
    """A Sallyport whose default location is the one under test."""
    accounts = [
        {"name": name, "email": email, "arn": f"arn:aws:iam::{digits}:root", "canonicalID": identity, "shortid": digits,
         "keys": [{"access": access, "secret": secret}]}
        for _, name, identity, email, digits, access, secret in USERS
    ]
    (folder / "authdata.json").write_text(json.dumps({"accounts": accounts}))
    plain = {"type": "local", "legacyAwsBehavior": True, "details": {}}
    locations = {"us-east-1": {**location, "objectId": "us-east-1"}, **{name: plain for name in [ELSEWHERE, *CLASSES]}}
    (folder / "locationConfig.json").write_text(json.dumps(locations))
    config = {"restEndpoints": {"127.0.0.1": "us-east-1", "localhost": "us-east-1"}, "metricsListenOn": ["127.0.0.1:0"]}
    (folder / "config.json").write_text(json.dumps(config))
    binary = os.environ.get("SALLYPORT_BIN", ROOT / "target/release/sallyport")
    plugins = os.environ.get("SALLYPORT_PLUGINS", ROOT / "target/plugins")
    command = [binary, "serve", "--config", folder / "config.json", "--locations", folder / "locationConfig.json", "--auth",
               folder / "authdata.json", "--plugins", plugins, "--data-dir", folder / "data", "--metadata-dir",
               folder / "metadata", "--listen", "127.0.0.1:0"]
    # The suite names keys that nobody makes before.
    environment = {"SALLYPORT_LIFECYCLE_DAY_SECONDS": str(DAY_SECONDS), "SALLYPORT_KMS_CREATE_KEYS": "true"}
    return Running(command, folder / "sallyport.log", environment, line="sallyport listening on http://127.0.0.1:")


def suite_configuration(folder, port):
    lines = ["[DEFAULT]", "host = 127.0.0.1", f"port = {port}", "is_secure = False", "ssl_verify = False", "[fixtures]",
             "bucket prefix = t-{random}-", "iam name prefix = s3-tests-", "iam path prefix = /s3-tests/"]
    for section, name, identity, email, _, access, secret in USERS:
        lines += [f"[{section}]", f"display_name = {name}", f"user_id = {identity}", f"email = {email}",
                  f"access_key = {access}", f"secret_key = {secret}"]
        if section == "s3 main":
            lines += [f"api_name = {ELSEWHERE}", f"lc_debug_interval = {DAY_SECONDS}", f"storage_classes = {', '.join(CLASSES)}"]
        if section == "s3 tenant":
            lines += ["tenant = testx"]
    path = folder / "s3tests.conf"
    path.write_text("\n".join(lines) + "\n")
    return path


def outcomes(report):
    """Each test's outcome; a test whose clean-up failed did not pass."""
    found = {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        if not case.get("name"):
            # What broke off has no name, and did not pass.
            continue
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        if found.get(case.get("name")) != "failed":
            found[case.get("name")] = outcome
    return found


def for_aws(suite, module, checkout, environment):
    """The tests that the suite does not mark as failing on AWS."""
    command = [*suite, "--collect-only", "-m", "not fails_on_aws", module]
    listed = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=True).stdout
    return {line.rsplit("::", 1)[1] for line in listed.splitlines() if "::" in line}


def compare(kind, found, update, whole, unmarked):
    path = HERE / f"{kind}.passes"
    expected = set(path.read_text().split()) if path.exists() else set()
    passed = {name for name, outcome in found.items() if outcome == "passed"}
    lost = sorted(name for name in expected - passed if whole or name in found)
    new = sorted(passed - expected)
    counts = {outcome: sum(1 for value in found.values() if value == outcome) for outcome in ("passed", "failed", "skipped")}
    print(f"{kind}: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped of {len(found)}")
    if whole:
        print(f"{kind}: of the {len(unmarked)} tests that are not marked fails_on_aws {len(passed & unmarked)} pass")
    if update:
        path.write_text("".join(f"{name}\n" for name in sorted(expected | passed)))
        print(f"{len(new)} new passes are listed")
    elif new:
        print(f"{len(new)} tests pass that are not listed yet: run again with --update")
    for name in lost:
        print(f"LOST {name}")
    return 1 if lost else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--location", choices=["local", "aws_s3", "azure"], default="local")
    parser.add_argument("--update", action="store_true")
    parser.add_argument("--workers", type=int, default=4, help="tests at a time; many wait for lifecycles")
    parser.add_argument("--keep", type=pathlib.Path, help="where the suite's report and the server's log are copied to")
    options, rest = parser.parse_known_args()
    checkout = os.environ.get("S3TESTS_DIR")
    if not checkout or not (pathlib.Path(checkout) / "s3tests").is_dir():
        sys.exit("S3TESTS_DIR has to name a checkout of ceph/s3-tests (git clone https://github.com/ceph/s3-tests)")
    interpreter = python()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        backend, location = upstream(options.location, folder)
        server = serve(folder, location)
        try:
            report = folder / "report.xml"
            environment = {
                **os.environ, "S3TEST_CONF": str(suite_configuration(folder, server.found)), "AWS_MAX_ATTEMPTS": "1",
                "AWS_EC2_METADATA_DISABLED": "true", "BOTO_CONFIG": "/dev/null", "PYTHONPATH": checkout,
            }
            suite = [interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--timeout=200"]
            module = "s3tests/functional/test_s3.py"
            with open(folder / "suite.log", "w") as log:
                command = [*suite, "-n", str(options.workers), f"--junitxml={report}", *rest, module]
                subprocess.run(command, cwd=checkout, env=environment, stdout=log, stderr=log)
            if not report.exists():
                sys.exit("the suite left no report:\n" + (folder / "suite.log").read_text()[-4000:])
            if server.process.poll() is not None:
                print("the server ended before the suite did")
            found = outcomes(report)
            failed = [f"{module}::{name}" for name, outcome in found.items() if outcome == "failed"]
            if failed and options.workers > 1:
                # Some count what others make meanwhile: those that failed are asked again alone.
                alone = folder / "alone.xml"
                with open(folder / "suite.log", "a") as log:
                    command = [*suite, f"--junitxml={alone}", *failed]
                    subprocess.run(command, cwd=checkout, env=environment, stdout=log, stderr=log)
                found.update(outcomes(alone))
            unmarked = for_aws(suite, module, checkout, environment)
            status = compare(options.location, found, options.update, whole=not rest, unmarked=unmarked)
        finally:
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                for name in ("report.xml", "alone.xml", "suite.log", "sallyport.log"):
                    if (folder / name).exists():
                        (options.keep / name).write_bytes((folder / name).read_bytes())
            server.stop()
            if backend:
                backend.stop()
    sys.exit(status)


if __name__ == "__main__":
    main()
