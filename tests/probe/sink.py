# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The acknowledgement sink: one function per scenario, called once per suite."""

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from harness import Broker, acks, build, certificate, check, clock_setter, reload, sessions, until
from ports import free_port
from mqtt5 import Client, Refused
from waking import wakes

FIXED = "$ft-ack"


def open_broker(suite):
    with Broker(suite, ["listener {port}", "allow_anonymous true", "sys_interval 1", "{plugin}"],
                name="open") as broker:
        check(f"{suite.name} open: sink is made", broker.ready())
        client = Client(broker.port)
        acks(broker, client)
        client.subscribe("#")
        client.subscribe("$file/#")
        client.publish("$file/ok/2", b"x", retain=True)
        check(f"{suite.name} open: nobody sees a swallowed message",
              client.collect(0.3) == [], client.messages)
        named = Client(broker.port, username="who", password="ever")
        check(f"{suite.name} open: user names are no matter", named.publish("a/b") in (0, 0x10))
        before = broker.fds()
        for _ in range(20):
            other = Client(broker.port)
            other.publish("$file/ok/3", b"x")
            other.close()
        broker.stays_free_of_descriptors(before)
        time.sleep(1.1)
        total, offline = sessions(client)
        check(f"{suite.name} open: one more client in $SYS", (total, offline) == (3, 1), (total, offline))


def named_clients_at_start(suite):
    """No client is refused because the sink is just being made."""
    with Broker(suite, ["listener {port}", "allow_anonymous true", "{plugin}"], name="start") as broker:
        outcomes = []
        for _ in range(200):
            try:
                client = Client(broker.port, username="who", password="ever")
                outcomes.append(client.subscribe("some/topic"))
                client.close()
            except Refused as why:
                outcomes.append(f"refused {why}")
        check(f"{suite.name} start: named clients get in at once", set(outcomes) == {0},
              set(outcomes))


def password_file(folder):
    path = os.path.join(folder, "passwd")
    subprocess.run(["mosquitto_passwd", "-b", "-c", path, "user", "word"], check=True, capture_output=True)
    os.chmod(path, 0o644)
    return path


def passwords(suite):
    folder = tempfile.mkdtemp(prefix="probe-")
    path = password_file(folder)
    with Broker(suite, ["listener {port}", "allow_anonymous false", f"password_file {path}", "{plugin}"],
                name="passwords") as broker:
        check(f"{suite.name} {broker.name}: sink is made", broker.ready())
        acks(broker, Client(broker.port, username="user", password="word"))
        for username, password in (("user", "wrong"), ("nobody", "word"), (None, None)):
            try:
                Client(broker.port, username=username, password=password)
                check(f"{suite.name} passwords: {username}/{password} stays out", False)
            except Refused as why:
                check(f"{suite.name} passwords: {username}/{password} stays out", why.args[0] == 0x87, why)
    shutil.rmtree(folder)


def acl_file(suite):
    folder = tempfile.mkdtemp(prefix="probe-")
    path = password_file(folder)
    with open(os.path.join(folder, "acl"), "w") as acl:
        acl.write("user user\ntopic write $file/#\ntopic read out/#\n")
    with Broker(suite, ["listener {port}", "allow_anonymous false", f"password_file {path}",
                        f"acl_file {folder}/acl", "{plugin}"], name="acl_file") as broker:
        check(f"{suite.name} {broker.name}: sink is made", broker.ready())
        client = Client(broker.port, username="user", password="word")
        acks(broker, client)
        check(f"{suite.name} acl_file: still rules", client.publish("out/a") == 0x87)
    shutil.rmtree(folder)


def dynsec_file(folder):
    salt = os.urandom(12)
    word = hashlib.pbkdf2_hmac("sha512", b"word", salt, 101, 64)
    acls = [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind, topic in (
        ("publishClientSend", "$file/#"), ("subscribePattern", "mine/#"), ("publishClientReceive", "mine/#"))]
    path = os.path.join(folder, "dynsec.json")
    with open(path, "w") as out:
        json.dump({
            "defaultACLAccess": {"publishClientSend": False, "publishClientReceive": True,
                                 "subscribe": False, "unsubscribe": True},
            "clients": [{"username": "user", "textName": "", "roles": [{"rolename": "r"}],
                         "password": base64.b64encode(word).decode(), "iterations": 101,
                         "salt": base64.b64encode(salt).decode()}],
            "roles": [{"rolename": "r", "acls": acls}], "groups": []}, out)
    return path


