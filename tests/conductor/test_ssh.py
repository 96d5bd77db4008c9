"""Dynos opened by SSH: a real client, a real server, real dynos."""

import asyncio
import hashlib
import os
import socket

import asyncssh
import pytest

from accounts import actions as account_actions
from accounts.models import ApiToken
from apps import dyno_keys, one_offs
from apps.models import App, Dyno
from conductor import ssh
from core.models import Event
from engine.ssh.limits import STRANGERS_OF_ONE
from tests.conftest import eventually
from tests.factories import make_app

BIG = os.urandom(3_000_000)
FILES = {"notes.txt": "read me\n", "-odd 'name\".txt": "odd\n", "big": BIG.hex()}


@pytest.fixture
def app(platform, team, alice):
    app = make_app("shop", owner=team)
    platform.deployed(app, alice, files=FILES)
    return app


@pytest.fixture
def server(platform, settings):
    settings.SSH_LISTEN = "127.0.0.1:0"
    server = ssh.server(platform.conductor.find_guest, lambda: True)
    server.start()
    eventually(lambda: server.port)
    yield server
    server.stop()


def person(user):
    """As whom they are known who come with a token of theirs."""
    return ApiToken.objects.presented(account_actions.create_token(user, by=user)[1]).user


class Client:
    """Somebody with a key that opens web.1."""

    def __init__(self, server, app, user):
        self.key = asyncssh.generate_private_key("ssh-ed25519")
        self.server, self.person = server, person(user)
        self.name = self.register(app)

    def register(self, app):
        public = self.key.export_public_key().decode()
        return dyno_keys.register(app, one_offs.newest(app, "web.1"), public, by=self.person)

    def do(self, what, **options):
        """`await what(connection)`, and end the connection."""
        return asyncio.run(self._do(what, **options))

    async def _do(self, what, **options):
        options = {"username": self.name, "client_keys": [self.key], **options}
        host_key = asyncssh.import_public_key(self.server._key.public)
        known = ([host_key], [], [])
        async with asyncssh.connect(
            "127.0.0.1", self.server.port, known_hosts=known, config=None, agent_path=None, **options
        ) as connection:
            return await asyncio.wait_for(what(connection), 60)

    def run(self, command, **options):
        """`ssh … command`."""
        return self.do(lambda connection: connection.run(command, encoding=None, **options))


@pytest.fixture
def client(server, app, bob):
    return Client(server, app, bob)


# --- commands -----------------------------------------------------------------------------------------------------------


def test_a_command_runs_in_the_dyno_and_its_status_comes_back(client, app, bob):
    done = client.run("echo $DYNO; cat notes.txt; exit 7")
    assert (done.stdout, done.exit_status) == (b"web.1\nread me\n", 7)
    row = Dyno.objects.get(one_off=True)
    assert (row.inside, row.by) == (one_offs.newest(app, "web.1").incarnation, bob)
    told = Event.objects.get(verb="ran")
    assert (told.through, told.by, told.address) == ("ssh", bob, "127.0.0.1")


def test_input_and_output_pass_as_they_are(client):
    done = client.run("sha256sum; echo over", input=BIG)
    assert done.stdout.startswith(hashlib.sha256(BIG).hexdigest().encode())
    assert client.run("xxd -r -p big 2>/dev/null || python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(open(\"big\").read()))'").stdout == BIG  # fmt: skip


def test_a_shell_has_a_terminal_that_changes_its_size(client):
    async def talk(connection):
        async with connection.create_process(
            term_type="vt100", term_size=(90, 33), encoding="utf-8"
        ) as shell:
            shell.stdin.write("tty; stty size; echo $TERM\n")
            said = await shell.stdout.readuntil("vt100\r\n")
            shell.change_terminal_size(101, 44)
            await asyncio.sleep(0.3)
            shell.stdin.write("stty size; sh -c 'trap \"echo caught\" INT; sleep 100'\n")
            said += await shell.stdout.readuntil("44 101")
            await asyncio.sleep(0.5)
            shell.send_signal("INT")
            said += await shell.stdout.readuntil("^Ccaught")
            shell.stdin.write("exit 5\n")
            await shell.wait()
            return said, shell.exit_status

    said, status = client.do(talk)
    assert "/dev/pts/" in said and "33 90" in said and status == 5


def test_who_goes_takes_their_command_along(client):
    async def begin(connection):
        process = await connection.create_process("echo begun; sleep 1000")
        await process.stdout.readline()

    client.do(begin)
    eventually(lambda: Dyno.objects.get(one_off=True).state == "down")


def test_a_signal_without_a_terminal_ends_it(client):
    async def begin(connection):
        process = await connection.create_process("echo begun; sleep 1000")
        await process.stdout.readline()
        process.send_signal("TERM")
        await process.wait_closed()

    client.do(begin)
    eventually(lambda: Dyno.objects.get(one_off=True).state == "down")


