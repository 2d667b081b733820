"""`make build` packs exactly the files that run, as the same bytes everywhere, or says why not; and the build runs."""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pytest
import redis

from deploy import build as command
from deploy import vendor
from deploy.build import Build, make
from deploy.sources import OPTIONS, ROOT, BuildError, Package, deployed
from local.cloud import Cloud, local_cloud
from tests.testkit.events import PHONE, gateway_json, url_form
from tests.testkit.servers import RedisServer, require

MOST_RSS = 64 * 1024  # kB: the smallest memory that a function can have

# It reads one event a line, and writes one answer a line to standard error: standard output belongs to the log.
SERVE = """
import json, re, sys
import index
for line in sys.stdin:
    event = json.loads(line)
    if event:
        answer = index.main_handler(event, {"request_id": "1", "memory_limit_in_mb": 64})
        print(answer["statusCode"], answer["body"], file=sys.stderr, flush=True)
origins = {module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
peak = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1]
print(json.dumps({"origins": sorted(origins), "peak": int(peak)}), file=sys.stderr)
"""
ELSEWHERE = {"TZ": "America/Los_Angeles", "LC_ALL": "C", "PYTHONHASHSEED": "7", "PIP_NO_BINARY": ":all:"}
# The kernel refuses more than 64 MB of writable memory; ulimit -v would also count mappings that are never used.
LIMITED = 'ulimit -d 65536; exec "$@"'

UNCHECKED_HASH = (1).to_bytes(4, "little")  # PEP 552: based on a hash that is not checked
MAGIC_3_10 = (3439).to_bytes(2, "little") + b"\r\n"


@pytest.fixture(scope="session")
def python() -> str:
    """A CPython 3.10 of this machine."""
    found = vendor.find_python()
    require(found is not None, "Python 3.10")
    assert found is not None
    return found


@contextmanager
def elsewhere() -> Iterator[None]:
    """Another machine: its time zone, language, hash seed and settings of pip; its files are private by default."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ELSEWHERE.items():
            patch.setenv(name, value)
        time.tzset()
        umask = os.umask(0o077)
        try:
            yield
        finally:
            os.umask(umask)
    time.tzset()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of wheels, which is empty for the first build and filled for the second."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory, python: str, cache: Path) -> Build:
    """A build without options, on another machine that has never made one; skips tests without a package index."""
    try:
        with elsewhere():
            return make(tmp_path_factory.mktemp("made") / "build", python=python, cache=cache)
    except BuildError as error:
        require(not str(error).startswith("no libraries"), f"the package index: {error}")
        raise


Tree = dict[str, tuple[int, int, str]]


def tree(directory: Path) -> Tree:
    """Return mode, time and digest of everything in a directory."""
    seen = {}
    for path in sorted(directory.rglob("*")):
        status = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        seen[path.relative_to(directory).as_posix()] = (status.st_mode, int(status.st_mtime), digest)
    return seen


@pytest.fixture(scope="session")
def built(build: Build) -> Tree:
    """Mode, time and digest of everything in the build, which no test may change."""
    return tree(build.directory)


def test_two_builds_are_the_same_bytes(
    build: Build,
    built: Tree,
    python: str,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Place, user, settings and cache do not change a build, so an old tag can be deployed again as it was.

    The second build needs no package index.
    """
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    again = make(tmp_path / "another-name", python=python, cache=cache)
    assert tree(again.directory) == built
    assert again.archive.read_bytes() == build.archive.read_bytes()
    assert again.digest == hashlib.sha256(build.archive.read_bytes()).hexdigest()


def test_the_archive_holds_the_directory(build: Build, built: Tree) -> None:
    """The archive holds the files of the build in order, with the platform's modes and one fixed time."""
    with zipfile.ZipFile(build.archive) as archive:
        entries = archive.infolist()
        contents = {entry.filename: hashlib.sha256(archive.read(entry)).hexdigest() for entry in entries}
    files = {name: digest for name, (_, _, digest) in built.items() if digest}
    assert contents == files
    assert [entry.filename for entry in entries] == sorted(contents, key=lambda name: Path(name).parts)
    assert {entry.date_time for entry in entries} == {(1980, 1, 2, 0, 0, 0)}
    executable = {entry.filename for entry in entries if entry.external_attr >> 16 != stat.S_IFREG | 0o644}
    assert executable == {"scf_bootstrap"}


def test_a_build_is_small(build: Build) -> None:
    """A build has at most 5 MB zipped, and reports its own size correctly."""
    files = [path for path in build.directory.rglob("*") if path.is_file()]
    assert (build.files, build.size) == (len(files), sum(path.stat().st_size for path in files))
    assert build.zipped == build.archive.stat().st_size <= command.MOST_ZIPPED
    assert f"{build.files} files" in str(build)