def dynamic_security(suite):
    for order in ("before", "after"):
        folder = tempfile.mkdtemp(prefix="probe-")
        line = f"plugin {{dynsec}}\nplugin_opt_config_file {dynsec_file(folder)}"
        lines = [line, "{plugin}"] if order == "before" else ["{plugin}", line]
        with Broker(suite, ["listener {port}", "allow_anonymous false", *lines],
                    name=f"dynsec {order}") as broker:
            check(f"{suite.name} {broker.name}: sink is made", broker.ready())
            client = Client(broker.port, username="user", password="word")
            acks(broker, client)
            check(f"{suite.name} dynsec {order}: still refuses SUBSCRIBE", client.subscribe("out/a") == 0x87)
            check(f"{suite.name} dynsec {order}: still allows SUBSCRIBE", client.subscribe("mine/a") == 0)
            check(f"{suite.name} dynsec {order}: still refuses PUBLISH", client.publish("out/a") == 0x87)
        shutil.rmtree(folder)


def flood(client, seconds):
    """The acknowledgements of all commands that can be sent in that time."""
    codes, end = set(), time.monotonic() + seconds
    while time.monotonic() < end:
        for _ in range(20):
            client.publish("$file/ok/1", wait=False)
        codes |= {client.puback() for _ in range(20)}
    return codes


def reloads(suite):
    """A reload checks every session's password again, offline ones too."""
    folder = tempfile.mkdtemp(prefix="probe-")
    dynsec = f"plugin {{dynsec}}\nplugin_opt_config_file {dynsec_file(folder)}"
    word = [f"password_file {password_file(folder)}"]
    user = dict(username="user", password="word")
    for name, lines, who in (("open", ["allow_anonymous true"], {}),
                             ("passwords", ["allow_anonymous false", *word], user),
                             ("both", ["allow_anonymous true", *word], user),
                             ("dynsec", ["allow_anonymous false", dynsec], user)):
        with Broker(suite, ["listener {port}", *lines, "persistent_client_expiration 1h", "{plugin}"],
                    name=f"reload {name}") as broker:
            check(f"{suite.name} reload {name}: sink is made", broker.ready())
            client = Client(broker.port, **who)
            for number in range(3):
                reload(broker, client)
                codes = flood(client, 0.4)
                check(f"{suite.name} reload {name}, number {number}: 0x00 all the time", codes == {0}, codes)
                log = broker.log()
                acks(broker, client, f"reload {name}, number {number}")
            ended = [line for line in log.split("\n") if "file-transfer-ack" in line and "disconnected." in line
                     and "p5" not in line]
            visits = log.count("as file-transfer-ack\t")
            if not suite.is_21:  # 2.1 says so of every offline session, and keeps it
                check(f"{suite.name} reload {name}: no reload ends the session", len(ended) <= visits,
                      f"{len(ended)} ends, {visits} visits")
            if who:
                for username, password in (("user", "wrong"), ("nobody", "word")):
                    try:
                        Client(broker.port, username=username, password=password)
                        check(f"{suite.name} reload {name}: {username}/{password} stays out", False)
                    except Refused as why:
                        check(f"{suite.name} reload {name}: {username}/{password} stays out",
                              why.args[0] == 0x87, why)
    shutil.rmtree(folder)


def becomes_open(suite):
    """Passwords at start, none after a reload: clients with any user name are welcome then."""
    folder = tempfile.mkdtemp(prefix="probe-")
    path = password_file(folder)
    with Broker(suite, ["listener {port}", "allow_anonymous false", f"password_file {path}", "{plugin}"],
                name="becomes open") as broker:
        check(f"{suite.name} becomes open: sink is made", broker.ready())
        conf = os.path.join(broker.folder, "conf")
        with open(conf) as file:
            text = file.read()
        with open(conf, "w") as file:
            file.write(text.replace("allow_anonymous false", "allow_anonymous true")
                       .replace(f"password_file {path}", ""))
        broker.process.send_signal(signal.SIGHUP)

        def welcome():
            try:
                return Client(broker.port, username="some", password="body").publish("$file/ok/1") == 0
            except Refused:
                return False
        check(f"{suite.name} becomes open: a client with a user name gets in", until(welcome, 5))
        acks(broker, Client(broker.port))
    shutil.rmtree(folder)


