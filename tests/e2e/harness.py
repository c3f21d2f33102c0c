# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A real broker with the plugin in it, for one test or for all tests of a class.

Environment:
  FT_PLUGIN    the plugin; default build/mosquitto_file_transfer.so
  FT_BROKER    command that starts the broker, "-c FILE" is appended; default mosquitto
  FT_PRELOAD   library to LD_PRELOAD into the broker (a sanitizer's runtime)
  FT_VALGRIND  1: run the broker under valgrind
  FT_SETTING   how the broker is set up: see settings.py; default open
  FT_WORK      where configurations, logs and storage go; default build/e2e
"""
import contextlib
import ctypes
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib"))

from device import REFUSED, RETRY, WORDS, Device
from ondisk import Storage, eventually
from ports import free_port
from rawmqtt import SCALE, Client
from settings import PASSWORD, SETTINGS, OverWebSockets, PerListener

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("FT_BUILD", os.path.join(ROOT, "build")))
PLUGIN = os.path.abspath(os.environ.get("FT_PLUGIN",
                                        os.path.join(BUILD, "mosquitto_file_transfer.so")))
HERE = os.path.join(ROOT, "tests", "e2e")
TOOLS = os.path.join(BUILD, "tests", "e2e")
WORK = os.path.abspath(os.environ.get("FT_WORK", os.path.join(BUILD, "e2e")))
COMMAND = shlex.split(os.environ.get("FT_BROKER", shutil.which("mosquitto") or
                                     "/usr/sbin/mosquitto"))
SETTING = SETTINGS[os.environ.get("FT_SETTING", "open")]
PRELOAD = os.environ.get("FT_PRELOAD", "")
VALGRIND = os.environ.get("FT_VALGRIND", "") not in ("", "0")
INSTRUMENTED = bool(PRELOAD) or VALGRIND
IS_ROOT = os.geteuid() == 0

_REPORTS = re.compile(r"ERROR: (?!Leak)\w+Sanitizer|WARNING: \w+Sanitizer|runtime error:|"
                      r"Invalid (read|write) of size|uninitialised value|definitely lost: [1-9]|"
                      r"double free|corrupted size|malloc\(\)|free\(\): invalid|Assertion .* failed|"
                      r"stack smashing")
_LEAK = re.compile(r"^(?:Direct|Indirect) leak of .*\n(?: +#\d+ .*\n)+", re.MULTILINE)
# Whole stacks, so that the broker's own leaks (it has some) can be told from the plugin's.
_SANITIZERS = {"ASAN_OPTIONS": "exitcode=99:fast_unwind_on_malloc=0", "LSAN_OPTIONS": "exitcode=0",
               "TSAN_OPTIONS": "exitcode=0"}
_VALGRIND = ["valgrind", "-q", "--error-exitcode=99", "--leak-check=full",
             "--errors-for-leak-kinds=definite"]
_libc = ctypes.CDLL(None)

LEFT_BY_OTHERS = re.compile(r": the log mosquitto-file-transfer-\S+ (is removed: |holds what was )")


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def broker_version():
    if not hasattr(broker_version, "found"):
        shown = subprocess.run(COMMAND + ["-h"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               check=False, text=True).stdout
        broker_version.found = tuple(int(n) for n in re.search(r"(\d+)\.(\d+)\.(\d+)",
                                                               shown).groups())
    return broker_version.found


def is_slow_link():
    """Brokers 2.0 tell WebSockets clients what a plugin publishes only at the next tick."""
    return isinstance(SETTING, OverWebSockets) and broker_version() < (2, 1, 0)


def dynamic_security_plugin():
    """The dynamic-security plugin that belongs to this broker, or None."""
    base = COMMAND[-1].rsplit("/usr/", 1)[0] if "/usr/" in COMMAND[-1] else ""
    for folder, _, files in os.walk(base + "/usr/lib"):
        if "mosquitto_dynamic_security.so" in files:
            return os.path.join(folder, "mosquitto_dynamic_security.so")
    return None


def compiled(name, *libraries):
    """Path of a C helper of this folder, built once: NAME.so as a library, else a program."""
    target, source = os.path.join(TOOLS, name), os.path.join(HERE, name.split(".")[0] + ".c")
    if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
        os.makedirs(TOOLS, exist_ok=True)
        fresh = f"{target}.{os.getpid()}"
        subprocess.run([os.environ.get("CC", "gcc"), "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra",
                        "-Wshadow", "-Wconversion", "-Werror", "-O1", "-g",
                        *(["-shared", "-fPIC"] if name.endswith(".so") else []),
                        "-o", fresh, source, *libraries], check=True)
        os.rename(fresh, target)
    return target


class Clock:
    """Makes a broker's clock go ahead: see shift_clock.c. To be made before the broker starts."""

    PRELOAD = ("shift_clock.so", "-ldl")

    def __init__(self, broker):
        self.path, self.ahead = os.path.join(broker.dir, "shift"), 0
        broker.environment["FT_SHIFT"] = self.path
        self.forward(0)

    def forward(self, seconds):
        self.ahead += seconds
        with open(self.path, "r+b" if os.path.exists(self.path) else "wb") as file:
            file.write(struct.pack("=q", self.ahead))


def work_dir(name):
    os.makedirs(WORK, exist_ok=True)
    path = tempfile.mkdtemp(prefix=re.sub(r"[^\w.-]+", "-", name)[:60] + "-", dir=WORK)
    os.chmod(path, 0o755)
    return path


class Broker:
    """One broker process. Options are plugin options; plugin=None runs without the plugin.

    `config` lines come after the defaults and before the plugin line, `after` behind
    it. `user=None` lets the broker drop its privileges as packaged. `setting`: see
    settings.py; without the plugin, or with a setting of the test's own, it is `open`.
    """

    def __init__(self, name="broker", options=None, config=(), after=(), plugin=PLUGIN,
                 storage=None, user="root", preload="", setting=None):
        self.dir = work_dir(name)
        self.options, self.config, self.after = dict(options or {}), list(config), list(after)
        self.plugin, self.user = plugin, user
        self.setting = setting or (SETTING if plugin else SETTINGS["open"])
        self.environment = {}
        self.wrapper = []  # a program that starts the broker
        preloads = " ".join(filter(None, (PRELOAD, preload)))
        if preloads:
            self.environment["LD_PRELOAD"] = preloads
        self.storage = Storage(storage or os.path.join(self.dir, "storage"))
        self.log_path = os.path.join(self.dir, "broker.log")
        self.process = self.port = None
        self._log_mark = 0

    def _config_lines(self):
        lines = [*self.setting.first(self), "log_dest stderr", "log_type error",
                 "log_type warning", "log_type notice", "log_type information",
                 "set_tcp_nodelay true", *self.setting.listener(self)]
        if not any(line.startswith("allow_anonymous") for line in self.config):
            lines += self.setting.access(self)
        if IS_ROOT and self.user:
            lines.append(f"user {self.user}")
        lines += self.config
        if self.plugin:
            lines.append(f"plugin {self.plugin}")
            options = {"storage_dir": self.storage.path, "min_free_space": "0", **self.options}
            lines += [f"plugin_opt_{key} {value}" for key, value in options.items()
                      if value is not None]
        return lines + self.after + self.setting.after(self)

    @property
    def endpoint(self):
        return self.setting.endpoint(self)

    @staticmethod
    def dynamic_security_plugin():
        return dynamic_security_plugin() or "mosquitto_dynamic_security.so"

    def _launch(self):
        self.port = free_port()
        conf = os.path.join(self.dir, "mosquitto.conf")
        with open(conf, "w", encoding="utf-8", errors="surrogateescape") as out:
            out.write("\n".join(self._config_lines()) + "\n")
        env = {**_SANITIZERS, **os.environ, **self.environment}
        self._log_mark = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.wrapper + (_VALGRIND if VALGRIND else []) + COMMAND + ["-c", conf], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, env=env, preexec_fn=_die_with_parent)

    def start(self, wait_for_sink=True):
        """Returns when the broker answers a CONNECT and the plugin can acknowledge with 0x00."""
        if self.plugin and not os.path.exists(self.plugin):
            raise AssertionError(f"no plugin at {self.plugin}: build it with make")
        for _ in range(5):
            self._launch()
            ready = eventually(self._ready_or_dead, "the broker to listen", 30) == "ready"
            if ready and (not wait_for_sink or self._has_sink_in_time()):
                return self
            if "Address already in use" not in self.log():
                break
        status, self.process = self.process.returncode, None
        raise AssertionError(f"broker ended with {status} at start:\n{self.log()[-3000:]}")

    def _has_sink_in_time(self):
        """Brokers before 2.1 get their sink through a listener, so a moment after it opened.

        False where it was another broker that answered, which had taken the port.
        """
        if self.plugin and broker_version() < (2, 1, 0) and self.options.get("ack_sink") != "off":
            eventually(lambda: self.has_sink() or not self.is_running(),
                       "a line about the acknowledgement sink")
        return self.is_running()

    def has_sink(self):
        return "acknowledged with 0x00" in self.log()

    def _ready_or_dead(self):
        if self.process.poll() is not None:
            return "dead"
        try:  # any CONNACK will do: the broker may want a password
            with Client(self.endpoint, "").connect(expect=None):
                return "ready"
        except (OSError, AssertionError):
            return None

    def run_to_end(self, timeout=20):
        """Starts a broker that is expected to refuse; returns (exit status, its log)."""
        self._launch()
        try:
            self.process.wait(timeout * SCALE)
        except subprocess.TimeoutExpired:
            self.kill9()
            return None, self.log()
        status, self.process = self.process.returncode, None
        return status, self.log()

    def log(self):
        """What this start has logged so far."""
        with open(self.log_path, encoding="utf-8", errors="replace") as text:
            text.seek(self._log_mark)
            return text.read()

    def plugin_log(self):
        """Without what it says of logs that killed brokers of other tests have left."""
        return [line for line in self.log().splitlines() if "file-transfer" in line
                and not LEFT_BY_OTHERS.search(line)]

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill9(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self):
        """SIGTERM, and the exit status must be 0 and the log clean."""
        if not self.process:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30 * SCALE)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError("the broker did not end within 30 s of SIGTERM") from None
        self.process = None
        self.check_log()
        if status != 0:
            raise AssertionError(f"broker ended with {status}:\n{self.log()[-3000:]}")

    def restart(self):
        self.stop()
        return self.start()

    def check_log(self):
        for leak in _LEAK.findall(self.log()):
            if "file_transfer" in leak or "<unknown module>" in leak:  # unloaded by then
                raise AssertionError(f"in the broker's log:\n{leak}")
        report = _REPORTS.search(self.log())
        if report:
            at = report.start()
            raise AssertionError(f"in the broker's log:\n{self.log()[max(0, at - 500):at + 4000]}")

    def check_serving(self):
        self.check_log()
        if not self.is_running():
            raise AssertionError(f"the broker died ({self.process and self.process.returncode}):\n"
                                 f"{self.log()[-3000:]}")
        with Client(self.endpoint, "").connect(expect=None) as probe:
            if probe.connack.code == 0:
                probe.ping()

    def remove(self):
        """After success; failures leave the folder to look at."""
        self.remove_logs()
        self.setting.release(self)
        shutil.rmtree(self.dir, ignore_errors=True)

    def remove_logs(self):
        """Those in memory that killed brokers leave behind."""
        if not os.path.exists(self.log_path):
            return
        with open(self.log_path, encoding="utf-8", errors="replace") as text:
            found = re.findall(r"file-transfer: .*the log is (/dev/shm/[^ ,]*)", text.read())
        for path in set(found):
            if os.path.exists(path):
                os.unlink(path)

    # --- facts about the process ----------------------------------------------------

    def rss(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) * 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def open_files(self):
        """What the broker's descriptors lead to; one that is closed meanwhile is not open."""
        found = []
        for fd in os.scandir(f"/proc/{self.process.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(fd.path))
        return found


class Case(unittest.TestCase):
    """Tests against brokers. With `shared`, one broker serves all tests of the class."""

    shared = True
    options: dict = {}
    config: list = []
    after: list = []
    setting = None
    versions = (4, 5)

    broker = None
    _serial = 0

    @classmethod
    def setUpClass(cls):
        cls.broker = None
        cls._had_failure = False

    @classmethod
    def tearDownClass(cls):
        if cls.broker:
            cls.broker.stop()
            if not cls._had_failure:
                cls.broker.remove()

    def setUp(self):
        self._brokers, self._clients = [], []
        if self.shared:
            cls = type(self)
            if not cls.broker or not cls.broker.is_running():
                cls.broker = Broker(cls.__name__, self.options, self.config, self.after,
                                    setting=self.setting)
                cls.broker.start()
            self.addCleanup(self._check, cls.broker, False)
        self.addCleanup(self._drop_clients)

    def _drop_clients(self):
        for client in self._clients:
            client.close()

    def start_broker(self, options=None, start=True, **settings):
        """A broker of this test's own, checked and stopped when the test ends."""
        broker = Broker(self._testMethodName, {**self.options, **(options or {})},
                        settings.pop("config", self.config), settings.pop("after", self.after),
                        setting=settings.pop("setting", self.setting), **settings)
        self.addCleanup(self._check, broker, True)
        if start:
            broker.start()
        return broker

    def _check(self, broker, owned):
        try:
            if broker.process:
                broker.check_serving()
                if owned:
                    broker.stop()
        except AssertionError as error:
            broker.kill9()
            self.fail(f"{error}\n(kept: {broker.dir})")
        finally:
            failed = self.has_failed()
            type(self)._had_failure = getattr(type(self), "_had_failure", False) or failed
            if owned and not failed:
                broker.remove()
            elif failed:
                print(f"kept: {broker.dir}", flush=True)

    def has_failed(self):
        outcome = getattr(self, "_outcome", None)
        result = getattr(outcome, "result", None)
        return bool(outcome and not outcome.success) or \
            bool(result and any(test is self for test, _ in result.failures + result.errors))

    def new_id(self, prefix="dev"):
        """A client id nobody used before on a shared broker."""
        Case._serial += 1
        return f"{prefix}{Case._serial}"

    def client(self, client_id=None, version=5, broker=None, connect=True, **options):
        broker = broker or self.broker
        client = Client(broker.endpoint, self.new_id("client") if client_id is None else client_id,
                        version, **self.login(broker, options))
        self._clients.append(client)
        return client.connect() if connect else client

    def device(self, client_id=None, version=5, broker=None, connect=True, **options):
        broker = broker or self.broker
        device = Device(broker.endpoint, self.new_id() if client_id is None else client_id, version,
                        **self.login(broker, options))
        self._clients.append(device)
        return device.connect() if connect else device

    @staticmethod
    def login(broker, options):
        """Adds what the setting wants to what a test says about users."""
        if broker.setting.username:
            options.setdefault("username", broker.setting.username)
            options.setdefault("password", PASSWORD)
        return options

    def keeps_messages_for_absent_clients(self, broker):
        """Mosquitto 2.0.21 with per_listener_settings does not, whatever the topic."""
        absent = self.client(version=4, broker=broker, clean=False)
        absent.subscribe("harness/absent")
        absent.close()
        other = self.client(broker=broker)
        other.acked(other.publish("harness/absent", b"kept"))
        absent.connect().ping()
        kept = [m for m in absent.messages if m.payload == b"kept"]
        self.assertTrue(kept or isinstance(broker.setting, PerListener)
                        and (2, 0, 12) <= broker_version() < (2, 1, 0), "a message was lost")
        return bool(kept)

    # --- assertions -----------------------------------------------------------------

    def answered(self, answer, word, ack=None, **members):
        """Response and acknowledgement say `word`, as the contract's table has it."""
        code, puback = WORDS[word]
        self.assertEqual((answer.word, answer.body["reason_code"]), (word, code), answer.body)
        self.assertEqual(answer.body["vsn"], "0.1")
        self.assertNotIn("packet_id", answer.body)
        self.assertEqual((answer.message.qos, answer.message.retain), (1, False))
        if puback == RETRY:
            self.assertIsInstance(answer.get("retry_after"), int, answer.body)
            puback = 0x97 if broker_version() >= (2, 1, 0) else REFUSED
        if answer.version == 5:
            self.assertEqual(answer.message.properties.get("content_type"), "application/json")
            self.assertEqual(answer.message.properties.get("payload_format"), 1)
        if answer.ack is not None:
            wanted = (puback if ack is None else ack) if answer.version == 5 else 0
            self.assertEqual(answer.ack, wanted, f"acknowledgement, with {answer.body}")
        for member, value in members.items():
            self.assertEqual(answer.get(member), value, f"{member} in {answer.body}")
        return answer

    def ok(self, answer, **members):
        return self.answered(answer, "success", **members)


def rows(*table):
    """Makes one test of each row: (name, *arguments). Each row is counted by itself."""
    def mark(function):
        function.rows = table
        return function
    return mark


def spread(cls):
    """Class decorator that turns methods marked with @rows into test methods."""
    for name, function in list(vars(cls).items()):
        for row in getattr(function, "rows", ()):
            label = re.sub(r"\W+", "_", str(row[0])).strip("_")
            test_name = f"{name}__{label}"
            if hasattr(cls, test_name):
                raise AssertionError(f"two rows called {test_name}")

            def test(self, function=function, arguments=row[1:]):
                function(self, *arguments)
            test.__name__, test.__doc__ = test_name, None
            setattr(cls, test_name, test)
        if hasattr(function, "rows"):
            delattr(cls, name)
    return cls
