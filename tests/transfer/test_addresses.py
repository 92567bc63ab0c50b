"""F43–F47, F53, F54, F62, F63: where a download may go, and what it takes along."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from dataclasses import replace

import pytest

from tests.transfer.conftest import QUICK, leftovers, visible
from tests.transfer.faulty_server import Exchange, dead_port, redirect, serve
from zoo.errors import FetchError
from zoo.fetchers import FetchOptions, fetch
from zoo.transfer.addresses import is_private


def test_f43_a_redirect_is_followed(start, get, payload):
    good = start(serve(payload.data))
    assert get(start(redirect(good.url("/elsewhere")))).digest == payload.sha256
    assert good.requests[0].path == "/elsewhere"


def test_f44_a_redirect_loop_ends_after_ten_hops_and_is_not_retried(start, get):
    server = start(redirect("/again"))
    with pytest.raises(FetchError, match="more than 10 redirects"):
        get(server)
    assert len(server.requests) == 11


def test_f45_credentials_stay_with_their_host(start, get, payload, monkeypatch):
    other = start(serve(payload.data))
    hub = start(redirect(other.url("/cdn", host="localhost")))
    monkeypatch.setenv("HF_ENDPOINT", hub.url(""))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert get("hf:org/repo@main/model.onnx").digest == payload.sha256
    assert hub.header("authorization") == ["Bearer hf_secret"]
    assert other.header("authorization") == [None]


def test_f45_credentials_stay_within_the_port(start, get, payload, monkeypatch):
    other = start(serve(payload.data))
    hub = start(redirect(other.url("/cdn")))
    monkeypatch.setenv("HF_ENDPOINT", hub.url(""))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    get("hf:org/repo@main/model.onnx")
    assert other.header("authorization") == [None]


def test_f46_https_does_not_become_http(start, payload, store, authority):
    plain = start(serve(payload.data))
    secure = start(redirect(plain.url(host="localhost")), tls=authority.server)
    with pytest.raises(FetchError, match="from https to plain http"):
        fetch(payload.spec(secure.url(host="localhost")), store, QUICK)
    assert plain.requests == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://localhost/x", "gopher://localhost/x"])
def test_f47_a_redirect_to_another_scheme_is_refused_at_once(start, get, store, target):
    began = time.monotonic()
    with pytest.raises(FetchError, match=r"redirects to .*refused"):
        get(start(redirect(target)))
    assert time.monotonic() - began < 1
    assert visible(store) + leftovers(store) == []


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "internal.test"],
)
def test_f47_a_redirect_to_a_private_address_is_refused_at_once(start, payload, store, monkeypatch, host):
    """The first host is the user's; the second one nobody named."""
    monkeypatch.setattr(socket, "getaddrinfo", _fake_dns(socket.getaddrinfo))
    inside = start(serve(payload.data))
    outside = start(redirect(f"http://{host}:{inside.port}/model.onnx"))
    options = replace(QUICK, allow_private=False, extra_sources=(outside.url(host="user-named.test"),))
    began = time.monotonic()
    with pytest.raises(FetchError, match=r"private address|plain http is refused"):
        fetch(payload.spec(), store, options)
    assert time.monotonic() - began < 1
    assert inside.requests == []
    assert visible(store) + leftovers(store) == []


def test_f47_a_name_that_leads_inside_is_refused_where_it_is_connected(
    start, payload, store, authority, monkeypatch
):
    monkeypatch.setattr(socket, "getaddrinfo", _fake_dns(socket.getaddrinfo))
    inside = start(serve(payload.data), tls=authority.server)
    with pytest.raises(FetchError, match=r"internal\.test is the private address 127\.0\.0\.1"):
        fetch(payload.spec(inside.url(host="internal.test")), store, replace(QUICK, allow_private=False))
    assert inside.connections == 0


def _fake_dns(real):
    """DNS in which two names lead to this machine."""

    def resolve(host, *args, **kwargs):
        return real("127.0.0.1" if host in ("internal.test", "user-named.test") else host, *args, **kwargs)

    return resolve


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True), ("10.1.2.3", True), ("172.31.0.1", True), ("192.168.1.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True), ("0.0.0.0", True), ("::1", True), ("fd00::1", True), ("fe80::1%eth0", True),
        ("::ffff:10.0.0.1", True), ("2002:7f00:1::", True), ("64:ff9b::a00:1", True),
        ("140.82.112.3", False), ("172.32.0.1", False), ("2606:4700::1111", False),
    ],
)  # fmt: skip
def test_f47_private_addresses_are_known_in_all_their_spellings(address, private):
    assert is_private(address) is private


def test_f53_a_refusing_mirror_is_left_for_the_next_at_once(start, get, payload):
    with dead_port() as port:
        began = time.monotonic()
        assert get(f"http://127.0.0.1:{port}/model.onnx", start(serve(payload.data))).digest == payload.sha256
        assert time.monotonic() - began < 0.5


def test_f53_a_mirror_without_an_address_is_left_for_the_next_at_once(start, get, payload):
    good = start(serve(payload.data))
    began = time.monotonic()
    assert get("https://no-such-host.invalid/model.onnx", good).digest == payload.sha256
    assert time.monotonic() - began < QUICK.connect_timeout


