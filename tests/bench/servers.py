# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The servers that are compared, each started anew for each run."""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import peers

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

from ports import free_port  # noqa: E402  it is found by the path set above

START_SECONDS = 30
_libc = ctypes.CDLL(None)


def die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _packet(link):
    """What follows the fixed header of a short MQTT packet."""
    with link.makefile("rb", buffering=0) as stream:
        length = (stream.read(1) + stream.read(1))[1]
        body = b""
        while len(body) < length:
            more = stream.read(length - len(body))
            if not more:
                raise OSError("hung up")
            body += more
    return body


class Server:
    """start() returns when it answers."""

    def __init__(self, bench, work):
        self.bench, self.work, self.port = bench, work, free_port()
        self.process = None
        self.start_s = 0.0

    def command(self):
        raise NotImplementedError

    def environment(self):
        return dict(os.environ)

    def answers(self):
        with socket.create_connection(("127.0.0.1", self.port), 1):
            return True

    def start(self):
        os.makedirs(self.work, exist_ok=True)
        command, environment = self.command(), self.environment()
        self.log = os.path.join(self.work, "log")
        with open(self.log, "wb") as log:
            begun = time.monotonic()
            self.process = subprocess.Popen(command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=environment,
                                            preexec_fn=die_with_parent, cwd=self.work)
        while not self._try():
            if self.process.poll() is not None or time.monotonic() - begun > START_SECONDS:
                self.stop()
                raise RuntimeError(f"{command[0]} does not start:\n{self.log_text()[-2000:]}")
            time.sleep(0.001)
        self.start_s = time.monotonic() - begun
        self.settle(begun + START_SECONDS)
        return self

    def settle(self, deadline):
        """Waits for what the server still has to do after it has begun to answer."""

    def _try(self):
        try:
            return self.answers()
        except OSError:
            return False

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as text:
            return text.read()

    def forget(self):
        """Removes what a warm-up has left in the way of the run."""

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def write(self, name, lines):
        path = os.path.join(self.work, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write("\n".join(lines) + "\n")
        return path


class Mosquitto(Server):
    """options=None: without the plugin."""

    CONNECT = (b"\x10\x11\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x04wait")
    # PUBLISH, QoS 1, packet id 1, of nothing to $file/x/abort
    ABORT = b"\x32\x12\x00\x0d$file/x/abort\x00\x01\x00"

    def __init__(self, bench, work, options=None, config=()):
        super().__init__(bench, work)
        self.options, self.config = options, list(config)
        self.storage = os.path.join(work, "storage")

    def command(self):
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "log_dest stderr",
                 "set_tcp_nodelay true",
                 # Of a subscriber that is slower than the uploader nothing is to be lost.
                 "max_queued_messages 0"] + self.config
        if os.geteuid() == 0:
            lines.append("user root")
        if self.options is not None:
            options = {"storage_dir": self.storage, **self.options}
            lines.append(f"plugin {self.bench.plugin}")
            lines += [f"plugin_opt_{key} {value}" for key, value in options.items()]
        return [self.bench.mosquitto, "-c", self.write("mosquitto.conf", lines)]

    def answers(self):
        with socket.create_connection(("127.0.0.1", self.port), 1) as link:
            link.settimeout(START_SECONDS)
            link.sendall(self.CONNECT)
            return link.recv(1) == b"\x20"

    def settle(self, deadline):
        """The plugin makes its acknowledgement sink: until then it answers 0x10."""
        while self.options is not None and not self._accepts():
            if time.monotonic() > deadline:
                raise RuntimeError(f"no acknowledgement sink:\n{self.log_text()[-1000:]}")
            time.sleep(0.002)

    def _accepts(self):
        with socket.create_connection(("127.0.0.1", self.port), 1) as link:
            link.settimeout(START_SECONDS)
            link.sendall(self.CONNECT + self.ABORT)
            _packet(link)
            puback = _packet(link)
            return len(puback) == 2 or puback[2] == 0