def test_a_build_holds_only_files_that_run(build: Build) -> None:
    """A build holds our files, the libraries' modules, and their versions and licences."""
    names = {path.relative_to(build.directory).as_posix() for path in build.directory.rglob("*") if path.is_file()}
    ours = {path.as_posix() for path in deployed(ROOT, ())}
    compiled = {name for name in names if name.endswith(".pyc")}
    notes = {name for name in names if ".dist-info/" in name}
    assert ours <= names
    assert {"sms_login/adapters/redis/lua/issue.lua", "sms_login/wiring.py", "index.py"} <= ours
    rest = names - ours - compiled - notes
    assert {Path(name).suffix for name in rest} == {".py", ".so", ".pem"}
    assert {name for name in rest if name.endswith(".pem")} == {"certifi/cacert.pem"}
    assert {Path(name).parts[0].removesuffix(".py") for name in rest} == {
        *("async_timeout", "certifi", "charset_normalizer", "hiredis", "idna", "jwt", "msgspec", "phonenumbers"),
        *("redis", "requests", "tencentcloud", "typing_extensions", "urllib3", "waitress"),
    }
    assert [name for name in notes if not name.endswith("METADATA") and "LICEN" not in name.upper()] == []
    licensed = {name.partition(".dist-info/")[0] for name in notes if "LICEN" in name.upper()}
    unlicensed = {name.partition(".dist-info/")[0].partition("-")[0] for name in notes} - {
        name.partition("-")[0] for name in licensed
    }
    assert all(name.startswith("tencentcloud_sdk_python") for name in unlicensed)  # its wheels have no licence file


def test_every_module_is_compiled_for_the_platform_and_never_checked(build: Build) -> None:
    """The platform's folder is read-only, so a module without bytecode would be compiled at every cold start."""
    sources = set(build.directory.rglob("*.py"))
    compiled = set(build.directory.rglob("*.pyc"))
    assert {path.parent / "__pycache__" / f"{path.stem}.cpython-310.pyc" for path in sources} == compiled
    for path in compiled:
        content, source = path.read_bytes(), path.relative_to(build.directory).parents[1] / path.name.split(".")[0]
        assert (content[:4], content[4:8]) == (MAGIC_3_10, UNCHECKED_HASH)
        assert f"/var/user/{source}.py".encode() in content


def copy(tmp_path: Path, requirements: str = "") -> Path:
    """Return a copy of a build's sources, with other requirements."""
    root = tmp_path / "copy"
    shutil.copytree(ROOT / "sms_login", root / "sms_login", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "deploy").mkdir()
    for name in ("index.py", "LICENSE", "deploy/scf_bootstrap"):
        shutil.copy(ROOT / name, root / name)
    (root / "requirements.txt").write_text(requirements)
    return root


def test_stray_files_are_not_deployed(tmp_path: Path) -> None:
    """Keys, editors' copies, other bytecode, tests, the stand-ins and the operator's command are left out."""
    root = copy(tmp_path)
    before = deployed(root, ())
    for name in (
        *(
            ".env",
            "sms_login/.env",
            "sms_login/app.py.orig",
            "sms_login/adapters/redis/lua/issue.lua~",
            "tests/test_app.py",
        ),
        *("sms_login/__main__.py", "sms_admin/check.py", "sms_admin/check/redis.py", "sms_admin/check_redis.py"),
        *("sms_login/__pycache__/app.cpython-313.pyc", "local/cloud.py", "deploy/build.py", "node_modules/x/setup.py"),
    ):
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).touch()
    assert deployed(root, ()) == before


def test_the_web_function_has_its_start_script(tmp_path: Path) -> None:
    """scf_bootstrap is at the top of a build, and executable even if it is not so in the checkout."""
    root = copy(tmp_path)
    (root / "deploy/scf_bootstrap").chmod(0o644)
    made = make(tmp_path / "build", root=root)
    assert made.directory.joinpath("scf_bootstrap").stat().st_mode & 0o777 == 0o755
    with zipfile.ZipFile(made.archive) as archive:
        assert archive.getinfo("scf_bootstrap").external_attr >> 16 & 0o777 == 0o755


def test_an_option_adds_only_its_own_modules() -> None:
    """The modules for users in SQL and for private keys are left out unless their option is given."""
    plain = {path.as_posix() for path in deployed(ROOT, ())}
    assert {path.as_posix() for path in deployed(ROOT, {"asymmetric"})} - plain == {"sms_login/sessions/pem.py"}
    sql = {path.as_posix() for path in deployed(ROOT, {"sql"})} - plain
    assert sql == {f"sms_login/adapters/sql/{name}.py" for name in ("__init__", "client", "schema", "users")}
    assert {path.as_posix() for path in deployed(ROOT, OPTIONS)} == plain | sql | {"sms_login/sessions/pem.py"}


