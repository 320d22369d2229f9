"""``edgewright hub`` as a process."""

import signal
import subprocess
import sys


class Process:
    def __init__(self, folder, *words):
        self.words = [sys.executable, "-m", "edgewright", "hub", "--data", str(folder), "--listen", "127.0.0.1:0"]
        self.words += ["--device-listen", "127.0.0.1:0", *words]
        self.process = subprocess.Popen(self.words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        while not self.lines or not self.lines[-1].startswith("listening at "):
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
            self.lines.append(line)
        self.url = self.lines[-1].split()[-1]

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        told = self.process.communicate(timeout=60)[1]
        return self.process.returncode, told