class Offering(Mosquitto):
    """With a file that devices may fetch: the bytes of the load generator."""

    NAME = "app.bin"

    def __init__(self, bench, work, size, options=None, config=()):
        super().__init__(bench, work, options, config)
        self.size = size

    def start(self):
        if self.options is not None:
            folder = os.path.join(self.storage, "offers", "all")
            os.makedirs(folder)
            path = os.path.join(folder, self.NAME)
            subprocess.run([self.bench.load, "file", "--size", str(self.size), "--dir", path], check=True)
            os.utime(path, (1e9, 1e9))
        return super().start()


class Folder(Server):
    """A server that keeps files under the names that clients give them."""

    def forget(self):
        for name in os.listdir(self.storage):
            os.unlink(os.path.join(self.storage, name))


class Nginx(Folder):
    """PUT by its dav module; worker processes as Debian sets them."""

    def __init__(self, bench, work):
        super().__init__(bench, work)
        self.storage = os.path.join(work, "files")
        self.program, self.env = peers.debian("nginx", bench.build)

    def environment(self):
        return self.env

    def command(self):
        for name in ("files", "body", "temp"):
            os.makedirs(os.path.join(self.work, name), exist_ok=True)
        user = "user root;" if os.geteuid() == 0 else ""
        temps = " ".join(f"{kind}_temp_path {self.work}/temp;"
                         for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        conf = self.write("nginx.conf", [
            f"{user} worker_processes auto; daemon off; pid {self.work}/pid;",
            f"error_log {self.work}/log error;",
            "events { worker_connections 1024; }",
            f"http {{ access_log off; {temps} client_body_temp_path {self.work}/body;",
            "client_max_body_size 0; client_body_buffer_size 256k;",
            "keepalive_requests 1000000; tcp_nodelay on;",
            f"server {{ listen 127.0.0.1:{self.port}; root {self.storage};",
            "location / { dav_methods PUT; create_full_put_path on; } } }"])
        return [self.program, "-c", conf, "-p", self.work, "-e", f"{self.work}/log"]


class Vsftpd(Folder):
    """Anonymous upload, one process per session, as it is."""

    USER = "daemon"  # needs a home that exists

    def __init__(self, bench, work):
        super().__init__(bench, work)
        self.program, self.env = peers.debian("vsftpd", bench.build)
        self.root = os.path.join(work, "root")
        self.storage = os.path.join(self.root, "up")

    def environment(self):
        return self.env

    def command(self):
        empty = os.path.join(self.work, "empty")
        # vsftpd refuses an anonymous session whose root is writable.
        for path in (self.storage, empty):
            os.makedirs(path, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.storage, self.USER)
        conf = self.write("vsftpd.conf", [
            "listen=YES", "listen_ipv6=NO", f"listen_port={self.port}",
            "listen_address=127.0.0.1", "background=NO", "anonymous_enable=YES",
            "no_anon_password=NO", "local_enable=NO", "write_enable=YES",
            "anon_upload_enable=YES", "anon_umask=027",
            f"anon_root={self.root}", f"ftp_username={self.USER}", f"secure_chroot_dir={empty}",
            "xferlog_enable=NO", "pasv_address=127.0.0.1", "seccomp_sandbox=NO",
            "max_clients=0", "max_per_ip=0", "isolate=NO", "isolate_network=NO"]
            + ([] if os.geteuid() == 0 else ["run_as_launching_user=YES"]))
        return [self.program, conf]

    def answers(self):
        with socket.create_connection(("127.0.0.1", self.port), 1) as link:
            link.settimeout(START_SECONDS)
            return link.recv(4)[:3] == b"220"


class Tus(Server):
    """The official server, on node."""

    def __init__(self, bench, work):
        super().__init__(bench, work)
        self.run, _ = peers.tus(bench.build)
        self.storage = os.path.join(work, "files")

    def command(self):
        os.makedirs(self.storage, exist_ok=True)
        return self.run + [str(self.port), self.storage]


class Bare(Folder):
    """No protocol, nothing verified: bytes from a socket to a file, hashed by a second thread."""

    def __init__(self, bench, work, hashing=True):
        super().__init__(bench, work)
        self.hashing = hashing
        self.storage = os.path.join(work, "files")

    def command(self):
        os.makedirs(self.storage, exist_ok=True)
        return [self.bench.load, "tcp-sink", "--port", str(self.port), "--dir", self.storage] \
            + (["--file-sum"] if self.hashing else [])
