"""A headless Chromium, led through the DevTools protocol: what a person would do, and what is there then."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

NAMES = ("chromium", "chromium-headless-shell", "google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--no-first-run",
    "--remote-debugging-port=0",
)
START = 60.0
ANSWER = 60.0
"""Seconds."""


def chromium() -> str:
    """Its path; skips where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    return found


class Tab:
    """One page. All that it logs as an error is in `errors`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.session: str | None = None

    async def hear(self) -> None:
        """What the browser says, until it ends."""
        async for said in self._socket:
            message = json.loads(said)
            if "id" in message:
                self._answers.pop(message["id"]).set_result(message)
                continue
            params = message["params"]
            match message["method"]:
                case "Runtime.exceptionThrown":
                    self.errors.append(json.dumps(params["exceptionDetails"].get("exception", params)))
                case "Log.entryAdded" if params["entry"]["level"] == "error":
                    self.errors.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")
                case "Network.requestWillBeSent":
                    self.requests.append(params["request"]["url"])

    async def ask(self, method: str, **params: Any) -> Any:
        """The result of a command of the protocol."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self.session is not None:
            message["sessionId"] = self.session
        await self._socket.send(json.dumps(message))
        answer = await asyncio.wait_for(self._answers[number], ANSWER)
        assert "error" not in answer, answer
        return answer["result"]

    async def open(self, url: str, width: int = 1280, height: int = 900, *, dark: bool = False) -> None:
        """Go there, in a window of this size."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        await self.ask("Emulation.setDeviceMetricsOverride", **size)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        await self.ask("Emulation.setEmulatedMedia", features=scheme)
        await self.ask("Page.navigate", url=url)

    async def evaluate(self, expression: str) -> Any:
        """The value of this JavaScript, whose promise is awaited."""
        result = await self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, expression: str, within: float = 60.0) -> Any:
        """Its value as soon as that is true; asked at each frame, in the page itself."""
        begin = asyncio.get_running_loop().time()
        while not (value := await self.evaluate(expression)):
            assert asyncio.get_running_loop().time() < begin + within, f"never so: {expression}"
            await asyncio.sleep(0.05)
        return value

    async def key(self, key: str, text: str = "") -> None:
        """Press and let go."""
        named = {"key": key, "windowsVirtualKeyCode": _CODES.get(key, 0), **({"text": text} if text else {})}
        await self.ask("Input.dispatchKeyEvent", type="keyDown", **named)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    async def type(self, text: str) -> None:
        """Into what has the focus."""
        await self.ask("Input.insertText", text=text)

    async def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """A PNG."""
        result = await self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(result["data"]))


_CODES = {
    "Enter": 13,
    "ArrowDown": 40,
    "ArrowUp": 38,
    "ArrowLeft": 37,
    "ArrowRight": 39,
    "Escape": 27,
    "End": 35,
    "Home": 36,
}


@contextlib.asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Tab]:
    """A browser of its own profile, which ends with its process group."""
    command = [chromium(), *OPTIONS, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, stdout=quiet, stderr=quiet, stdin=quiet, start_new_session=True
    )
    try:
        url = await _debugger(folder / "profile" / "DevToolsActivePort")
        async with connect(url, max_size=None, proxy=None) as socket:
            tab = Tab(socket)
            hearing = asyncio.ensure_future(tab.hear())
            target = await tab.ask("Target.createTarget", url="about:blank")
            attached = await tab.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
            tab.session = attached["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                await tab.ask(f"{domain}.enable")
            yield tab
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _debugger(port: Path) -> str:
    async with asyncio.timeout(START):
        while True:
            with contextlib.suppress(OSError, ValueError):
                number, path = (await asyncio.to_thread(port.read_text)).split()
                return f"ws://127.0.0.1:{number}{path}"
            await asyncio.sleep(0.05)