def session_id(storage):
    """The client id of the sink's session, as ack_sink_identity.c makes it."""
    number = 0xcbf29ce484222325
    for byte in storage.encode():
        number = (number ^ byte) * 0x100000001b3 % 2 ** 64
    return f"file-transfer-ack\t{number:016x}"


def intruders(suite):
    """Who knows the session's id, and has a password of his own or not, gets nowhere with it."""
    folder = tempfile.mkdtemp(prefix="probe-")
    path = password_file(folder)
    user = dict(username="user", password="word")
    with Broker(suite, ["listener {port}", "allow_anonymous false", f"password_file {path}", "{plugin}"],
                name="intruders") as broker:
        label = f"{suite.name} intruders"
        check(f"{label}: sink is made", broker.ready())
        client = Client(broker.port, **user)
        acks(broker, client)
        client_id = session_id(broker.storage)
        spoken, method = client_id.replace("\t", "-"), "file-transfer-ack"
        if not suite.is_21:
            check(f"{label}: that is the session's id", f" as {client_id} (" in broker.log())
        for clean in (True, False):
            try:
                Client(broker.port, client_id=client_id, clean=clean, expiry=60, **user)
                check(f"{label}: nobody has that id", False)
            except (Refused, OSError, EOFError) as why:
                check(f"{label}: nobody has that id", True, type(why).__name__)
            Client(broker.port, client_id=spoken, clean=clean, expiry=60, **user).close()
            check(f"{label}: the id as it is sent is another one", flood(client, 0.3) == {0})
        if not suite.is_21:
            for name, words in (("the name only", dict(username=spoken)),
                                ("the name as password", dict(username=spoken, password=spoken)),
                                ("no name", {}),
                                ("a wrong secret", dict(username=spoken, auth=(method, b"\0" * 32))),
                                ("an empty secret", dict(username=spoken, auth=(method, b""))),
                                ("a long secret", dict(auth=(method, b"x" * 60000)))):
                try:
                    Client(broker.port, client_id=spoken, **words)
                    check(f"{label}: {name} is refused", False)
                except Refused as why:
                    check(f"{label}: {name} is refused", why.args[0] in (0x87, 0x8C), why)
        check(f"{label}: 0x00 after all", flood(client, 0.3) == {0})
    shutil.rmtree(folder)


def wiped(suite):
    """A storage directory that is emptied between two starts leaves no second session."""
    folder = tempfile.mkdtemp(prefix="probe-")
    lines = ["listener {port}", "allow_anonymous true", "sys_interval 1", "persistence true",
             "persistence_location {folder}/", "{plugin}"]
    for start in range(3):
        with Broker(suite, lines, folder=folder, name=f"wiped, start {start}") as broker:
            check(f"{suite.name} {broker.name}: sink is made", broker.ready())
            client = Client(broker.port)
            acks(broker, client)
            total = sessions(client)
            check(f"{suite.name} wiped, start {start}: one session", total == (2, 1), total)
        shutil.rmtree(os.path.join(folder, "storage"))
    shutil.rmtree(folder)


def kicked(suite):
    """Another plugin, or an administrator's command, may end the session."""
    if suite.is_21:
        return
    with Broker(suite, ["listener {port}", "allow_anonymous true", "{plugin}"], name="kicked") as broker:
        check(f"{suite.name} kicked: sink is made", broker.ready())
        client = Client(broker.port)
        before = broker.log().count("as file-transfer-ack\t")
        client.publish("$file/kick/1")
        check(f"{suite.name} kicked: the session is looked after at once",
              until(lambda: broker.log().count("as file-transfer-ack\t") > before, 5))
        check(f"{suite.name} kicked: 0x00", flood(client, 0.2) == {0})


