# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The harness itself, on a broker without the plugin: what the other tests stand on."""
import os
import unittest

from device import merged
from harness import Broker, Case, rows, spread
from ondisk import escaped
from rawmqtt import Closed, Timeout


@spread
class StockBroker(Case):
    """rawmqtt sees what a broker does."""

    shared = False

    def setUp(self):
        super().setUp()
        self.broker = self.start_broker(plugin=None)

    @rows(("v3_qos0", 4, 0), ("v3_qos1", 4, 1), ("v3_qos2", 4, 2),
          ("v5_qos0", 5, 0), ("v5_qos1", 5, 1), ("v5_qos2", 5, 2))
    def test_a_message_arrives_as_it_was_sent(self, version, qos):
        subscriber, publisher = self.client(version=version), self.client(version=version)
        self.assertEqual(subscriber.subscribe("a/+", qos=qos), [qos])
        publisher.acked(publisher.publish("a/b", b"\0\xffx", qos))
        message = subscriber.message("a/b")
        self.assertEqual((message.payload, message.qos), (b"\0\xffx", qos))

    def test_puback_of_an_unheard_message_is_0x10_in_v5(self):
        client = self.client()
        self.assertEqual(client.acked(client.publish("a", qos=1)), 0x10)

    def test_properties_survive(self):
        client = self.client()
        client.subscribe("p")
        client.publish("p", b"x", response_topic="r/t", correlation_data=b"\0\1",
                       content_type="text/x", payload_format=1, user_property=[("k", "ä"), ("k", "")])
        self.assertEqual(client.message("p").properties,
                         {"response_topic": "r/t", "correlation_data": b"\0\1",
                          "content_type": "text/x", "payload_format": 1,
                          "user_property": [("k", "ä"), ("k", "")]})

    def test_a_retained_message_waits_for_subscribers(self):
        client = self.client()
        client.acked(client.publish("keep", b"x", retain=True))
        client.subscribe("keep")
        self.assertTrue(client.message("keep").retain)

    def test_a_will_is_published_when_the_socket_drops(self):
        watcher = self.client()
        watcher.subscribe("will")
        self.client(will=("will", b"gone", 1, False)).drop()
        self.assertEqual(watcher.message("will").payload, b"gone")

    def test_a_second_connection_takes_the_id_over(self):
        first = self.client("same")
        self.client("same")
        self.assertIn(first.wait_closed(), ("end of stream", "DISCONNECT 0x8e"))

    def test_a_session_keeps_messages(self):
        client = self.client("durable", 4, clean=False)
        client.subscribe("d")
        client.close()
        other = self.client()
        other.acked(other.publish("d", b"1"))
        self.assertTrue(client.connect().connack.session_present)
        self.assertEqual(client.message("d").payload, b"1")

    def test_a_topic_alias_stands_for_its_topic(self):
        client = self.client()
        client.subscribe("alias")
        client.publish("alias", b"1", topic_alias=1)
        client.publish("", b"2", topic_alias=1)
        self.assertEqual([client.message("alias").payload for _ in range(2)], [b"1", b"2"])

    def test_a_broken_packet_ends_the_connection(self):
        client = self.client()
        client.send_raw(b"\xf0\xff\xff\xff\xff\xff")
        with self.assertRaises(Closed):
            client.ping()

    def test_a_wait_gives_up(self):
        with self.assertRaises(Timeout):
            self.client().message("never", timeout=0.05)

    def test_a_thousand_messages_can_be_in_flight(self):
        client = self.client(version=4)
        mids = [client.publish("n", b"x" * 2000) for _ in range(1000)]
        self.assertEqual([client.acked(mid) for mid in mids], [0] * 1000)


class Brokers(unittest.TestCase):
    """Starting, stopping, killing."""

    def test_a_broker_ends_well_and_starts_again(self):
        broker = Broker("plain", plugin=None).start()
        broker.restart()
        broker.check_serving()
        broker.stop()
        broker.remove()

    def test_a_killed_broker_is_noticed(self):
        broker = Broker("killed", plugin=None).start()
        broker.process.kill()
        broker.process.wait()
        with self.assertRaises(AssertionError):
            broker.check_serving()
        broker.kill9()
        broker.remove()

    def test_a_broker_that_cannot_start_is_an_error_with_its_log(self):
        broker = Broker("broken", plugin=None, config=["no_such_option 1"])
        with self.assertRaisesRegex(AssertionError, "no_such_option"):
            broker.start()
        broker.remove()

    def test_a_sanitizer_report_in_the_log_is_noticed(self):
        broker = Broker("report", plugin=None).start()
        with open(broker.log_path, "a", encoding="ascii") as log:
            log.write("==1==ERROR: AddressSanitizer: heap-use-after-free\n")
        with self.assertRaisesRegex(AssertionError, "heap-use-after-free"):
            broker.stop()
        broker.remove()

    def test_the_log_of_an_earlier_start_is_not_held_against_this_one(self):
        broker = Broker("marks", plugin=None).start()
        first = broker.log()
        broker.restart()
        self.assertNotEqual(first, "")
        self.assertEqual(broker.log().count(" starting"), 1)
        broker.stop()
        self.assertTrue(os.path.getsize(broker.log_path) > len(first))
        broker.remove()


class Escaping(unittest.TestCase):
    """The tests' own idea of directory names."""

    def test_names_are_what_the_contract_says(self):
        for identity, name in (("dev-1_A.b", b"dev-1_A.b"), ("..", b"%2E."), (".", b"%2E"),
                               ("/etc/passwd", b"%2Fetc%2Fpasswd"), ("", b"%"), ("100%", b"100%25"),
                               ("é😀", "é😀".encode()), ("\udcff a", b"%FF%20a"), ("a.", b"a."),
                               ("x" * 255, b"x" * 255)):
            self.assertEqual(escaped(identity), name)
        self.assertRegex(escaped("x" * 256), rb"^%sha256-[0-9a-f]{64}$")

    def test_merged_ranges_are_ascending_and_touch_nowhere(self):
        self.assertEqual(merged([(10, 5), (0, 5), (5, 2), (12, 1), (20, 0)]), [[0, 7], [10, 5]])
