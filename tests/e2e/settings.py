# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Ways to set up a broker in which the same tests have to pass.

FT_SETTING names one of SETTINGS; the tests that set up security or listeners of
their own always use `open`.
"""
import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile

from transport import Tcp, Tls, Unix, WebSocket, make_certificate

USERS, PASSWORD = ("e2e", "anna", "bert"), "pw"
TOPICS = ("#", "$file/#", "$file-async/#", "$file-response/#", "$file-event/#", "$SYS/#", "$files/#",
          "$FILE/#", "$file-response-x/#", "$file-async2/#")


class Setting:
    """One plain listener, everybody welcome. Others override what differs."""

    username = None

    def first(self, broker):
        """Lines before everything."""
        return []

    def listener(self, broker):
        return [f"listener {broker.port} 127.0.0.1"]

    def access(self, broker):
        return ["allow_anonymous true"]

    def after(self, broker):
        """Lines after the plugin's."""
        return []

    def endpoint(self, broker):
        return Tcp(broker.port)

    def release(self, broker):
        """When the broker's folder goes."""


class PerListener(Setting):
    """Security settings belong to listeners."""

    def first(self, broker):
        return ["per_listener_settings true"]


class PasswordAndAclFile(Setting):
    """Users by password_file, topics by acl_file."""

    username = "e2e"

    def access(self, broker):
        passwords, acl = os.path.join(broker.dir, "passwords"), os.path.join(broker.dir, "acl")
        if not os.path.exists(acl):
            for name in USERS:
                subprocess.run(["mosquitto_passwd", "-b", *([] if os.path.exists(passwords) else
                                                            ["-c"]), passwords, name, PASSWORD],
                               check=True, stderr=subprocess.DEVNULL)
            with open(acl, "w", encoding="utf-8") as out:
                for name in USERS:
                    out.write(f"user {name}\n")
                    out.writelines(f"topic readwrite {topic}\n" for topic in TOPICS)
            for path in (passwords, acl):
                os.chmod(path, 0o644)
        return ["allow_anonymous false", f"password_file {passwords}", f"acl_file {acl}"]


def dynamic_security_client(name, password, *roles):
    salt = b"0123456789ab"
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 101)
    return {"username": name, "password": base64.b64encode(digest).decode(), "iterations": 101,
            "salt": base64.b64encode(salt).decode(),
            "roles": [{"rolename": role} for role in roles]}


class DynamicSecurity(Setting):
    """Users and topics by the dynamic-security plugin, loaded after ours."""

    username = "e2e"

    def access(self, broker):
        return ["allow_anonymous false"]

    def after(self, broker):
        path = os.path.join(broker.dir, "dynamic-security.json")
        if not os.path.exists(path):
            allow = dict.fromkeys(("publishClientSend", "publishClientReceive", "subscribe",
                                   "unsubscribe"), True)
            with open(path, "w", encoding="utf-8") as out:
                json.dump({"defaultACLAccess": allow, "groups": [], "roles": [],
                           "clients": [dynamic_security_client(n, PASSWORD) for n in USERS]}, out)
        return [f"plugin {broker.dynamic_security_plugin()}", f"plugin_opt_config_file {path}"]


class OverTls(Setting):
    """The only listener is TLS."""

    def certificate(self, broker):
        path = os.path.join(broker.dir, "127.0.0.1.crt")
        if not os.path.exists(path):
            make_certificate(broker.dir, "127.0.0.1")
        return path, path[:-3] + "key"

    def listener(self, broker):
        file, key = self.certificate(broker)
        return [*super().listener(broker), f"certfile {file}", f"keyfile {key}"]

    def endpoint(self, broker):
        return Tls(broker.port, self.certificate(broker)[0])


def socket_path(broker):
    """In a folder of its own: a Unix socket's path must be short."""
    if not hasattr(broker, "socket_dir"):
        broker.socket_dir = tempfile.mkdtemp(prefix="ft-")
        os.chmod(broker.socket_dir, 0o777)  # the broker binds as its own user
    return os.path.join(broker.socket_dir, "mqtt")


class OverUnixSocket(Setting):
    """The only listener is a Unix socket."""

    def listener(self, broker):
        return [f"listener 0 {socket_path(broker)}"]

    def endpoint(self, broker):
        return Unix(socket_path(broker))

    def release(self, broker):
        shutil.rmtree(getattr(broker, "socket_dir", "/nowhere"), ignore_errors=True)


class OverWebSockets(OverUnixSocket):
    """Clients come by WebSockets; a Unix socket serves the acknowledgement sink."""

    def listener(self, broker):
        return [*super().listener(broker), f"listener {broker.port} 127.0.0.1", "protocol websockets"]

    def endpoint(self, broker):
        return WebSocket(broker.port)


SETTINGS = {"open": Setting(), "per_listener": PerListener(), "password": PasswordAndAclFile(),
            "dynamic_security": DynamicSecurity(), "tls": OverTls(), "unix": OverUnixSocket(),
            "websockets": OverWebSockets()}
