# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The plugin never changes who gets in: every combination of Mosquitto's authentication options,
with the plugin and without it; while the broker starts, when it has started, and over a reload."""
import itertools
import os
import signal
import socket
import subprocess
import threading
import time

from harness import Case, broker_version, rows, spread
from ondisk import eventually
from rawmqtt import Client
from settings import PASSWORD, DynamicSecurity, OverTls
from transport import Tcp

IS_21 = broker_version() >= (2, 1, 0)
KEY = "0123456789abcdef"

# name: client id, user name, password
LOGINS = {
    "nobody": ("c1", None, None),
    "nobody, no id": ("", None, None),
    "the user": ("c2", "anna", PASSWORD),
    "the user, wrong password": ("c3", "anna", "wrong"),
    "the user, no password": ("c4", "anna", None),
    "a stranger": ("c5", "carl", "word"),
    "a stranger, no password": ("c6", "carl", None),
}


EARLY = ("nobody", "the user", "the user, wrong password", "a stranger")


class Access(OverTls):
    """One listener, and who may log in on it."""

    def __init__(self, per_listener, anonymous, users, username_as_id, tls=None):
        self.per_listener, self.anonymous, self.users = per_listener, anonymous, users
        self.username_as_id, self.tls = username_as_id, tls

    def first(self, broker):
        return ["per_listener_settings true"] if self.per_listener else []

    def listener(self, broker):
        lines = [f"listener {broker.port} 127.0.0.1"]
        if self.tls == "tls":
            lines = super().listener(broker)
        if self.tls == "psk":
            path = os.path.join(broker.dir, "psk")
            with open(path, "w", encoding="ascii") as out:
                out.write(f"anna:{KEY}\n")
            lines += [f"psk_file {path}", "psk_hint hint", "use_identity_as_username true"]
        return lines + (["use_username_as_clientid true"] if self.username_as_id else [])

    def access(self, broker):
        lines = [f"allow_anonymous {'true' if self.anonymous else 'false'}"]
        if self.users == "password_file":
            path = os.path.join(broker.dir, "passwords")
            if not os.path.exists(path):
                subprocess.run(["mosquitto_passwd", "-b", "-c", path, "anna", PASSWORD], check=True,
                               stderr=subprocess.DEVNULL)
                os.chmod(path, 0o644)
            lines.append(f"password_file {path}")
        return lines

    def after(self, broker):
        if self.users != "dynamic_security":
            return []
        return DynamicSecurity().after(broker)

    def endpoint(self, broker):
        return super().endpoint(broker) if self.tls == "tls" else Tcp(broker.port)

    def name(self):
        words = ["per_listener" if self.per_listener else "global",
                 "anonymous" if self.anonymous else "closed", self.users or "no_users"]
        return " ".join(words + ["username_as_id"] * self.username_as_id + [self.tls or "plain"])


COMBINATIONS = [Access(*axes) for axes in itertools.product(
    (False, True), (True, False), (None, "password_file", "dynamic_security"), (False, True))]
COMBINATIONS += [Access(*axes, "tls") for axes in itertools.product(
    (False,), (True, False), (None, "password_file", "dynamic_security"), (False,))]
PSK = [Access(*axes, "psk") for axes in itertools.product(
    (False,), (True, False), (None, "password_file"), (False, True))]


def attempt(broker, name, suffix=""):
    """The CONNACK's code, "closed" where there was none, None where nobody listens yet."""
    client_id, username, password = LOGINS[name]
    client = Client(broker.endpoint, client_id and client_id + suffix, username=username,
                    password=password)
    try:
        client.connect(expect=None)
    except (ConnectionRefusedError, FileNotFoundError):
        return None
    except (OSError, AssertionError):
        return "closed"
    finally:
        client.close()
    return client.connack.code


def is_alive(client):
    try:
        client.ping()
        return True
    except (OSError, AssertionError):
        return False


def listens(broker):
    """Whether it takes connections; that it is running it says before."""
    try:
        socket.create_connection(("127.0.0.1", broker.port), 5).close()
        return True
    except ConnectionRefusedError:
        return False


def connack_by_psk(broker, identity, key):
    """The CONNACK's first bytes; empty where TLS is refused, or the broker closes."""
    with subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{broker.port}", "-quiet",
                           "-psk", key, "-psk_identity", identity, "-tls1_2"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as openssl:
        try:
            openssl.stdin.write(Client(0, "c").connect_packet())
            openssl.stdin.flush()
        except BrokenPipeError:
            pass
        answer = openssl.stdout.read(4)
        openssl.kill()
    return answer


