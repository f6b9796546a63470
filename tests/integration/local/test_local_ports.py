import socket
import subprocess
import sys

import pytest

from rushes.local.ports import free_ports, port_is_free, port_is_served


def test_free_ports_are_different_and_can_be_listened_on() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert all(20_000 <= port < 32_000 and port_is_free(port) for port in ports)


def test_ports_that_are_taken_or_handed_out_are_not_offered() -> None:
    (port,) = free_ports(1)
    with pytest.raises(OSError, match="only 0 of 1"):
        free_ports(1, low=port, high=port + 1)


def test_a_second_run_is_not_offered_what_the_first_was() -> None:
    (port,) = free_ports(1)
    code = f"from rushes.local.ports import free_ports; free_ports(1, {port}, {port + 1})"
    second = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert "only 0 of 1 ports" in second.stderr


def test_a_port_that_someone_listens_on_is_not_free() -> None:
    (port,) = free_ports(1)
    assert not port_is_served(port)
    with socket.create_server(("127.0.0.1", port)) as server:
        assert port_is_served(port)
        server.accept()[0].close()
        assert not port_is_free(port)
        # Closed from this side first, so that the server's port keeps a connection in TIME_WAIT.
        with socket.create_connection(server.getsockname()) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    assert port_is_free(port)