def test_f53_a_mirror_that_does_not_answer_costs_one_connect_timeout(start, get, payload):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        address = silent.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:  # a full queue drops SYNs
            filler.setblocking(False)
            filler.connect_ex(address)
        good = start(serve(payload.data))
        began = time.monotonic()
        try:
            assert get(f"http://127.0.0.1:{address[1]}/model.onnx", good).digest == payload.sha256
        finally:
            for filler in fillers:
                filler.close()
        assert time.monotonic() - began < QUICK.connect_timeout + 0.5


def test_f53_a_mirror_that_failed_goes_last_for_a_while(start, store, payload):
    good = start(serve(payload.data))
    with dead_port() as port:
        spec = payload.spec(f"http://127.0.0.1:{port}/model.onnx", good.url())
        fetch(spec, store, QUICK)
        store.find(payload.sha256).unlink()
        attempts = []
        real = socket.socket.connect
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                socket.socket, "connect", lambda self, to: (attempts.append(to[1]), real(self, to))[1]
            )
            fetch(spec, store, QUICK)
    assert port not in attempts


class Authority:
    """A certificate for localhost that only those trust who are told to."""

    def __init__(self, folder) -> None:
        self.certificate, key = folder / "cert.pem", folder / "key.pem"
        command = [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
        ]
        names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
        subprocess.run(
            [*command, *names, "-keyout", key, "-out", self.certificate], check=True, capture_output=True
        )
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.load_cert_chain(self.certificate, key)


@pytest.fixture
def authority(tmp_path, monkeypatch):
    made = Authority(tmp_path)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(made.certificate))
    return made


def test_f54_a_trusted_certificate_is_accepted(start, payload, store, authority):
    server = start(serve(payload.data), tls=authority.server)
    assert fetch(payload.spec(server.url(host="localhost")), store, QUICK).digest == payload.sha256


@pytest.mark.parametrize(
    ("bundle", "host"), [(None, "localhost"), ("mine", "127.0.0.1")], ids=["unknown", "name"]
)
def test_f54_a_bad_certificate_is_refused_without_a_retry(
    start, payload, store, authority, monkeypatch, bundle, host
):
    if bundle is None:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        monkeypatch.delenv("CURL_CA_BUNDLE")
    server = start(serve(payload.data), tls=authority.server)
    with pytest.raises(FetchError, match="TLS failed"):
        fetch(payload.spec(server.url(host=host)), store, QUICK)
    assert server.connections == 1
    assert server.requests == []


def test_plain_http_is_for_hosts_that_someone_named(start, payload, store):
    server = start(serve(payload.data))
    careful = replace(QUICK, allow_private=False)
    with pytest.raises(FetchError, match="private address"):
        fetch(payload.spec(server.url()), store, careful)
    with pytest.raises(FetchError, match="plain http is refused"):
        fetch(payload.spec("http://public.test/model.onnx"), store, careful)
    named = replace(careful, extra_sources=(server.url(),))
    assert fetch(payload.spec(), store, named).digest == payload.sha256


def proxy(seen: list[str], data: bytes):
    """A forward proxy that answers for every host."""

    def script(exchange: Exchange) -> None:
        seen.append(exchange.path)
        exchange.respond(200, data)

    return script


def test_f62_a_proxy_of_the_environment_is_used(start, payload, store, monkeypatch):
    seen: list[str] = []
    monkeypatch.setenv("HTTP_PROXY", start(proxy(seen, payload.data)).url(""))
    monkeypatch.setenv("http_proxy", start(proxy(seen, payload.data)).url(""))
    url = "http://far-away.test/model.onnx"
    assert fetch(payload.spec(), store, replace(QUICK, extra_sources=(url,))).digest == payload.sha256
    assert seen == [url]


def test_f62_no_proxy_goes_around_it(start, get, payload, monkeypatch):
    seen: list[str] = []
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, start(proxy(seen, b"")).url(""))
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    assert get(start(serve(payload.data))).digest == payload.sha256
    assert seen == []


def test_f62_a_dead_proxy_is_named(payload, store, monkeypatch):
    with dead_port() as port:
        for name in ("HTTPS_PROXY", "https_proxy"):
            monkeypatch.setenv(name, f"http://user:secret@127.0.0.1:{port}")
        with pytest.raises(FetchError, match=f"the proxy http://127.0.0.1:{port} does not answer") as caught:
            fetch(payload.spec("https://far-away.test/model.onnx"), store, QUICK)
    assert "secret" not in str(caught.value)


def test_f63_a_content_disposition_names_nothing(start, get, payload, tmp_path, store):
    before = set(tmp_path.rglob("*"))
    blob = get(start(serve(payload.data, 'Content-Disposition: attachment; filename="../../evil.onnx"')))
    assert blob.path.name == payload.sha256
    assert not [path for path in set(tmp_path.rglob("*")) - before if "evil" in path.name]


def test_a_failure_names_every_source_and_what_to_do(start, store, payload):
    with pytest.raises(FetchError) as caught:
        fetch(
            payload.spec("https://no-such-host.invalid/a", "file:///no/such/file"),
            store,
            FetchOptions(retries=0),
        )
    assert "https://no-such-host.invalid/a: DNS has no address" in caught.value.message
    assert "file:///no/such/file" in caught.value.message
    assert "--source" in (caught.value.hint or "")
    assert caught.value.exit_code == 4


def test_secrets_in_addresses_are_not_shown(payload, store):
    with pytest.raises(FetchError) as caught:
        fetch(payload.spec("https://user:pass@no-such-host.invalid/a?token=abc"), store, QUICK)
    assert "pass" not in caught.value.message
    assert "abc" not in caught.value.message