class Rush:
    """Clients of one kind that try to log in again and again from before the broker listens on."""

    def __init__(self, broker, name):
        self.broker, self.name, self.codes, self.over = broker, name, set(), False
        self.tries = 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over:
            code = attempt(self.broker, self.name, "rush") if self.broker.port else None
            if code is not None:
                self.codes.add(code)
                self.tries += 1
            time.sleep(0.002)  # leaves the processor to the broker that is starting, and to others

    def end(self):
        try:
            eventually(lambda: self.tries >= 3, f"{self.name} to have tried")
        finally:
            self.over = True
        self.thread.join()
        return self.codes


@spread
class WhoGetsIn(Case):
    """The same with the plugin and without it."""

    shared = False

    def reload(self, broker):
        before = broker.log().count("Reloading config")
        broker.process.send_signal(signal.SIGHUP)
        eventually(lambda: broker.log().count("Reloading config") > before, "the reload")

    def begin(self, setting, with_plugin):
        plugin = {} if with_plugin else {"plugin": None}
        broker = self.start_broker(start=False, setting=setting, **plugin)
        if setting.tls == "tls":
            setting.certificate(broker)  # before clients ask for it all at once
        return broker

    def begin_psk(self, setting, with_plugin):
        broker = self.begin(setting, with_plugin)
        broker._launch()  # the harness waits for a CONNACK, and there is none without a key
        eventually(lambda: listens(broker), "the broker to listen")
        return broker

    def outcomes(self, setting, with_plugin):
        broker = self.begin(setting, with_plugin)
        rushes = [Rush(broker, name) for name in EARLY]
        try:
            broker.start()
        finally:
            # With user names as ids, clients of one user throw each other out of the broker.
            early = {rush.name: rush.end() - {"closed"} for rush in rushes}
        late = {name: attempt(broker, name) for name in LOGINS}
        online = {}
        for name, (client_id, username, password) in LOGINS.items():
            if late[name] == 0 and username in (None, "anna"):
                online[name] = Client(broker.endpoint, client_id, username=username,
                                      password=password).connect()
        if setting.username_as_id:
            online = dict(list(online.items())[-1:])
        self.reload(broker)
        survived = {name: is_alive(client) for name, client in online.items()}
        again = {name: attempt(broker, name, "2") for name in LOGINS}
        if with_plugin and online and not IS_21:
            self.assertTrue(broker.has_sink(), broker.log())
        for client in online.values():
            client.drop()
        broker.stop()
        return early, late, survived, again

    @rows(*((setting.name(), setting) for setting in COMBINATIONS))
    def test_same_logins_with_and_without(self, setting):
        early, late, survived, again = self.outcomes(setting, with_plugin=False)
        got = self.outcomes(setting, with_plugin=True)
        self.assertEqual(got, (early, late, survived, again))

    @rows(*((setting.name(), setting) for setting in PSK))
    def test_same_logins_with_and_without_over(self, setting):
        """Python's ssl knows no PSK: openssl does, and sends what a client would."""
        def outcomes(with_plugin):
            broker = self.begin_psk(setting, with_plugin)
            codes = [connack_by_psk(broker, identity, key) for identity, key in
                     (("anna", KEY), ("anna", "00" + KEY[2:]), ("carl", KEY))]
            broker.stop()
            return codes
        self.assertEqual(outcomes(True), outcomes(False))

    def test_a_listener_with_psk_only_is_named_in_the_log(self):
        if IS_21:
            self.skipTest("2.1 needs no listener")
        broker = self.begin_psk(Access(False, True, None, False, "psk"), True)
        eventually(lambda: any("no listener takes the session" in line and "PSK" in line
                               for line in broker.plugin_log()), "the warning")
        broker.stop()


class Reloads(Case):
    """A reload may change who gets in; the plugin is not in the way of it."""

    shared = False

    def test_a_broker_that_a_reload_opens_is_open_at_once(self):
        setting = Access(False, False, "password_file", False)
        broker = self.start_broker(setting=setting)
        before = broker.log().count("Reloading config")
        setting.anonymous, setting.users = True, None
        with open(os.path.join(broker.dir, "mosquitto.conf"), "w", encoding="utf-8") as out:
            out.write("\n".join(broker._config_lines()) + "\n")
        broker.process.send_signal(signal.SIGHUP)
        eventually(lambda: broker.log().count("Reloading config") > before, "the reload")
        eventually(lambda: attempt(broker, "a stranger") == 0, "a stranger to be let in", 3)
        self.assertEqual([attempt(broker, name) for name in LOGINS], [0] * len(LOGINS))
