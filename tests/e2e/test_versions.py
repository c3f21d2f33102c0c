# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What docs/limits.md says, on the broker at hand: limits, and ways around."""
import os
import re

from harness import ROOT, Case, broker_version, free_port, rows, spread
from ondisk import Storage, eventually
from rawmqtt import Closed
from settings import SETTINGS, OverTls, Setting
from transport import Tcp, Tls, WebSocket, make_certificate

IS_21 = broker_version() >= (2, 1, 0)


class OnlyCertificates(OverTls):
    """Clients have to show a certificate; the plugin has none."""

    def client_certificate(self, broker):
        path = os.path.join(broker.dir, "client.crt")
        if not os.path.exists(path):
            make_certificate(broker.dir, "client")
        return path, path[:-3] + "key"

    def listener(self, broker):
        return [*super().listener(broker), f"cafile {self.client_certificate(broker)[0]}",
                "require_certificate true"]

    def endpoint(self, broker):
        return Tls(broker.port, self.certificate(broker)[0], self.client_certificate(broker))


class OnlyWebSockets(OnlyCertificates):
    """WebSockets, and, as a broker 2.0 wants another listener, one that the plugin cannot use."""

    def listener(self, broker):
        broker.other_port = free_port()
        certificates = super().listener(broker)
        return [f"listener {broker.port} 127.0.0.1", "protocol websockets",
                f"listener {broker.other_port} 127.0.0.1", *certificates[1:]]

    def endpoint(self, broker):
        return WebSocket(broker.port)


class TwoListeners(Setting):
    """Two listeners, each with a plugin of its own."""

    def first(self, broker):
        broker.second_port = free_port()
        broker.second_storage = os.path.join(broker.dir, "storage2")
        return ["per_listener_settings true"]

    def after(self, broker):
        return [f"listener {broker.second_port} 127.0.0.1", "allow_anonymous true",
                f"plugin {broker.plugin}", f"plugin_opt_storage_dir {broker.second_storage}",
                "plugin_opt_min_free_space 0"]


@spread
class Acknowledgements(Case):
    """PUBACK 0x00 where the plugin cannot connect to the broker itself."""

    shared = False

    @rows(("websockets", OnlyWebSockets()), ("client_certificates", OnlyCertificates()))
    def test_success_is_0x10_on_brokers_2_0_that_offer_only(self, setting):
        broker = self.start_broker(start=False, setting=setting)
        broker.start(wait_for_sink=False)
        if not IS_21:
            eventually(lambda: any("no listener takes the session" in line and
                                   "connection file-transfer-ack" in line
                                   for line in broker.plugin_log()), "the warning")
        device = self.device("dev", broker=broker)
        for answer in (device.init("f", size=1), device.segment("f", 0, b"x"), device.fin("f", 1)):
            self.answered(answer, "success", ack=0 if IS_21 else 0x10)
        self.answered(device.segment("f", 0, b"y"), "already_complete", ack=0 if IS_21 else 0x10)
        self.assertLessEqual(len([line for line in broker.plugin_log()
                                  if "no listener takes" in line]), 1, "said more than once")

    def with_bridge(self, setting, config=(), **options):
        with open(os.path.join(ROOT, "docs", "limits.md"), encoding="utf-8") as text:
            block = re.search(r"```\n\s*(connection .*?)```", text.read(), re.DOTALL).group(1)
        return self.start_broker({"ack_sink": "off", **options}, setting=setting, config=config,
                                 after=[line.strip() for line in block.strip().splitlines()])

    @rows(("websockets", OnlyWebSockets()), ("client_certificates", OnlyCertificates()))
    def test_the_bridge_that_the_docs_show_makes_it_0x00_with(self, setting):
        broker = self.with_bridge(setting)
        device = self.device("dev", broker=broker)
        self.ok(device.upload("f", b"acknowledged by the bridge"))
        self.assertFalse([line for line in broker.plugin_log() if "no listener" in line])

    def test_with_clientid_prefixes_the_bridge_makes_it_0x00(self):
        """On 2.0 the session would need one of these prefixes; on 2.1 nobody asks."""
        broker = self.start_broker(start=False, config=["clientid_prefixes dev"])
        broker.start(wait_for_sink=False)
        if not IS_21:
            eventually(lambda: any("no listener takes" in line and "clientid_prefixes" in line
                                   for line in broker.plugin_log()), "the warning")
        broker.stop()
        broker = self.with_bridge(SETTINGS["open"], config=["clientid_prefixes dev"])
        self.ok(self.device("dev", broker=broker).upload("f", b"acknowledged by the bridge"))

    def test_with_a_guard_only_the_bridge_is_told_of_commands(self):
        """What they become there still has their properties."""
        broker = self.with_bridge(SETTINGS["open"], acl="guard-and-allow")
        watcher = self.client(broker=broker)
        self.assertEqual(watcher.subscribe("$ft-ack", "$ft-ack/#", "$share/g/$ft-ack"), [0x87] * 3)
        device = self.device("dev", broker=broker)
        self.ok(device.command("$file/f/init", b'{"name":"a"}', user_property=[("key", "secret")]))
        self.ok(device.fin("f", 0))
        self.assertEqual(list(watcher.ping().messages), [])

    def test_a_unix_socket_beside_websockets_makes_it_0x00(self):
        broker = self.start_broker(setting=SETTINGS["websockets"])
        self.ok(self.device("dev", broker=broker).upload("f", b"x"))


