"""Who may ask what."""

from pathlib import Path

import pytest

from lightningd_py.observatory.tables.errors import ObservatoryError
from lightningd_py.observatory.web.guard import Guard, read_token

HOST = {"Host": "127.0.0.1:9760"}


def status(guard: Guard, path: str = "/api/map", method: str = "GET", **headers: str) -> int:
    refusal = guard.refusal(method, path, HOST | {name.replace("_", "-"): value for name, value in headers.items()})
    return 200 if refusal is None else refusal.status


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:9760", "[::1]:9760", "10.0.0.7", "map.lan:1"])
def test_host_that_cannot_be_rebound_is_answered(host: str) -> None:
    assert status(Guard(["Map.lan"]), Host=host) == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "127.0.0.1.evil.example:9760", "localhost.evil.example", "127.0.0.1:1@evil.example", "::1"],
)
def test_another_host_is_refused_also_for_the_page_itself(host: str) -> None:
    assert status(Guard(["map.lan"]), Host=host) == 421
    assert status(Guard(["map.lan"]), "/", Host=host) == 421


@pytest.mark.parametrize(
    "origin", ["null", "http://evil.example", "http://127.0.0.1:9761", "http://127.0.0.1", "file://"]
)
def test_another_origin_is_refused(origin: str) -> None:
    assert status(Guard(), Origin=origin) == 403


def test_own_origin_is_answered() -> None:
    for scheme in ("http", "https"):
        assert status(Guard(), Origin=f"{scheme}://127.0.0.1:9760") == 200


def test_other_sites_may_lead_to_the_page_and_not_read_the_api() -> None:
    for site in ("cross-site", "same-site"):
        assert status(Guard(), Sec_Fetch_Site=site) == 403
        assert status(Guard(), "/", Sec_Fetch_Site=site) == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "get", "X"])
def test_only_reading_is_allowed(method: str) -> None:
    assert status(Guard(), method=method) == 405


def test_token_is_asked_for_the_api_alone() -> None:
    guard = Guard(token="a" * 43)
    assert (status(guard), status(guard, "/"), status(guard, "/page.js")) == (401, 200, 200)
    for wrong in (
        "Bearer",
        "Bearer ",
        "Bearer " + "a" * 42,
        "Bearer " + "a" * 44,
        "Basic " + "a" * 43,
        "a" * 43,
        "Bearer é",
    ):
        assert status(guard, Authorization=wrong) == 401
    assert status(guard, Authorization="bearer " + "a" * 43) == 200


def test_token_is_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = read_token(path)
    assert len(token) >= 43 and path.stat().st_mode & 0o777 == 0o600
    assert read_token(path) == token


def test_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("a" * 43)
    path.chmod(0o640)
    with pytest.raises(ObservatoryError, match="others may read"):
        read_token(path)


def test_token_that_can_be_guessed_or_has_no_place_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch(0o600)
    with pytest.raises(ObservatoryError, match="shorter than 16"):
        read_token(path)
    with pytest.raises(ObservatoryError, match="cannot be used: No such file"):
        read_token(tmp_path / "none" / "token")
