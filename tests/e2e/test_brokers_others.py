# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What docs/brokers.md says: bridges, other plugins, second plugin lines, queues; and what
differs between brokers in the properties of a message."""
import os

from harness import PLUGIN, Case, broker_version, free_port, rows, spread
from ondisk import eventually
from settings import SETTINGS, DynamicSecurity, Setting
from transport import Tcp

IS_21 = broker_version() >= (2, 1, 0)


class Properties(Case):
    """Correlation Data comes back as it was."""

    setting = SETTINGS["open"]

    def test_correlation_data_of_length_0_is_echoed(self):
        device = self.device()
        for topic, payload in (("$file/f/init", b'{"name":"a"}'), ("$file/f/status", b""),
                               ("$file/f/fin/0", b"")):
            device.publish(topic, payload, correlation_data=b"")
            answer = device.message(f"$file-response/{device.client_id}")
            self.assertEqual(answer.properties.get("correlation_data"), b"", topic)

    def test_without_correlation_data_none_comes_back(self):
        device = self.device()
        device.publish("$file/f/status", b"")
        answer = device.message(f"$file-response/{device.client_id}")
        self.assertNotIn("correlation_data", answer.properties)


class SecondLine(Case):
    """Two plugin lines for one listener: a mistake that the log names."""

    shared = False
    setting = SETTINGS["open"]

    def test_a_second_plugin_line_is_named_in_the_log(self):
        broker = self.start_broker(start=False)
        broker.after = [f"plugin {broker.plugin}",
                        f"plugin_opt_storage_dir {os.path.join(broker.dir, 'second')}"]
        if not IS_21:
            status, log = broker.run_to_end()
            self.assertNotEqual(status, 0)
            self.assertIn("only one line for this plugin", log)
            return
        broker.start()
        self.ok(self.device("dev", broker=broker).upload("f", b"to the first"))
        eventually(lambda: any("gets no commands" in line for line in broker.plugin_log()), "the line")
        self.assertEqual(len([x for x in broker.plugin_log() if "gets no commands" in x]), 1)
        broker.storage.check_finished(self, "dev", "f", "data.bin", b"to the first")


class NoStart(Case):
    """The broker itself does not get to its main loop."""

    shared = False
    setting = SETTINGS["open"]

    def test_a_listener_that_cannot_be_opened_ends_the_broker_as_without_us(self):
        config = ["allow_anonymous true", "certfile /dev/null", "keyfile /dev/null"]
        without, _ = self.start_broker(start=False, config=config, plugin=None).run_to_end()
        status, log = self.start_broker(start=False, config=config).run_to_end()
        self.assertEqual(status, without, log)
        self.assertGreater(status, 0, "no crash")


class Bridges(Case):
    """A device's own broker passes commands on, and answers back."""

    shared = False
    setting = SETTINGS["open"]

    def bridged(self, lines=()):
        """(the broker with the plugin, one without that has a bridge to it)."""
        main = self.start_broker()
        site = self.start_broker(plugin=None, after=[
            "connection site-7", f"address 127.0.0.1:{main.port}", "bridge_protocol_version mqttv50",
            "remote_clientid site-7", "notifications false", "bridge_attempt_unsubscribe false",
            "topic $file/# out 1", "topic $file-response/site-7 in 1", *lines])
        eventually(lambda: "as site-7" in main.log(), "the bridge")
        return main, site

    def test_commands_over_a_bridge_belong_to_the_bridges_client_id(self):
        main, site = self.bridged()
        device = self.client("any", broker=site)
        device.subscribe("$file-response/site-7")
        device.acked(device.publish("$file/f/init", b'{"name":"a","size":4}'))
        self.assertIn(b"success", device.message("$file-response/site-7").payload)
        device.acked(device.publish("$file/f/0", b"data"))
        device.acked(device.publish("$file/f/fin/4", b""))
        eventually(lambda: main.storage.finished("site-7", "f", "a") and
                   os.path.exists(main.storage.finished("site-7", "f", "a")), "the file")
        main.storage.check_finished(self, "site-7", "f", "a", b"data")


@spread
class OtherPlugins(Case):
    """Beside dynamic-security, above it and below it, by `plugin_use` too."""

    shared = False

    @rows(("above", "above"), ("below", "below"))
    def test_dynamic_security_is(self, place):
        class Ordered(DynamicSecurity):
            """Its lines before ours, or after them."""

            def first(self, broker):
                return super().after(broker) if place == "above" else []

            def after(self, broker):
                return super().after(broker) if place == "below" else []

        broker = self.start_broker({"acl": "guard"} if place == "below" else {}, setting=Ordered())
        device = self.device("dev", broker=broker)
        self.ok(device.upload("f", b"x"))
        if place == "below":
            watcher = self.client(broker=broker)
            self.assertEqual(watcher.subscribe("$file/#", "$file-response/#"), [0x87] * 2)

    def test_plugin_use_serves_the_listeners_that_use_it(self):
        if not IS_21:
            self.skipTest("since 2.1")

        class Used(Setting):
            """Loaded once, used by one of two listeners."""

            def first(self, broker):
                broker.other_port = free_port()
                return [f"plugin_load ft {PLUGIN}", f"plugin_opt_storage_dir {broker.storage.path}",
                        f"listener {broker.other_port} 127.0.0.1", "listener_allow_anonymous true"]

            def listener(self, broker):
                return [*super().listener(broker), "listener_allow_anonymous true", "plugin_use ft"]

            def access(self, broker):
                return []

        broker = self.start_broker(plugin=None, setting=Used())
        self.ok(self.device("dev", broker=broker).upload("f", b"used"))
        broker.storage.check_finished(self, "dev", "f", "data.bin", b"used")
        other = self.device("dev", broker=broker, connect=False)
        other.endpoint = Tcp(broker.other_port)
        other.connect().acked(other.publish("$file/g/init", b'{"name":"a"}'))
        self.assertFalse(broker.storage.is_incoming("dev", "g"))


class Queues(Case):
    """max_queued_bytes drops responses for clients that are away."""

    shared = False
    setting = SETTINGS["open"]

    def test_a_response_that_was_dropped_can_be_asked_for_again(self):
        broker = self.start_broker(config=["max_queued_bytes 1", "max_queued_messages 1000"])
        device = self.device("dev", broker=broker, clean=False, session_expiry=600)
        self.ok(device.init("f", size=1))
        device.publish("$file/f/0", b"x")
        device.publish("$file/f/fin/1", b"")
        device.ping()
        device.reconnect(clean=False)
        self.ok(device.fin("f", 1), state="complete")