class Sizes(Case):
    """Packets that never reach the plugin."""

    shared = False
    setting = SETTINGS["open"]

    def begun(self, *config):
        self.broker = self.start_broker(config=list(config))
        device = self.device("dev")
        self.ok(device.init("f"))
        return device

    def test_3_MB_in_a_segment_disconnect_on_2_1_and_are_stored_on_2_0(self):
        device = self.begun()
        if IS_21:
            device.publish("$file/f/0", b"x" * 3_000_000)
            device.wait_closed()
            device = self.device("dev")
            self.ok(device.status("f"), received=0)
        else:
            self.ok(device.segment("f", 0, b"x" * 3_000_000))

    def test_max_packet_size_makes_room_for_them(self):
        device = self.begun("max_packet_size 4000000")
        self.ok(device.segment("f", 0, b"x" * 3_000_000))

    def test_message_size_limit_refuses_with_0x95_and_the_connection_stays(self):
        device = self.begun("message_size_limit 1000")
        self.assertEqual(device.acked(device.publish("$file/f/0", b"x" * 1001)), 0x95)
        self.ok(device.segment("f", 0, b"x" * 1000))
        self.ok(device.status("f"), received=1000)


class Listeners(Case):
    """Mount points, and plugins of their own for each listener."""

    shared = False
    setting = SETTINGS["open"]

    def test_a_listener_with_a_mount_point_is_not_served(self):
        class Mounted(Setting):
            """A prefix before every topic; a listener without it serves the sink."""

            def first(self, broker):
                broker.plain_port = free_port()
                return [f"listener {broker.plain_port} 127.0.0.1"]

            def listener(self, broker):
                return [f"listener {broker.port} 127.0.0.1", "mount_point tenant/"]

        broker = self.start_broker(setting=Mounted())
        device = self.device("dev", broker=broker)
        device.acked(device.publish("$file/f/init", b'{"name":"a"}'))
        device.ping()
        self.assertEqual(list(device.messages), [])
        self.assertFalse(broker.storage.is_incoming("dev", "f"))

    def test_two_listeners_with_plugins_of_their_own(self):
        broker = self.start_broker(setting=TwoListeners())
        if not IS_21:
            eventually(lambda: broker.log().count("acknowledged with 0x00") == 2, "both sessions")
        first = self.device("dev", broker=broker)
        self.ok(first.upload("f", b"to the first"))
        second = self.device("dev2", broker=broker, connect=False)
        second.endpoint = Tcp(broker.second_port)
        second.connect()
        self.ok(second.upload("f", b"to the second"))
        broker.storage.check_finished(self, "dev", "f", "data.bin", b"to the first")
        Storage(broker.second_storage).check_finished(self, "dev2", "f", "data.bin",
                                                      b"to the second")

    def test_clients_of_a_listener_without_the_plugin_are_not_served(self):
        class Beside(TwoListeners):
            """The second listener has no plugin."""

            def after(self, broker):
                return super().after(broker)[:2]

        broker = self.start_broker(setting=Beside())
        watcher, sender = (self.device(name, broker=broker, connect=False)
                           for name in ("watcher", "sender"))
        watcher.endpoint = sender.endpoint = Tcp(broker.second_port)
        watcher.connect().subscribe("$file/#")
        sender.connect().publish("$file/f/init", b'{"name":"a"}')
        self.assertEqual(watcher.message("$file/f/init").payload, b'{"name":"a"}')
        self.assertEqual(list(sender.ping().messages), [])
        self.assertFalse(broker.storage.is_incoming("sender", "f"))

    def test_two_plugins_on_one_storage_dir_do_not_start(self):
        class Shared(TwoListeners):
            """The mistake."""

            def first(self, broker):
                lines = super().first(broker)
                broker.second_storage = broker.storage.path
                return lines

        status, log = self.start_broker(start=False, setting=Shared()).run_to_end()
        self.assertNotIn(status, (0, None), log)
        self.assertRegex(log, r"file-transfer: .*storage_dir.*(another|other|in use|lock)")


class Wills(Case):
    """Wills to $file are not seen by plugins."""

    def test_a_will_reaches_subscribers_and_uploads_nothing(self):
        watcher = self.client()
        watcher.subscribe("$file/#")
        self.client("gone", will=("$file/f/init", b'{"name":"a"}', 1, False)).drop()
        self.assertEqual(watcher.message("$file/f/init").payload, b'{"name":"a"}')
        self.assertFalse(self.broker.storage.is_incoming("gone", "f"))

    def test_with_a_guard_nobody_can_be_subscribed_there(self):
        broker = self.start_broker({"acl": "guard-and-allow"})
        watcher = self.client(broker=broker)
        self.assertEqual(watcher.subscribe("$file/#"), [0x87])
        self.client("gone", broker=broker, will=("$file/f/init", b"{}", 1, True)).drop()
        watcher.subscribe("#")
        watcher.ping()
        self.assertEqual(list(watcher.messages), [])


class NoQueue(Case):
    """max_queued_messages 0 together with a refused command."""

    config = ["max_queued_messages 0"]
    setting = SETTINGS["open"]

    def test_a_refused_command_may_end_the_connection_only_before_2_1(self):
        device = self.device()
        self.ok(device.init("f"))
        device.publish("$file/f/nonsense")
        try:
            device.ping()
        except Closed:
            self.assertFalse(IS_21)
        self.broker.check_serving()