def clock_is_set(suite):
    """persistent_client_expiration goes by the wall clock; so does the renewal."""
    with Broker(suite, ["listener {port}", "allow_anonymous true", "persistent_client_expiration 1h", "{plugin}"],
                name="clock is set", preload=[clock_setter()]) as broker:
        check(f"{suite.name} {broker.name}: sink is made", broker.ready())
        client = Client(broker.port)
        acks(broker, client)
        with open(os.path.join(broker.folder, "set-clock"), "w"):
            pass
        time.sleep(1.1)  # 2.0 and 2.1 look once a second for sessions that are over
        # Few commands: after a thousand the session would be visited anyhow.
        check(f"{suite.name} clock is set: 0x00 again in a moment",
              until(lambda: client.publish("$file/ok/1") == 0, 3, 0.1))
        os.remove(os.path.join(broker.folder, "set-clock"))
        time.sleep(1.1)
        check(f"{suite.name} clock is set back: 0x00", client.publish("$file/ok/1") == 0)


def touches_no_file(suite):
    """The broker's thread, once it runs: no file and no connection of the sink's, whatever happens."""
    with Broker(suite, ["listener {port}", "allow_anonymous true", "queue_qos0_messages true", "{plugin}"],
                name="touches no file") as broker:
        label = f"{suite.name} {broker.name}"
        check(f"{label}: sink is made", broker.ready())
        client = Client(broker.port)
        trace = os.path.join(broker.folder, "trace")
        calls = "%file,socket,connect,fsync,fdatasync,ftruncate,getdents64"
        strace = subprocess.Popen(["strace", "-qq", "-e", f"trace={calls}", "-e", "signal=none", "-o", trace,
                                   "-p", str(broker.process.pid)], stderr=subprocess.DEVNULL)
        try:
            def is_traced():
                with open(f"/proc/{broker.process.pid}/status") as status:
                    return f"TracerPid:\t{strace.pid}" in status.read()
            check(f"{label}: is traced", until(is_traced, 5))
            codes = many(client, 6000) | flood(client, 2.2)
            client.publish("$file/kick/1")
            codes |= flood(client, 0.3)
        finally:
            strace.terminate()
            strace.wait(10)
        # Mosquitto's own: TCP wrappers ask these files about each connection.
        with open(trace) as text:
            seen = "".join(line for line in text
                           if "/etc/hosts." not in line and not line.startswith("newfstatat("))
        check(f"{label}: always 0x00", codes == {0}, codes)
        check(f"{label}: no such call", seen == "", seen[:500])


def per_listener(suite):
    other = free_port()
    with Broker(suite, ["per_listener_settings true", f"listener {other}", "allow_anonymous true",
                        "listener {port}", "allow_anonymous true", "{plugin}"],
                name="per_listener") as broker:
        check(f"{suite.name} {broker.name}: sink is made", broker.ready())
        acks(broker, Client(broker.port))
        check(f"{suite.name} per_listener: another listener is not concerned",
              Client(other).publish("$file/no/1") == 0x10)


def per_listener_twice(suite):
    other = free_port()
    folder = tempfile.mkdtemp(prefix="probe-")
    os.mkdir(folder + "/storage2")
    second = f"plugin {build()}\nplugin_opt_storage_dir {folder}/storage2"
    with Broker(suite, ["per_listener_settings true", f"listener {other}", "allow_anonymous true", second,
                        "listener {port}", "allow_anonymous true", "{plugin}"],
                name="per_listener twice") as broker:
        if not suite.is_21:
            until(lambda: broker.log().count("acknowledged with 0x00 by a session") == 2)
        acks(broker, Client(broker.port))
        acks(broker, Client(other), "per_listener twice, other")
        wakes(broker, 20)
    shutil.rmtree(folder)


def unix_socket(suite):
    with Broker(suite, ["listener 0 {folder}/sock", "allow_anonymous true", "{plugin}"],
                name="unix") as broker:
        check(f"{suite.name} {broker.name}: sink is made", broker.ready())
        acks(broker, Client(os.path.join(broker.folder, "sock")))


def websockets_beside(suite):
    port = free_port()
    with Broker(suite, [f"listener {port}", "protocol websockets", "listener {port}",
                        "allow_anonymous true", "{plugin}"], name="websockets beside") as broker:
        check(f"{suite.name} {broker.name}: sink is made", broker.ready())
        acks(broker, Client(broker.port))
        acks(broker, Client(port, websocket=True), "websockets client")


