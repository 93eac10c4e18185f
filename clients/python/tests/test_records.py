import logging
import threading
import unittest

import fleetlog
from fleetlog._handler_record import to_record, to_severity
from fleetlog._records import clean, make_attributes
from fleetlog.v1 import log_pb2


class Attributes(unittest.TestCase):
    def test_keep_the_type_of_their_value_and_are_sorted_by_name(self) -> None:
        values = {"text": "a", "flag": True, "count": -3, "share": 0.5, "none": None, "list": [1, "x"], 7: "seven"}
        made = make_attributes(values)  # type: ignore[arg-type]
        kinds = [(each.key, each.WhichOneof("value")) for each in made]
        expected = [
            ("7", "string_value"),
            ("count", "int_value"),
            ("flag", "bool_value"),
            ("list", "string_value"),
            ("none", None),
            ("share", "double_value"),
            ("text", "string_value"),
        ]
        self.assertEqual(kinds, expected)
        self.assertEqual(made[3].string_value, '[1, "x"]')

    def test_become_text_where_the_wire_has_no_type_for_them(self) -> None:
        class Silent:
            def __str__(self) -> str:
                raise RuntimeError

        made = make_attributes({"big": 2**63, "silent": Silent()})
        self.assertEqual([each.string_value for each in made][0], str(2**63))
        self.assertIn("Silent", made[1].string_value)

    def test_stay_within_the_limits_and_say_what_is_missing(self) -> None:
        made = make_attributes({f"name-{index:03}": "ä" * 10_000 for index in range(100)})
        self.assertEqual(len(made), 64)
        self.assertEqual((made[-1].key, made[-1].int_value), ("fleetlog.cut_attributes", 37))
        self.assertEqual(len(made[0].string_value.encode()), 8_192)


class Records(unittest.TestCase):
    def test_contain_nothing_that_a_server_rejects(self) -> None:
        record = fleetlog.make_record("a\0b\ud800c" + "ä" * 70_000, logger="x" * 300)
        self.assertTrue(record.message.startswith("a\ufffdb\ufffdc"))
        self.assertLessEqual(len(record.message.encode()), 65_536)
        self.assertEqual(len(record.logger), 256)
        self.assertGreater(record.attributes[0].int_value, 70_000)
        self.assertEqual(clean("grüße"), "grüße")


class LogRecords(unittest.TestCase):
    def make(self, level: int = logging.INFO, **fields: object) -> log_pb2.LogRecord:
        record = logging.makeLogRecord({"name": "shop", "msg": "order %d", "args": (7,), "levelno": level, **fields})
        return to_record(record, fleetlog.Client("device"))

    def test_have_their_time_logger_text_and_extra(self) -> None:
        made = self.make(created=1_700_000_000.5, order=7)
        self.assertEqual((made.message, made.logger), ("order 7", "shop"))
        self.assertEqual(made.time_unix_nano, 1_700_000_000_500_000_000)
        self.assertEqual([(each.key, each.int_value) for each in made.attributes], [("order", 7)])

    def test_have_the_exception_with_the_end_of_a_long_traceback(self) -> None:
        try:
            raise ValueError("x" * 9_000 + "the end")
        except ValueError as error:
            made = self.make(exc_info=(type(error), error, error.__traceback__))
        attributes = {each.key: each.string_value for each in made.attributes}
        self.assertEqual(attributes["exception.type"], "ValueError")
        self.assertTrue(attributes["exception.stacktrace"].rstrip().endswith("the end"))
        self.assertLessEqual(len(attributes["exception.stacktrace"]), 8_192)

    def test_have_the_trace_that_opentelemetry_sets(self) -> None:
        made = self.make(otelTraceID="0af7651916cd43dd8448eb211c80319c", otelSpanID="b7ad6b7169203331")
        self.assertEqual(made.trace_id.hex(), "0af7651916cd43dd8448eb211c80319c")
        self.assertEqual(made.span_id.hex(), "b7ad6b7169203331")
        self.assertEqual(len(self.make(otelTraceID="0", otelSpanID="0").trace_id), 0)

    def test_have_the_severity_of_their_level(self) -> None:
        severities = [to_severity(level) for level in (0, 5, 10, 20, 25, 30, 40, 50, 99)]
        self.assertEqual(severities, [0, 3, 5, 9, 11, 13, 17, 21, 24])


class OwnRecords(unittest.TestCase):
    def test_never_wait_for_the_lock_that_the_exit_holds_while_it_flushes(self) -> None:
        handler = fleetlog.Handler("device", "127.0.0.1:1")
        own = threading.Thread(target=handler.handle, args=(logging.makeLogRecord({"name": "fleetlog"}),), daemon=True)
        handler.acquire()
        try:
            own.start()
            own.join(20)
            self.assertFalse(own.is_alive())
        finally:
            handler.release()


class Time(unittest.TestCase):
    def test_is_the_uptime_until_the_clock_is_set_and_both_from_then_on(self) -> None:
        now = 0
        client = fleetlog.Client("device", clock=lambda: now, uptime=lambda: 5)
        first = client.make_record("a")
        now = 9
        second = client.make_record("b")
        self.assertEqual((first.time_unix_nano, first.uptime_nano), (0, 5))
        self.assertEqual((second.time_unix_nano, second.uptime_nano), (9, 5))
        self.assertEqual(fleetlog.Client("device", uptime=lambda: 5).make_record("c").uptime_nano, 0)


if __name__ == "__main__":
    unittest.main()
