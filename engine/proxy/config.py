"""What HAProxy is told once: listening, rules for every request, what it reports. Hosts, apps and dynos are in maps,
lists and backends of their own, which change while it runs."""

import re
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.proxy import shares
from engine.proxy.files import Folder
from engine.proxy.pages import AWAY, NO_APP
from engine.router.limits import Limits

ADDRESS = re.compile(r"(unix@/[\w./-]+|(\[[0-9A-Fa-f:.]+\]|[\w.*-]*):\d{1,5})")
LITERAL = re.compile(r"unix@.*|\[.*|[\d.]+:\d+")
WEB_SERVERS = 16  # web processes that one name may stand for
RING_BYTES = 32 * 1024**2  # records that wait for a conductor
GUEST_SECONDS = 24 * 3600
SPARE_FILES = 100  # beside those that connections take, two each
CONTROL = "control"  # the place of the platform's own pages
ASLEEP = "asleep"  # why there is no dyno: the conductor is asked, which has the app woken
CHALLENGE = "/.well-known/acme-challenge/"
CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

# What a record of a request says, in this order; see `engine.proxy.records`. What clients choose freely comes last.
RECORD = (
    "%[var(txn.app)] %ts %ST %B %[var(txn.head)] %[var(txn.headers)] %Tc %Ta %s %[ssl_fc] %[var(txn.id)] %HM %[var(txn.host)] "
    "%[var(txn.path)] %[var(txn.fwd)]"
)
HOST = r"'^([0-9A-Za-z]([0-9A-Za-z._-]*[0-9A-Za-z])?\.?|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?$'"
REQUEST_ID = "'^[A-Za-z0-9_-]{8,64}$'"
# CGI and WSGI read X_Forwarded_For as X-Forwarded-For: what the router vouches for must have one spelling only.
# The others belong to one connection, and there are two.
NOT_PASSED = (
    "'^((?=.*_)(x[_-]request[_-](id|start)|x[_-]forwarded[_-](for|proto|port)|content[_-]length|"
    "transfer[_-]encoding)|keep-alive|proxy-connection|proxy-authorization|te|http2-settings)$'"
)
TIME = '%[date,utime(\\"%H:%M:%S UTC, %d %B %Y\\")]'
SAFE = (
    "hdr Cache-Control no-store hdr X-Content-Type-Options nosniff hdr Content-Security-Policy "
    "\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\""
)
ITS_ID = 'hdr X-Request-Id "%[var(txn.id)]"'


@dataclass(frozen=True)
class Setup:
    """Where HAProxy listens, and what it must know beside the routes. Addresses are `HOST:PORT` or `unix@/path`."""

    http: str
    https: str = ""  # none without
    guests: str = ""  # where clients of `heroku run` come to, by TLS
    ports: tuple[int, int] = (80, 443)  # of http and https, as clients see them
    web: tuple[
        str, ...
    ] = ()  # the platform's own pages; a name is asked for again and again, and may be many
    web_check: str = (
        ""  # a path that must answer for a web process to be asked; empty: that it accepts is enough
    )
    control_hosts: frozenset[str] = frozenset()
    apps_host: str = "localhost"
    trusted: tuple[str, ...] = ()  # addresses and networks that are believed what they say was forwarded
    to_https: bool = False  # send people who come for the platform's pages by http to https
    limits: Limits = field(default_factory=Limits)
    per_dyno: int = 1000  # requests and tunnels at a time; more wait, then are told H11


def config(setup: Setup, folder: Folder) -> str:
    """The text of haproxy.cfg."""
    for address in (setup.http, setup.https, setup.guests, *setup.web):
        if address and not ADDRESS.fullmatch(address):
            raise ValueError(f"{address!r} is no address; write HOST:PORT")
    parts = [
        _global(setup, folder),
        _defaults(setup),
        _ring(folder),
        _front(setup, folder),
        _web(setup, folder),
        _asleep(setup, folder),
    ]
    if setup.guests:
        parts.append(_guests(setup, folder))
    return "\n".join(parts)