def tls_only(suite):
    folder = tempfile.mkdtemp(prefix="probe-")
    tls = certificate(folder)
    for version in ("tlsv1.2", "tlsv1.3"):
        with Broker(suite, ["listener {port}", *tls, f"tls_version {version}", "allow_anonymous true",
                            "{plugin}"], name=version) as broker:
            check(f"{suite.name} {version}: sink is made", broker.ready())
            acks(broker, Client(broker.port, cafile=f"{folder}/cert"))
    shutil.rmtree(folder)


def client_certificates_only(suite):
    folder = tempfile.mkdtemp(prefix="probe-")
    tls = certificate(folder) + [f"cafile {folder}/cert", "require_certificate true"]
    cert = dict(cafile=f"{folder}/cert", certfile=f"{folder}/cert", keyfile=f"{folder}/key")
    with Broker(suite, ["listener {port}", *tls, "allow_anonymous true", "{plugin}"],
                name="certificates") as broker:
        client = Client(broker.port, **cert)
        if suite.is_21:
            acks(broker, client)
        else:
            said = until(lambda: "no listener takes the session" in broker.log(), 30)
            check(f"{suite.name} certificates: the log tells what to do", said and FIXED in broker.log())
            check(f"{suite.name} certificates: it is said once",
                  broker.log().count("no listener takes the session") == 1)
            check(f"{suite.name} certificates: accepted is 0x10", client.publish("$file/ok/1") == 0x10)
            lines = broker.log().count("\n")
            time.sleep(3)
            check(f"{suite.name} certificates: no more attempts", broker.log().count("\n") == lines)
    bridge = ["connection file-transfer-ack", "address 127.0.0.1:1", "start_type lazy", "cleansession true",
              "notifications false", "try_private false", f"topic {FIXED} out 0"]
    for mode in ("auto", "off"):
        with Broker(suite, ["listener {port}", *tls, "allow_anonymous true", "{plugin}", *bridge],
                    name=f"certificates, bridge lines, {mode}", options=f"plugin_opt_ack_sink {mode}") as broker:
            client = Client(broker.port, **cert)
            acks(broker, client)
            for _ in range(50):
                client.publish("$file/ok/2")
            acks(broker, client, f"certificates, bridge lines, {mode}, later")
    with Broker(suite, ["listener {port}", *tls, "allow_anonymous true", "listener 0 {folder}/sock",
                        "{plugin}"], name="certificates and unix") as broker:
        check(f"{suite.name} {broker.name}: sink is made", broker.ready())
        acks(broker, Client(broker.port, **cert))
    shutil.rmtree(folder)


def persistence(suite):
    folder = tempfile.mkdtemp(prefix="probe-")
    os.chmod(folder, 0o755)
    lines = ["listener {port}", "allow_anonymous true", "sys_interval 1", "persistence true",
             "persistence_location {folder}/", "{plugin}"]
    for start in range(3):
        with Broker(suite, lines, folder=folder, name=f"persistence, start {start}") as broker:
            client = Client(broker.port)
            if start > 0:
                code = client.publish("$file/ok/0")
                check(f"{suite.name} persistence, start {start}: holds at once", code == 0,
                      f"0x{code:02x}" + ("\n" + broker.log() if code else ""))
            check(f"{suite.name} {broker.name}: sink is made", broker.ready())
            if not suite.is_21:
                # Otherwise 2.0 would not save it.
                before = broker.log().partition("acknowledged with 0x00 by a session")[0]
                check(f"{suite.name} {broker.name}: logged in without clean start", "(p5, c0, k60, " in before)
            acks(broker, client)
            total, offline = sessions(client)
            check(f"{suite.name} persistence, start {start}: one session", (total, offline) == (2, 1),
                  (total, offline))
            if not suite.is_21:
                mode = os.stat(os.path.join(broker.storage, "ack-sink")).st_mode & 0o777
                check(f"{suite.name} persistence, start {start}: the file is private", mode == 0o600, oct(mode))
    with open(os.path.join(folder, "storage", "ack-sink"), "w") as file:
        file.write("file-transfer ack-sink 1\n../../../etc/passwd\n#\n")
    with Broker(suite, lines, folder=folder, name="persistence, bad file") as broker:
        check(f"{suite.name} {broker.name}: sink is made", broker.ready())
        acks(broker, Client(broker.port))
    shutil.rmtree(folder)


