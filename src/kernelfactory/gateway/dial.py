"""Connections from here to the outside: which addresses may be reached, by what way. Refuses to read what passes."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from functools import cached_property
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

import h11

from kernelfactory.gateway.lines import Broken, Line, Streams

CONNECT_SECONDS = 15.0

Resolver = Callable[[str], Sequence[str]]
"""The addresses of a host; may block. Raises OSError."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NEVER = (
    ipaddress.ip_network("2002::/16"),
    ipaddress.ip_network("2001::/32"),
    ipaddress.ip_network("168.63.129.16/32"),
)
"""Tunnels into other networks, and the one public address that is a cloud's own."""


class Forbidden(Exception):
    """This address is never connected to."""


class Unreachable(Exception):
    """Nobody answers there, or not in the right way. On one line."""


def system(host: str) -> Sequence[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def public(text: str) -> bool:
    """Is it an address of the public network, whatever dress it comes in?"""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or (address in _NAT64 and ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if inner:
            return public(str(inner))
        if address.is_site_local or int(address) < 1 << 32:
            return False
    odd = address.is_private or address.is_multicast or address.is_reserved or address.is_link_local
    return address.is_global and not odd and not any(address in network for network in _NEVER)


class Outside:
    """`allow_private`: addresses that are not public may be reached by tunnels (for tests). `proxies`: as urllib reads
    them from the environment."""

    def __init__(
        self,
        resolver: Resolver = system,
        *,
        allow_private: bool = False,
        proxies: Mapping[str, str] | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._resolver = resolver
        self._allow_private = allow_private
        self._proxies = dict(getproxies_environment() if proxies is None else proxies)
        self._trust = trust

    @cached_property
    def trust(self) -> ssl.SSLContext:
        return self._trust or ssl.create_default_context()

    async def trusted(self, host: str, port: int, *, tls: bool) -> Streams:
        """A connection to an upstream that the user named. Raises Unreachable."""
        proxy = self._proxy(host, "https" if tls else "http")
        if proxy is None:
            return await self._first(await self._addresses(host), port, host if tls else None)
        reader, writer = await self._through(proxy, host, port)
        if tls:
            await self._secured(writer, host)
        return reader, writer

    async def checked(self, host: str, port: int, *, named: bool, names: Executor) -> Streams:
        """A connection to where the cage wants to go: only to public addresses, those that were checked, looked up in
        `names`: who is asked may never answer. A proxy of ours gets the name if the user `named` the host, else an
        address too. Raises Forbidden, Unreachable."""
        proxy = self._proxy(host, "https")
        if proxy is not None and named and not _literal(host):
            return await self._through(proxy, host, port)
        addresses = await self._addresses(host, names)
        if not self._allow_private and not all(map(public, addresses)):
            raise Forbidden(f"{host} is at an address that is not public")
        if proxy is not None:
            return await self._through(proxy, addresses[0], port)
        reader, writer = await self._first(addresses, port, None)
        if not self._allow_private and writer.get_extra_info("peername")[0] == writer.get_extra_info("sockname")[0]:
            writer.transport.abort()
            raise Forbidden(f"{host} is this machine")
        return reader, writer

    async def _addresses(self, host: str, names: Executor | None = None) -> Sequence[str]:
        if _literal(host):
            return [host]
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                found = await asyncio.get_running_loop().run_in_executor(names, self._resolver, host)
        except (OSError, UnicodeError):  # TimeoutError too
            found = ()
        if not found:
            raise Unreachable(f"{host} has no address")
        return found

    async def _first(self, addresses: Sequence[str], port: int, tls: str | None) -> Streams:
        """A connection to the first address that answers; `tls`: the name in its certificate."""
        why = "does not answer"
        for address in addresses:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(
                        address, port, ssl=self.trust if tls else None, server_hostname=tls
                    )
            except ssl.SSLCertVerificationError as error:
                why = f"has a certificate that is not trusted ({error.verify_message})"
            except ssl.SSLError:
                why = "speaks no TLS that we know"
            except (OSError, UnicodeError):
                why = "does not answer"
        raise Unreachable(f"{tls or addresses[0]}:{port} {why}")

    async def _secured(self, writer: asyncio.StreamWriter, host: str) -> None:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await writer.start_tls(self.trust, server_hostname=host)
        except OSError as error:  # ssl.SSLError is one
            writer.transport.abort()
            raise Unreachable(f"{host} could not be spoken to by TLS ({type(error).__name__})") from None

    # ── by a proxy of ours ───────────────────────────────────────────────────────────────────────

    def _proxy(self, host: str, scheme: str) -> str | None:
        """The URL of the proxy on the way to `host`."""
        url = self._proxies.get(scheme) or self._proxies.get("all")
        if not url or local(host) or proxy_bypass_environment(host, self._proxies):
            return None
        return url if "://" in url else f"http://{url}"

    async def _through(self, proxy: str, host: str, port: int) -> Streams:
        url = urlsplit(proxy)
        if url.scheme != "http" or not url.hostname:
            raise Unreachable("the proxy of this machine's environment is not an http:// one: no way to speak to it")
        streams = await self._first(await self._addresses(url.hostname), url.port or 80, None)
        line = Line(streams, h11.CLIENT, lambda _: None)
        there = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        headers = [("host", there)]
        if url.username is not None:
            login = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
            headers.append(("proxy-authorization", f"Basic {base64.b64encode(login).decode()}"))
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await line.send(h11.Request(method="CONNECT", target=there, headers=headers), h11.EndOfMessage())
                answer = await line.next()
        except (Broken, TimeoutError, h11.LocalProtocolError):
            answer = None
        if isinstance(answer, h11.Response) and answer.status_code // 100 == 2 and not line.http.trailing_data[0]:
            return streams
        line.abort()
        said = f" ({answer.status_code})" if isinstance(answer, h11.Response) else ""
        raise Unreachable(f"the proxy of this machine's environment does not lead to {there}{said}")


def local(host: str) -> bool:
    """Is it a name or an address of this machine's loopback?"""
    return host == "localhost" or (_literal(host) and ipaddress.ip_address(host.partition("%")[0]).is_loopback)


def _literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
