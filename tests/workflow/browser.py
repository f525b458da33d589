"""A headless Chromium, driven over its DevTools protocol through two pipes (--remote-debugging-pipe); stdlib alone."""

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OPTIONS = """--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --remote-debugging-pipe --no-first-run
    --disable-background-networking --disable-component-update --disable-sync --disable-quic"""
SECONDS = 30
WIDTHS = (1280, 400)  # of a laptop's window and of a phone's
# above 0, the page itself scrolls sideways
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def cells_beyond(width: int, inside: str = "body") -> str:
    """A script: the texts of the tables' cells that are not whole within a window of this width."""
    return f"""[...document.querySelectorAll("{inside} td")].filter(cell => {{
      const box = cell.getBoundingClientRect(), shown = cell.closest(".box").getBoundingClientRect();
      return box.left < 0 || box.right > Math.min({width}, shown.right) + 1 || cell.scrollWidth > cell.clientWidth + 1;
    }}).map(cell => cell.innerText)"""


class Browser:
    """One page. Since it was opened, `requests` has the address of all it asked for, `errors` what its console told."""

    def __init__(self, profile: Path):
        read, self._out = os.pipe()
        self._in, write = os.pipe()
        options = f"{' '.join(OPTIONS.split())} --user-data-dir={profile}"
        command = f"exec chromium {options} 3<&{read} 4>&{write} about:blank"
        self._process = subprocess.Popen(["bash", "-c", command], pass_fds=(read, write), stderr=subprocess.DEVNULL)
        os.close(read)
        os.close(write)
        self._rest, self._last, self._session = b"", 0, None
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._frames: dict[str, int] = {}  # each frame's context in which its scripts run
        (page,) = [t for t in self.send("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self._session = self.send("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """The browser's answer to a command; what it tells meanwhile is kept."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._keep(answer.get("method"), answer.get("params", {}))

    def open(self, address: str) -> None:
        """Go to an address, and wait until its scripts have run."""
        self.send("Page.navigate", url="about:blank")
        self.wait("location.href === 'about:blank'")
        self.requests, self.errors = [], []
        self.send("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    @contextmanager
    def window(self, width: int, height: int = 900) -> Iterator[None]:
        """A window of this size, and a phone's where it is narrow."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        yield
        self.send("Emulation.clearDeviceMetricsOverride")

    def run(self, script: str, frame: str | None = None) -> Any:
        """The value of an expression in the page, or in the frame within it whose id is given."""
        where = {"contextId": self._frames[frame]} if frame else {}
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, **where)
        assert "exceptionDetails" not in answer, f"{script}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait(self, script: str, frame: str | None = None) -> Any:
        """The value of an expression as soon as it is true; the frame may not be there yet."""
        end = time.monotonic() + SECONDS
        while not (value := self.run(script, frame) if frame is None or self._there(frame) else None):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)
        return value

    def _there(self, frame: str) -> bool:
        self.run("0")  # so that what the browser told of its frames is read
        return frame in self._frames

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self.send("Browser.close")
        self._process.wait(SECONDS)
        os.close(self._out)
        os.close(self._in)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            assert select.select([self._in], [], [], SECONDS)[0], "Chromium does not answer"
            read = os.read(self._in, 1 << 20)
            assert read, "Chromium ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def _keep(self, event: str | None, params: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(params["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        elif event == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.errors.append(params["entry"]["text"])
        elif event == "Runtime.executionContextCreated" and params["context"]["auxData"].get("isDefault"):
            self._frames[params["context"]["auxData"]["frameId"]] = params["context"]["id"]
        elif event == "Runtime.executionContextDestroyed":
            gone = params["executionContextId"]
            self._frames = {frame: context for frame, context in self._frames.items() if context != gone}