def test_it_follows_its_dyno_by_name(platform, client, app, alice):
    platform.deployed(app, alice, files={"notes.txt": "of the second release\n"})
    assert client.run("cat notes.txt").stdout == b"of the second release\n"


def test_a_dyno_that_does_not_run_says_so(client):
    Dyno.objects.update(state="crashed")
    done = client.run("true")
    assert done.exit_status == 1 and b"web.1 does not run now: it is crashed" in done.stderr


# --- who gets in --------------------------------------------------------------------------------------------------------


def turned_away(client, **options):
    async def nothing(connection):
        return None

    with pytest.raises(asyncssh.PermissionDenied):
        client.do(nothing, **options)
    return True


def test_only_the_key_that_came_with_the_name_opens(server, app, client, alice):
    other = Client(server, app, alice)
    assert turned_away(client, client_keys=[asyncssh.generate_private_key("ssh-ed25519")])
    assert turned_away(client, username=other.name)
    for name in ("root", "", "dyno-" + "x" * 43, "dyno-" + "é" * 30, "x" * 900):
        assert turned_away(client, username=name)
    assert turned_away(client, client_keys=None, password="secret")


def test_a_key_is_forgotten_after_its_time(client, monkeypatch, app):
    monkeypatch.setattr(dyno_keys, "KEPT_SECONDS", 0.5)
    client.name = client.register(app)
    assert client.run("true").exit_status == 0
    asyncio.run(asyncio.sleep(0.7))
    assert turned_away(client)


def test_a_key_ends_with_its_token_and_its_person(client, bob):
    assert client.run("true").exit_status == 0
    bob.is_active = False
    bob.save()
    assert turned_away(client)
    bob.is_active = True
    bob.save()
    ApiToken.objects.filter(pk=client.person.token.pk).delete()
    assert turned_away(client)


def test_a_key_opens_nothing_once_the_role_is_lost(client, team, bob, alice):
    account_actions.set_role(team, bob, "viewer", by=alice)
    done = client.run("cat notes.txt")
    assert done.exit_status == 1 and b"read me" not in done.stdout and done.stderr
    assert not Dyno.objects.filter(one_off=True).exists()


@pytest.mark.promise("I-31")
def test_who_loses_their_role_loses_what_is_open(client, team, bob, alice):
    async def stay(connection):
        process = await connection.create_process("echo begun; sleep 1000")
        await process.stdout.readline()
        await asyncio.to_thread(lose)
        await process.wait_closed()

    def lose():
        account_actions.set_role(team, bob, "viewer", by=alice)

    client.do(stay)
    eventually(lambda: Dyno.objects.get(one_off=True).state == "down")


def test_strangers_are_few_at_a_time(client):
    def come():
        return socket.create_connection(("127.0.0.1", client.server.port))

    assert client.run("true").exit_status == 0
    waiting = [come() for _ in range(STRANGERS_OF_ONE)]
    for each in waiting:
        each.settimeout(30)
        assert each.recv(100).startswith(b"SSH-2.0-Slipway")
    with come() as one_more:
        one_more.settimeout(30)
        while one_more.recv(4096):
            pass  # closed by the server, long before the time to sign in is over
    for each in waiting:
        each.close()
    eventually(lambda: client.server._limits.enter("127.0.0.1"))
    client.server._limits.leave("127.0.0.1", guest=False)
    assert client.run("true").exit_status == 0


def test_nothing_else_is_to_be_had(client):
    async def try_all(connection):
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", 1)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_unix_connection("/var/run/docker.sock")
        done = await connection.run(None, subsystem="netconf", check=False)
        assert done.exit_status == 1
        done = await connection.run("echo $SSH_AUTH_SOCK$DISPLAY$SECRET", env={"SECRET": "x"})
        assert done.stdout == "\n"

    client.do(try_all)


# --- files --------------------------------------------------------------------------------------------------------------


def test_files_are_copied(client, tmp_path):
    async def get(connection):
        async with connection.start_sftp_client() as sftp:
            for name in FILES:
                await sftp.get(name, str(tmp_path / name))
            async with sftp.open("/proc/self/status", "rb") as file:
                assert b"Uid:" in await file.read()
            assert await sftp.isdir(".") and (await sftp.stat("notes.txt")).size == len("read me\n")

    client.do(get)
    for name, text in FILES.items():
        assert (tmp_path / name).read_text() == text
    assert list((client.server._folder).glob("tmp*")) == []


def test_who_has_copied_is_told_that_all_went_well(client):
    async def come_and_go(connection):
        process = await connection.create_process(subsystem="sftp", encoding=None)
        process.stdin.write(b"\0\0\0\5\1\0\0\0\3")  # the version
        assert (await process.stdout.readexactly(5))[4:] == b"\2"
        process.stdin.write_eof()
        return (await process.wait()).exit_status

    assert client.do(come_and_go) == 0


