"""A `tessera serve` of one's own for a benchmark: started on free ports of this machine, waited for, stopped."""

import http.client
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

READY_S_MAX = 60.0
ASK_EVERY_S = 0.005


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server that is ready. `ready_s` is the time from before the process existed until its port for operators said
    so: then one request has gone through the whole model."""

    def __init__(self, binary, *options, ready_s_max=READY_S_MAX):
        self.port, self.admin = free_port(), free_port()
        addresses = ["--listen", f"127.0.0.1:{self.port}", "--admin-listen", f"127.0.0.1:{self.admin}"]
        self.command = [str(part) for part in [binary, "serve", *addresses, *options]]
        self.log = tempfile.TemporaryFile()
        began = time.perf_counter()
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)
        while not self.answers("/readyz"):
            if self.process.poll() is not None:
                self.fail(f"ended with {self.process.returncode}")
            if time.perf_counter() - began > ready_s_max:
                self.stop()
                self.fail(f"was not ready after {ready_s_max} s")
            time.sleep(ASK_EVERY_S)
        self.ready_s = time.perf_counter() - began

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def fail(self, what):
        """Ends the benchmark with the last lines of the server's log."""
        self.log.seek(0)
        sys.exit(f"{' '.join(self.command)}\n{what}\n{self.log.read().decode(errors='replace')[-2000:]}")

    def answers(self, path):
        """The text of an answer of the operators' port; empty where there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            text = response.read().decode()
            return text if response.status == 200 else ""
        except OSError:
            return ""
        finally:
            connection.close()

    def processor_s(self):
        """Processor time that it took so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, name):
        """A line of /proc/PID/status: VmRSS, VmHWM."""
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) / 1024
        sys.exit(f"no {name} in /proc/PID/status")

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)
