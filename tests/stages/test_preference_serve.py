"""`hyperfit preference serve` as a process: what it says, what it refuses, what its log holds."""

import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from hyperfitting.cli import main
from hyperfitting.preference.store import open_store
from hyperfitting.preference.study import Study
from tests.support import studies
from tests.support.cli import refused
from tests.support.serving import Server, free_port


@pytest.fixture
def made(tmp_path):
    study, token = Study.create(tmp_path / "study", studies.protocol(), studies.comparisons(2))
    with open_store(study) as store:
        return study.folder, token, store.invitations.create(1)[0]


def test_it_says_where_it_listens_and_logs_no_token(made, tmp_path):
    folder, admin, token = made
    server = Server(folder, tmp_path / "log")
    try:
        for path in (
            f"/i/{token}",
            f"/admin/enter/{admin}",
            f"/nothing/{token}",
            f"/i/{token}?again={admin}",
            f"/%zz{token}",
        ):
            try:
                urllib.request.urlopen(server.base + path)
            except urllib.error.HTTPError as error:
                error.close()
        with socket.create_connection(("127.0.0.1", server.port)) as raw:
            raw.sendall(f"NONSENSE {token}\r\n\r\n".encode())
            assert raw.recv(100).startswith(b"HTTP/1.1 400")
    finally:
        status = server.stop()
    log = server.log.read_text()
    assert status == 130
    assert f"admin       {server.base}/admin\n" in log
    assert "GET /i/{token} 303" in log
    assert token not in log
    assert admin not in log
    assert "Traceback" not in log


def test_it_listens_on_this_machine_only_unless_told(made, tmp_path):
    server = Server(made[0], tmp_path / "log")
    try:
        with open(f"/proc/{server.process.pid}/net/tcp") as table:
            listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
        assert f"0100007F:{server.port:04X}" in listening
        assert f"00000000:{server.port:04X}" not in listening
    finally:
        server.stop()


def test_every_address_of_a_machine_is_none_that_a_browser_opens(made, tmp_path, capsys):
    server = Server(made[0], tmp_path / "log", "--host", "0.0.0.0")
    try:
        with urllib.request.urlopen(f"{server.base}/static/style.css") as style:
            assert style.status == 200
    finally:
        server.stop()
    log = server.log.read_text()
    assert f"admin       http://127.0.0.1:{server.port}/admin\n" in log
    assert "note        0.0.0.0 is every address of this machine and none that a browser can" in log
    assert f"--public-url http://NAME:{server.port}" in log
    assert "http://0.0.0.0" not in log
    assert "say with --url" in refused(capsys, "preference", "invite", str(made[0]))
    assert main(["preference", "invite", str(made[0]), "--url", "http://192.0.2.7:81"]) == 0
    assert capsys.readouterr().out.startswith("http://192.0.2.7:81/i/")


def test_links_are_made_for_the_address_of_the_last_serve(made, tmp_path, capsys):
    server = Server(made[0], tmp_path / "log", "--public-url", "https://study.example.org/class")
    server.stop()
    assert main(["preference", "invite", str(made[0]), "--count", "2"]) == 0
    links = capsys.readouterr().out.splitlines()
    assert [link.rpartition("/")[0] for link in links] == ["https://study.example.org/class/i"] * 2


def test_a_port_that_is_taken_is_one_line(made, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(capsys, "preference", "serve", str(made[0]), "--port", str(port))
    assert (
        f"port {port} on 127.0.0.1 is taken by another program: choose another with --port" in said
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--open-link"], "its protocol has no open link"),
        (["--public-url", "study.example"], "--public-url study.example: write it as https://"),
        (["--host", "203.0.113.7"], "choose another --host or --port"),
        (["--port", "70000"], "is not a port"),
        (["--database", "mysql://x/y"], "SQLite or PostgreSQL"),
    ],
)
def test_what_cannot_be_served_is_one_line(made, capsys, options, words):
    assert words in refused(
        capsys, "preference", "serve", str(made[0]), "--port", str(free_port()), *options
    )


def test_no_study_no_server(tmp_path, capsys):
    assert "holds no study" in refused(capsys, "preference", "serve", str(tmp_path))


def test_serving_needs_no_torch():
    code = "import sys, hyperfitting.preference.web.serve; print(' '.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"torch", "transformers", "matplotlib", "scipy"} & set(loaded)
