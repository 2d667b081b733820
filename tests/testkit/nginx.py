"""A real nginx for the tests, which proxies to a server of theirs."""

import os
import shutil

from tests.testkit.servers import Server

_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])  # a user's PATH may lack these
_CONFIG = """
daemon off; master_process off; pid pid; error_log stderr notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen {host}:{port};
        {location}
    }}
}}
"""


def find_nginx() -> str | None:
    """Return the path of nginx."""
    return shutil.which("nginx", path=_PATH)


class NginxServer(Server):
    """An nginx with one server, which has one `location`: a block of its configuration."""

    name = "nginx"
    ready = b"getrlimit("  # it writes this once it listens

    def __init__(self, location: str) -> None:
        super().__init__()
        self._location = location

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    def command(self, port: int) -> list[str]:
        """Write the configuration into the server's directory; return the command."""
        config = _CONFIG.format(host=self.host, port=port, location=self._location)
        (self.directory / "nginx.conf").write_text(config, encoding="utf-8")
        return [find_nginx() or "nginx", "-p", str(self.directory), "-c", "nginx.conf", "-e", "stderr"]