def many(client, count):
    """Commands, 100 at a time; the codes of their answers."""
    codes = set()
    for _ in range(count // 100):
        for _ in range(100):
            client.publish("$file/ok/1", b"x" * 100, wait=False)
        codes |= {client.puback() for _ in range(100)}
    return codes


def visited_seldom(suite):
    """A session that queues nothing is left alone, also where commands come while it is visited;
    that it queues after a reload is found out in time."""
    with Broker(suite, ["listener {port}", "allow_anonymous true", "max_queued_messages 0",
                        "max_inflight_messages 0", "sys_interval 1", "{plugin}"],
                name="visited seldom") as broker:
        check(f"{suite.name} {broker.name}: sink is made", broker.ready())
        client = Client(broker.port)
        acks(broker, client)
        codes = many(client, 40000)
        visits = broker.log().count("as file-transfer-ack\t")
        if not suite.is_21:  # the end of one may be taken for an end by somebody else
            check(f"{suite.name} visited seldom: two visits, four at most", 2 <= visits <= 4, visits)
        with open(os.path.join(broker.folder, "conf"), "a") as conf:
            conf.write("\nqueue_qos0_messages true\n")
        reload(broker, client)
        codes |= many(client, 25000)
        check(f"{suite.name} visited seldom: always 0x00", codes == {0}, codes)
        client.subscribe("$SYS/broker/store/messages/count")
        counts = [int(payload) for _, payload in client.collect(1.5)]
        check(f"{suite.name} visited seldom: the queue is bounded after a reload",
              counts and max(counts) < 20000, counts)


def queue_qos0(suite):
    with Broker(suite, ["listener {port}", "allow_anonymous true", "queue_qos0_messages true",
                        "max_queued_messages 0", "max_inflight_messages 0", "sys_interval 1",
                        "{plugin}"], name="queue_qos0") as broker:
        check(f"{suite.name} {broker.name}: sink is made", broker.ready())
        client = Client(broker.port)
        acks(broker, client)
        rss, codes = [], set()
        for _ in range(8):
            codes |= many(client, 5000)
            rss.append(broker.rss_kib())
        check(f"{suite.name} queue_qos0: always 0x00", codes == {0}, codes)
        if not os.environ.get("PRELOAD"):
            check(f"{suite.name} queue_qos0: memory does not grow", rss[-1] - rss[4] < 2500, rss)
        client.subscribe("$SYS/broker/store/messages/count")
        counts = [int(payload) for _, payload in client.collect(1.5)]
        check(f"{suite.name} queue_qos0: the queue is bounded", counts and max(counts) < 20000, counts)


def max_connections(suite):
    with Broker(suite, ["listener {port}", "max_connections 2", "allow_anonymous true", "{plugin}"],
                name="max_connections") as broker:
        check(f"{suite.name} {broker.name}: sink is made", broker.ready())
        one = Client(broker.port)
        two = Client(broker.port)
        acks(broker, one)
        acks(broker, two)
        one.close()
    if not suite.is_21:
        check(f"{suite.name} max_connections: the sink gets its turn",
              any(late_sink(suite) for _ in range(5)), "in one of five starts")


def late_sink(suite):
    """A client is there before the sink and leaves after a while; False where the sink was first."""
    broker = Broker(suite, ["listener {port}", "max_connections 1", "allow_anonymous true", "{plugin}"],
                    name="max_connections taken")
    found = []

    def rush():
        end = time.monotonic() + 10
        while not found and time.monotonic() < end:
            try:
                found.append(Client(broker.port, timeout=2))
            except (Refused, OSError):
                pass
    rusher = threading.Thread(target=rush)
    rusher.start()
    with broker:
        rusher.join()
        if broker.ready(0) or not found:
            return False
        time.sleep(3.5)  # by now it waits for long between two attempts
        late = not broker.ready(0)
        found[0].close()
        late = late and broker.ready(1)
        acks(broker, Client(broker.port))
    return late