def backend(slot: str, servers: Mapping[str, str], setup: Setup) -> str:
    """The text of an app's backend; `servers` are addresses by name."""
    lines = [f"backend {slot}", "    balance leastconn"]
    lines += [f"    server {server(name, address, setup)}" for name, address in sorted(servers.items())]
    return "\n".join(lines) + "\n"


def server(name: str, address: str, setup: Setup) -> str:
    """One server, as a backend and the command line want it."""
    return f"{name} {address} maxconn {setup.per_dyno}"


def _ms(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"


def _global(setup: Setup, folder: Folder) -> str:
    return f"""global
    stats socket {folder.socket} mode 600 level admin expose-fd listeners
    stats timeout 1m
    maxconn {min(setup.limits.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 2 - SPARE_FILES)}
    noreuseport
    hard-stop-after {_ms(setup.limits.control)}
    tune.bufsize 32768
    tune.maxrewrite 2048
    tune.http.maxhdr 256
    ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets
    ssl-default-bind-ciphers {CIPHERS}
    ssl-default-bind-ciphersuites {SUITES}
"""


def _defaults(setup: Setup) -> str:
    limits = setup.limits
    return f"""defaults
    mode http
    option redispatch 1
    retries 3
    timeout connect {_ms(limits.connect)}
    timeout http-request {_ms(limits.header)}
    timeout http-keep-alive {_ms(limits.keep_alive)}
    timeout client {_ms(limits.idle)}
    timeout server {_ms(limits.idle)}
    timeout tunnel {_ms(limits.idle)}
    timeout queue {_ms(limits.connect)}

resolvers names
    parse-resolv-conf
    hold valid 5s

backend tunnels
    stick-table type string len 120 size 100k expire 1d store conn_cur
"""


def _ring(folder: Folder) -> str:
    return f"""ring lines
    format raw
    maxlen 16384
    size {RING_BYTES}
    timeout connect 5s
    timeout server 10s
    server conductor unix@{folder.lines} log-proto octet-count
"""


def _front(setup: Setup, folder: Folder) -> str:
    words = Words(folder)
    secure = [f"bind {setup.https} ssl crt-list {folder.cert_list} alpn h2,http/1.1"] if setup.https else []
    rules = [
        f"bind {setup.http}",
        *secure,
        "option http-no-delay",
        "log ring@lines len 16384 local0",
        f'log-format "{RECORD}"',
        *(words.error(*each) for each in ((500, "H99"), (502, "H13"), (503, "H21"), (504, "H12"))),
        *(
            f'http-error status {each} content-type text/plain string "{text}"'
            for each, text in REFUSALS.items()
        ),
        *_whose(setup, folder, words),
        *_control(setup),
        *_app(setup, folder, words),
        *_forwarded(setup),
        *_answers(words),
        "use_backend %[var(txn.slot)]",
    ]
    return _section("frontend web", rules)


REFUSALS = {
    400: "400 Bad Request: it does not follow the rules of HTTP.\\n",
    408: "408 Request Timeout: the request did not come in time.\\n",
    413: "413 Content Too Large.\\n",
    501: "501 Not Implemented: only the chunked transfer coding is known.\\n",
}


def _section(name: str, rules: list[str]) -> str:
    return "\n    ".join([name, *rules]) + "\n"


def _whose(setup: Setup, folder: Folder, words: "Words") -> list[str]:
    """Whose request it is: `txn.slot` names its backend."""
    wild = f"!{{ var(txn.slot) -m found }} !{{ var(txn.host) -m end .{setup.apps_host.lower()} }}"
    answer = f"path,map_str({folder.challenges})"
    return [
        f"http-request return status 200 content-type text/plain lf-string %[{answer}] "
        f"if {{ path_beg {CHALLENGE} }} {{ {answer} -m found }}",
        "http-request set-var(txn.host) req.hdr(host),host_only,lower,rtrim(.)",
        f"http-request set-var(txn.slot) var(txn.host),map_str({folder.hosts})",
        f"http-request set-var(txn.slot) var(txn.host),regsub(^[^.]+,*),map_str({folder.hosts}) if {wild}",
        *shares.rules(folder.shares),
        "http-request set-var(txn.accept) req.fhdr(accept)",
        "http-request set-var(txn.id) req.fhdr(x-request-id)",
        f"http-request set-var(txn.id) uuid() if !{{ var(txn.id) -m reg {REQUEST_ID} }}",
        "http-request deny deny_status 400 if { method CONNECT }",
        f"http-request deny deny_status 400 if !{{ var(txn.slot) -m found }} !{{ req.hdr(host) -m reg {HOST} }}",
        "http-request deny deny_status 501 if { req.fhdr(transfer-encoding) -m found } "
        "!{ req.fhdr(transfer-encoding) -i chunked }",
        f'http-request return status 404 content-type text/html {SAFE} lf-string "{words.piece(NO_APP, 1)}" '
        "if !{ var(txn.slot) -m found }",
    ]


def _control(setup: Setup) -> list[str]:
    """What is done with requests for the platform's own pages only. They are in no app's log."""
    rules = [
        f"acl control var(txn.slot) -m str {CONTROL}",
        f"acl trusted src {' '.join(setup.trusted) or '255.255.255.255'}",
        "http-request set-log-level silent if control",
        "http-request del-header '^(forwarded$|x[_-]forwarded|.*_)' -m reg if control !trusted",
    ]
    if setup.to_https:
        rules.append("http-request redirect scheme https code 301 if control !{ ssl_fc } !trusted")
    return rules


def _app(setup: Setup, folder: Folder, words: "Words") -> list[str]:
    """What is done with requests for apps only: most have a backend, for the others their state says why not."""
    why = f"status 503 content-type text/html {SAFE} {ITS_ID}"
    page = words.page("txn.code")
    return [
        f"http-request set-var(txn.app) var(txn.slot),map_str({folder.apps})",
        "http-request set-var(txn.path) pathq if !control",
        'http-request set-var-fmt(txn.fwd) "%[req.fhdr(x-forwarded-for)], %[src]" if { req.hdr(x-forwarded-for) -m found }',
        "http-request set-var(txn.fwd) src if !{ var(txn.fwd) -m found }",
        "http-request set-var(txn.code) var(txn.app),field(2,.) if { var(txn.app) -m sub . }",
        f"acl asleep var(txn.code) -m str {ASLEEP}",
        f"http-request set-var(txn.slot) str({ASLEEP}) if asleep",
        "http-request set-log-level silent if asleep",  # who answers writes the line
        "http-request unset-var(txn.pin) if asleep",  # and says who it was
        "http-request unset-var(txn.code) if asleep",
        f"http-request set-var(txn.canary) var(txn.slot),map_str({folder.canaries})",
        "http-request set-var(txn.share) var(txn.canary),field(1,.),add(0) if { var(txn.canary) -m found }",
        "http-request set-var(txn.slot) var(txn.canary),field(2,.) "
        "if { var(txn.canary) -m found } { rand(100),sub(txn.share) lt 0 }",
        f'http-request return {why} hdr Retry-After 30 lf-string "{page}" if {{ var(txn.code) -m str H80 }}',
        f'http-request return {why} lf-string "{page}" if {{ var(txn.code) -m found }}',
    ]


def _forwarded(setup: Setup) -> list[str]:
    """What is said to whoever answers of the client, and of the way that the request took."""
    http, https = setup.ports
    return [
        f"http-request del-header {NOT_PASSED} -m reg",
        "http-request del-header upgrade if { req.hdr(upgrade) -m beg -i h2 }",
        "http-request del-header connection if !{ req.hdr(upgrade) -m found }",
        "http-request set-uri %[pathq] if !{ url_beg / }",
        "http-request set-header X-Request-Id %[var(txn.id)]",
        "http-request set-header X-Forwarded-For %[var(txn.fwd)]",
        "http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)] "
        "if !trusted || !{ req.hdr(x-forwarded-proto) -m found }",
        f"http-request set-header X-Forwarded-Port %[ssl_fc,iif({https},{http})] "
        "if !trusted || !{ req.hdr(x-forwarded-port) -m found }",
        "http-request set-var(txn.secure) str(1) if { req.hdr(x-forwarded-proto) https }",
        "http-request set-header X-Request-Start %[date(0,ms)]",
        'http-request add-header Via "1.1 slipway"',
    ]


def _answers(words: "Words") -> list[str]:
    """What is done with answers. HAProxy's own have no `txn.head`; it tells more statuses apart than clients get to see."""
    return [
        "http-response set-var(txn.head) res.hdrs,length",
        "http-response set-var(txn.headers) res.fhdr_cnt",
        "http-response track-sc2 srv_name table tunnels if { status 101 }",
        'http-response add-header Via "1.1 slipway"',
        *shares.pinning(),
        f"http-after-response set-header Content-Type %[{words.kind},concat(.type),map_str({words.pages})] "
        "if { status 404 500:504 } !{ var(txn.head) -m found }",
        "http-after-response set-status 503 if { status 500 502 504 } !{ var(txn.head) -m found }",
    ]


def _web(setup: Setup, folder: Folder) -> str:
    """The backend of the platform's own pages. A push may stream for long, and so may a log."""
    words = Words(folder)
    check = [f"option httpchk GET {setup.web_check}"] if setup.web_check else []
    rules = [
        "balance leastconn",
        *check,
        f"timeout server {_ms(setup.limits.control)}",
        f"timeout tunnel {_ms(setup.limits.control)}",
        *(words.away(status) for status in (500, 502, 503, 504)),
    ]
    for number, address in enumerate(setup.web, 1):
        if LITERAL.fullmatch(address):
            rules.append(f"server web{number} {address} check inter 1s fall 2 rise 1")
        else:
            rules.append(
                f"server-template web{number}- {WEB_SERVERS} {address} check inter 1s fall 2 rise 1 "
                "resolvers names init-addr none"
            )
    return _section(f"backend {CONTROL}", rules)


def _asleep(setup: Setup, folder: Folder) -> str:
    """The backend of apps that sleep: a conductor keeps their requests until they are up, and passes them on."""
    limits = setup.limits
    return _section(
        f"backend {ASLEEP}",
        [
            f"timeout server {_ms(limits.wake + limits.first_byte)}",
            Words(folder).error(503, "H20"),
            f"server conductor unix@{folder.waking}",
        ],
    )


def _guests(setup: Setup, folder: Folder) -> str:
    return _section(
        "listen guests",
        [
            "mode tcp",
            f"bind {setup.guests} ssl crt-list {folder.cert_list}",
            f"timeout client {GUEST_SECONDS}s",
            f"timeout server {GUEST_SECONDS}s",
            f"server conductor unix@{folder.guests}",
        ],
    )


class Words:
    """How HAProxy finds the words for visitors: in a map, by what the Accept header asks for and a code."""

    def __init__(self, folder: Folder) -> None:
        self.pages: Path = folder.pages
        self.kind = f"str(),concat(,txn.accept),lower,map_reg({folder.kinds},html)"

    def piece(self, code: str, number: int) -> str:
        """One piece of a page."""
        return f"%[{self.kind},concat(.{code}.{number}),map_str({self.pages})]"

    def page(self, variable: str) -> str:
        """The page for the code in a variable."""
        found = f"%[{self.kind},concat(.,{variable},.{{}}),map_str({self.pages})]"
        return self._filled([found.format(number) for number in range(1, 5)])

    def error(self, status: int, code: str) -> str:
        """The page for a failure that HAProxy answers with `status`."""
        page = self._filled([self.piece(code, number) for number in range(1, 5)])
        return f'http-error status {status} content-type text/html {SAFE} {ITS_ID} lf-string "{page}"'

    def away(self, status: int) -> str:
        """The same for the platform's own pages."""
        page = f"{self.piece(AWAY, 1)}%[var(txn.id)]{self.piece(AWAY, 2)}"
        return (
            f'http-error status {status} content-type text/html {SAFE} hdr Retry-After 5 lf-string "{page}"'
        )

    def _filled(self, pieces: list[str]) -> str:
        first, second, third, last = pieces
        return f"{first}%[var(txn.host)]{second}%[var(txn.id)]{third}{TIME}{last}"
