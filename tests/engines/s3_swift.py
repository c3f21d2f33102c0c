#!/usr/bin/python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""OpenStack Swift with its s3api, as Debian packages it: one replica, plain processes of this user,
all in one folder (with s3cmd.conf for that tool). Prints the URL of a bucket once it answers; serves until its standard input ends.

    tests/engines/s3_swift.py FOLDER

Key test:tester, secret testing, region us-east-1. FOLDER's file system must have extended attributes.
"""
import ctypes
import getpass
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from ports import free_port  # noqa: E402
# Of all servers, before they are forked.
import swift.account.server  # noqa: E402, F401
import swift.common.middleware.s3api.s3api  # noqa: E402, F401
import swift.container.server  # noqa: E402, F401
import swift.obj.server  # noqa: E402, F401
import swift.proxy.server  # noqa: E402, F401
from swift.common import utils  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import run_wsgi  # noqa: E402

KINDS = ("account", "container", "object")
READY_S = 300  # a busy machine takes long to read so much Python
SERVER = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
fallocate_reserve = 0
log_address = {folder}/no-syslog
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""
PROXY = """[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
log_address = {folder}/no-syslog
[pipeline:main]
pipeline = catch_errors cache listing_formats bulk s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{memory}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
dns_compliant_bucket_names = true
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def make_ring(folder, kind, port):
    builder = RingBuilder(1, 1, 1)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "d1",
                     "weight": 1, "replication_ip": "127.0.0.1", "replication_port": port})
    builder.rebalance()
    builder.get_ring().save(os.path.join(folder, f"{kind}.ring.gz"))


def start(folder, kind, text):
    """One server, forked: all that they have in common has been imported once. Its process id."""
    conf = os.path.join(folder, f"{kind}-server.conf")
    with open(conf, "w", encoding="ascii") as out:
        out.write(text)
    process = os.fork()
    if process:
        return process
    die_with_parent()
    nothing, log = os.open("/dev/null", os.O_RDONLY), os.open(
        os.path.join(folder, f"{kind}.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for to, descriptor in enumerate((nothing, log, log)):
        os.dup2(descriptor, to)
    # Swift looks for what its rings hash with in /etc/swift/swift.conf, and nowhere else.
    utils.SWIFT_CONF_FILE = os.path.join(folder, "swift.conf")
    utils.HASH_PATH_SUFFIX, utils.HASH_PATH_PREFIX = b"file-transfer", b""
    try:
        run_wsgi(conf, f"{kind}-server")
    finally:
        os._exit(1)  # none ends by itself
    return None


def one_has_ended():
    return os.waitpid(-1, os.WNOHANG)[0] != 0


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def make_bucket(folder, ports):
    """By s3cmd; Swift needs some seconds to begin."""
    host = f"127.0.0.1:{ports[-1]}"
    conf = os.path.join(folder, "s3cmd.conf")
    with open(conf, "w", encoding="ascii") as out:
        out.write(f"[default]\naccess_key = test:tester\nsecret_key = testing\nhost_base = {host}\n"
                  f"host_bucket = {host}\nuse_https = False\nbucket_location = us-east-1\nmax_retries = 1\n")
    said, deadline = "", time.monotonic() + READY_S
    while time.monotonic() < deadline and not one_has_ended():
        if all(answers(port) for port in ports):
            done = subprocess.run(["s3cmd", "-c", conf, "mb", "s3://bucket"], check=False,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode == 0:
                return
            said = done.stdout
        time.sleep(0.2)
    for kind in KINDS + ("proxy",):
        with open(os.path.join(folder, f"{kind}.log"), encoding="utf-8", errors="replace") as log:
            said += f"{kind}: {log.read()[-1000:]}\n"
    sys.exit(f"Swift does not answer: {said}")


def main():
    folder = os.path.abspath(sys.argv[1])
    os.makedirs(os.path.join(folder, "devices", "d1"))
    with open(os.path.join(folder, "swift.conf"), "w", encoding="ascii") as out:
        out.write("[swift-hash]\nswift_hash_path_suffix = file-transfer\n"
                  "[storage-policy:0]\nname = one\ndefault = yes\n")
    user, processes, ports = getpass.getuser(), [], [free_port() for _ in range(5)]
    memory = subprocess.Popen(
        ["memcached", "-u", user, "-l", "127.0.0.1", "-p", str(ports[3]), "-U", "0"],
        stdin=subprocess.DEVNULL, preexec_fn=die_with_parent)
    for kind, port in zip(KINDS, ports):
        make_ring(folder, kind, port)
        processes.append(start(folder, kind, SERVER.format(kind=kind, port=port, user=user,
                                                           folder=folder)))
    processes.append(start(folder, "proxy", PROXY.format(port=ports[-1], memory=ports[3], user=user, folder=folder)))
    make_bucket(folder, ports)
    print(f"http://127.0.0.1:{ports[-1]}/bucket", flush=True)
    sys.stdin.read()
    for process in processes:
        os.kill(process, signal.SIGKILL)
    memory.kill()


if __name__ == "__main__":
    main()
