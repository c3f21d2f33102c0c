# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What a terminal shows: lines that fit, colours, that the connection is back."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import unittest

from clientcase import FT_PUT, ClientCase
from fakebroker import BYTES, CUT

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(case, columns, command, stdout=None, **env):
    """(exit status, all that is written) of a command on a terminal that is so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout or theirs, stderr=theirs,
                               cwd=case.dir, env={**case.env, "TERM": "xterm", **env})
    os.close(theirs)
    case.addCleanup(process.wait)
    timer = threading.Timer(60, process.kill)
    timer.start()
    text = b""
    try:
        while block := os.read(ours, 65536):
            text += block
    except OSError:             # the terminal's end
        pass
    timer.cancel()
    os.close(ours)
    return process.wait(), text.decode()


class Terminal(ClientCase):
    def shown(self, broker, columns, *arguments, **env):
        """All that ft-put writes on a terminal that is so wide."""
        code, text = on_terminal(self, columns, [FT_PUT, "-h", "127.0.0.1", "-p", str(broker.port), "-i",
                                                 "dev", *arguments], **env)
        self.assertEqual(code, 0, text)
        return text

    def redrawn(self, text):
        """The states of the line that is drawn again and again."""
        parts = COLOUR.sub("", text).split("\r\x1b[K")[1:]
        return [part.split("\r\n")[0] for part in parts if part.split("\r\n")[0]]

    def test_the_line_that_is_redrawn_fits_the_terminal(self):
        path = self.file(60000)
        for columns in (8, 20, 40, 61, 62, 80, 200):
            with self.subTest(columns):
                text = self.shown(self.broker(), columns, "--rate", "60k", path)
                drawn = [line for line in self.redrawn(text) if "%" in line]
                self.assertTrue(drawn, text)
                self.assertLess(max(map(len, drawn)), columns)
                self.assertEqual(any("ETA" in line for line in drawn), columns >= 61)
                self.assertEqual(any("[" in line for line in drawn), columns >= 80)

    def test_so_does_the_last_line(self):
        text = self.shown(self.broker(), 80, self.file(1000, "x" * 200))
        line, = (line for line in COLOUR.sub("", text).split("\r\n") if "complete" in line)
        self.assertLessEqual(len(line.split("\x1b[K")[-1]), 80)

    def test_colour_is_where_a_terminal_has_it(self):
        path = self.file()
        self.assertIn("\x1b[32m", self.shown(self.broker(), 80, path))
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            with self.subTest(env):
                self.assertIsNone(COLOUR.search(self.shown(self.broker(), 80, path, **env)))
        self.assertIsNone(COLOUR.search("".join(self.put_ok(self.broker(), path).out)))

    def test_that_the_connection_is_back_is_told_once(self):
        def script(conn, packet):
            return CUT if conn.number == 0 and packet.command in BYTES else None
        text = self.shown(self.broker(script), 80, self.file())
        self.assertEqual(text.count("connected again"), 1)
        self.assertLess(text.index("trying again"), text.index("connected again"))
        self.assertNotIn("connected", self.shown(self.broker(), 80, self.file()))


if __name__ == "__main__":
    unittest.main()