@pytest.mark.parametrize(
    "name",
    [
        "sms_login/adapters/redis/lua/redeem.lua",
        "sms_login/adapters/redis/lua/prelude.lua",
        "index.py",
        "deploy/scf_bootstrap",
    ],
)
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    """A missing file fails the build, not the first request that needs it."""
    root = copy(tmp_path)
    (root / name).unlink()
    with pytest.raises(BuildError, match=f"^missing: {name}$"):
        make(tmp_path / "build", root=root)
    assert not (tmp_path / "build").exists()


def test_a_directory_that_is_not_a_build_is_left_alone(tmp_path: Path) -> None:
    """A directory of that name is not removed if it holds other files."""
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "notes.txt").touch()
    with pytest.raises(BuildError, match="is not a build: move it away"):
        make(tmp_path / "build", root=copy(tmp_path))
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["notes.txt"]


def test_nothing_of_an_earlier_build_stays(tmp_path: Path) -> None:
    """A removed module, or a key that lies in the old build, is not deployed with the next one."""
    root = copy(tmp_path)
    first = make(tmp_path / "build", root=root)
    (first.directory / ".env").write_text("JWT_SECRET=…")
    again = make(tmp_path / "build", root=root)
    assert not (again.directory / ".env").exists()
    assert again.digest == first.digest


def test_a_library_without_a_wheel_is_named_and_the_old_build_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a library is refused: compiled on a developer's machine, it would not run on the platform."""
    root = copy(tmp_path)
    old = make(tmp_path / "build", root=root)
    source = tmp_path / "only_source-1.0.tar.gz"
    source.write_bytes(b"")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    digest = hashlib.sha256(b"").hexdigest()
    (root / "requirements.txt").write_text(f"only-source==1.0 --hash=sha256:{digest}\n")
    with pytest.raises(BuildError, match=r"(?s)^no libraries:.*only-source"):
        make(tmp_path / "build", root=root)
    assert hashlib.sha256(old.archive.read_bytes()).hexdigest() == old.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["build", "build.zip", "copy", source.name]


def test_a_library_that_brings_a_file_of_ours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library's file at the path of ours is refused, since one of the two would be lost silently."""

    def install(_requirements: list[Path], target: Path, _cache: Path) -> None:
        target.mkdir()
        (target / "index.py").touch()

    monkeypatch.setattr(vendor, "install", install)
    with pytest.raises(BuildError, match=r"^a library brings index\.py, which is ours$"):
        make(tmp_path / "build", root=copy(tmp_path))