def test_what_can_not_be_copied_says_why(client, settings):
    (settings.DATA / "secret").write_text("of the platform")
    (settings.DATA / "secret").chmod(0o600)

    async def get(connection):
        async with connection.start_sftp_client() as sftp:
            for path, kind in (
                ("absent", asyncssh.SFTPNoSuchFile),
                ("x" * 5000, asyncssh.SFTPNoSuchFile),
                (".", asyncssh.SFTPFailure),
                ("/dev/zero", asyncssh.SFTPPermissionDenied),
                ("$(touch made)", asyncssh.SFTPNoSuchFile),
            ):
                with pytest.raises(kind):
                    await sftp.open(path, "rb")
            assert not await sftp.exists("made")

    client.do(get)


def test_files_are_read_and_no_more(client, tmp_path):
    (tmp_path / "mine").write_text("x")

    async def change(connection):
        async with connection.start_sftp_client() as sftp:
            for attempt in (
                sftp.open("notes.txt", "w"),
                sftp.open("new", "a"),
                sftp.remove("notes.txt"),
                sftp.mkdir("folder"),
                sftp.rename("notes.txt", "other"),
                sftp.chmod("notes.txt", 0o777),
                sftp.readdir("/"),
                sftp.readlink("notes.txt"),
                sftp.symlink("/etc", "etc"),
                sftp.truncate("notes.txt", 0),
                sftp.statvfs("/"),
            ):
                with pytest.raises(asyncssh.SFTPError):
                    await attempt
            assert (await sftp.stat("notes.txt")).size == len("read me\n")

    client.do(change)


def test_asyncssh_serves_no_files_of_this_machine():
    from engine.ssh.files import Files

    of_asyncssh = {
        name
        for name, found in vars(asyncssh.SFTPServer).items()
        if callable(found) and not name.startswith("_")
    }
    assert of_asyncssh - {"convert_attrs"} <= vars(Files).keys()


# --- ports --------------------------------------------------------------------------------------------------------------


def port_of(app):
    return Dyno.objects.get(app=app, one_off=False).port


def test_a_port_of_the_dyno_is_reached(client, app, platform):
    port = platform.backends(app)[0].port

    async def ask(connection):
        answers = []
        for host in ("localhost", "127.0.0.1", "0.0.0.0"):
            reader, writer = await connection.open_connection(host, port)
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            answers.append(await reader.read())
            writer.close()
        return answers

    answers = client.do(ask)
    assert all(answer.startswith(b"HTTP/1.0 200") and answer.count(b"|") == 2 for answer in answers)
    assert Event.objects.filter(verb="ran").count() == 1  # of a port it is told once
    eventually(lambda: not Dyno.objects.filter(one_off=True).exclude(state="down").exists())


def test_no_other_place_is_reached(client):
    async def ask(connection):
        for host, port, why in (
            ("10.0.0.1", 80, "is not the dyno"),
            ("example.com", 80, "is not the dyno"),
            ("localhost", 0, "no port"),
            ("localhost", 70000, "no port"),
            ("localhost", 1, "Nothing answers on port 1"),
        ):
            with pytest.raises(asyncssh.ChannelOpenError, match=why):
                await connection.open_connection(host, port)

    client.do(ask)


# --- where it listens ---------------------------------------------------------------------------------------------------


def test_it_says_where_it_listens_and_why_not(server, platform, settings):
    eventually(lambda: dyno_keys.listening() == dyno_keys.Listening("127.0.0.1", ""))
    settings.SSH_LISTEN, settings.SSH_HOST = f"127.0.0.1:{server.port}", "shell.example.com"
    second = ssh.server(platform.conductor.find_guest, lambda: True)
    second.start()
    eventually(lambda: "in use" in dyno_keys.listening().why)
    server.stop()
    eventually(lambda: dyno_keys.listening().host == "shell.example.com")
    second.stop()
    assert "no conductor runs" in dyno_keys.listening().why
    settings.SSH_LISTEN = ""
    (settings.DATA / "run" / "ssh.json").write_text(
        '{"host": "127.0.0.1", "why": ""}'
    )  # left by who was killed
    assert ssh.server(platform.conductor.find_guest, lambda: True) is None
    assert "SLIPWAY_SSH_LISTEN is not set" in dyno_keys.listening().why


def test_its_key_stays(settings, server):
    from engine.ssh import HostKey

    key = HostKey(settings.DATA / "tls")
    assert key.public == server._key.public and key.private.stat().st_mode & 0o777 == 0o600


def test_apps_may_go(client, app):
    assert client.run("true").exit_status == 0
    Dyno.objects.filter(app=app).delete()
    App.objects.filter(pk=app.pk).update(destroyed_at="2026-01-01T00:00:00Z")
    assert client.run("true").exit_status == 1