def test_a_build_that_has_grown_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build above the limit is refused, since a cold start fetches every byte of it."""
    monkeypatch.setattr(command, "MOST_ZIPPED", 1000)
    with pytest.raises(BuildError, match="bytes zipped are more than 1000"):
        make(tmp_path / "build", root=copy(tmp_path))


def test_a_build_that_cannot_be_imported_is_refused(tmp_path: Path, python: str) -> None:
    """A library that is used but not pinned fails the build, not the first request."""
    with pytest.raises(BuildError, match=r"(?s)^it cannot be imported:.*ModuleNotFoundError: No module named"):
        make(tmp_path / "build", root=copy(tmp_path), python=python)


def test_a_shim_leads_to_the_python_that_it_starts(
    tmp_path: Path, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shim, such as pyenv's, needs the user's environment, which the processes of a build do not have."""
    shim = tmp_path / "python3.10"
    shim.write_text('#!/bin/sh\nexec "$SHIMMED" "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("SHIMMED", python)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr("sys.executable", "false")  # the running Python may be a 3.10 itself
    found = vendor.find_python()
    assert found
    assert Path(found).samefile(python)


def test_pyenv_is_found_where_its_variable_says(tmp_path: Path, python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The build finds a pyenv outside the home folder by its variable PYENV_ROOT."""
    versions = tmp_path / "versions/3.10.99/bin"
    versions.mkdir(parents=True)
    (versions / "python3.10").symlink_to(python)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.executable", "/bin/false")
    found = vendor.find_python()
    assert found
    assert Path(found).samefile(python)


def test_a_mac_can_make_a_build(tmp_path: Path, python: str) -> None:
    """A Mac's Python compiles for the platform, although it cannot load the platform's libraries."""
    mac = tmp_path / "python3.10"
    mac.write_text(f'#!/bin/sh\ncase "$*" in *platform.system*) echo Darwin arm64 ;; *) exec "{python}" "$@" ;; esac\n')
    mac.chmod(0o755)
    made = make(tmp_path / "build", root=copy(tmp_path), python=str(mac))  # without libraries: nothing can be imported
    assert made.compiled
    assert (made.directory / "__pycache__/index.cpython-310.pyc").is_file()


def test_without_python_3_10_a_build_has_no_bytecode_and_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The warning says how much longer a cold start takes without bytecode."""
    root = copy(tmp_path)

    def make_there(directory: Path, options: set[str], python: str | None, package: Package) -> Build:
        return make(tmp_path / directory.name, options, root=root, python=python, package=package)

    monkeypatch.setattr(command, "make", make_there)
    monkeypatch.setattr(vendor, "find_python", lambda: None)
    monkeypatch.setattr("sys.argv", ["deploy.build"])
    command.main()
    printed = capsys.readouterr()
    assert not list((tmp_path / "build").rglob("*.pyc"))
    assert "sha256" in printed.out
    assert "no Python 3.10 was found" in printed.err
    assert "three times as long" in printed.err


def test_an_unknown_option_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown option is refused with the list of options."""
    monkeypatch.setattr("sys.argv", ["deploy.build", "sql", "postgres"])
    with pytest.raises(SystemExit):
        command.main()
    assert "the options are sql and asymmetric, not postgres" in capsys.readouterr().err


@pytest.fixture
def cloud(redis_server: RedisServer) -> Iterator[Cloud]:
    """A real Redis, and the stand-in for Tencent's API."""
    with redis.Redis(redis_server.host, redis_server.port) as client:
        client.flushall()
    with local_cloud({"REDIS_HOST": redis_server.host, "REDIS_PORT": str(redis_server.port)}) as cloud:
        yield cloud


def start(python: str, directory: Path, environ: dict[str, str]) -> "subprocess.Popen[str]":
    """Start a process that can import the standard library, the build and nothing else."""
    platform = {"PYTHONPATH": f"{directory}:/opt", "PYTHONDONTWRITEBYTECODE": "x", "TZ": "UTC"}
    return subprocess.Popen(  # noqa: S603 - a Python that we found
        ["/bin/sh", "-c", LIMITED, "sh", python, "-s", "-S", "-c", SERVE],
        cwd="/",
        env={**environ, **platform},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ask(process: "subprocess.Popen[str]", event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Send an event, and return the status and body of its answer."""
    cast("IO[str]", process.stdin).write(json.dumps(event) + "\n")
    cast("IO[str]", process.stdin).flush()
    status, _, body = cast("IO[str]", process.stderr).readline().partition(" ")
    return status, json.loads(body)


def test_a_login_on_a_bare_python_3_10(build: Build, built: Tree, python: str, cloud: Cloud) -> None:
    """A code is sent and logs in, within 64 MB, from a folder that stays unchanged."""
    with start(python, build.directory, cloud.environ) as process:
        try:
            status, sent = ask(process, gateway_json({"method": "getSms", "phone": PHONE}, {}))
            assert (status, sent["codeStr"]) == ("200", "Ok")
            code = cloud.tencent.inbox(PHONE)[0].params[0]
            login = {"method": "login", "phone": PHONE, "code": code, "sessionId": sent["data"]["sessionId"]}
            status, answer = ask(process, url_form(login, {}))
            assert (status, answer["codeStr"], answer["data"]["isNewUser"]) == ("200", "Success", True)
            log, facts = process.communicate(timeout=20)
        finally:
            process.kill()
    assert [json.loads(line)["outcome"] for line in log.splitlines()] == ["Ok", "Success"]
    seen = json.loads(facts)
    standard = Path(python).resolve().parents[1]
    inside = [path for path in seen["origins"] if Path(path).is_relative_to(build.directory)]
    assert [path for path in seen["origins"] if path not in inside and not Path(path).is_relative_to(standard)] == []
    assert [path for path in seen["origins"] if "site-packages" in path] == []
    assert len(inside) > 100
    assert seen["peak"] <= MOST_RSS
    assert tree(build.directory) == built


def test_a_setting_without_its_build_option_names_the_option(build: Build, python: str, cloud: Cloud) -> None:
    """A setting that needs a library that was not built in is one problem, which names the option."""
    without = {name: value for name, value in cloud.environ.items() if name != "JWT_SECRET"}
    for more, problem in (
        ({"JWT_SECRET": "s" * 32, "USERS_URL": "sqlite:////tmp/users.db"}, "make build WITH=sql"),
        ({"JWT_PRIVATE_KEY": "a key", "SECRET": "s" * 32}, "make build WITH=asymmetric"),
    ):
        with start(python, build.directory, {**without, **more}) as process:
            log, _ = process.communicate("{}\n", timeout=20)
        (line,) = log.splitlines()
        problems = json.loads(line)["problems"]
        assert len(problems) == 1
        assert problems[0].endswith(problem)
