"""What the scripts that measure have in common: programs built, brokers started on free loopback
ports, the words about the machine, and a page's table replaced.

    sys.path.insert(0, str(ROOT / "bench"))
    import measure

Everything that a run leaves behind lies in a directory that the script names, below build/.
"""

import datetime
import os
import pathlib
import platform
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BROKERS = ("mosquitto", "gnatter")
BUILD_DIR = "build/release"
PATIENCE_S = 10
START_PATIENCE_S = 60
SETTLED_S = 0.2  # after it answers


def script():
    return pathlib.Path(sys.argv[0]).name


def say(words):
    print(f"{script()}: {words}", file=sys.stderr, flush=True)


def run(*words):
    """What a command writes to its standard output; one that fails ends the script."""
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{script()}: {' '.join(map(str, words))} failed:\n"
                 f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


# ---- Programs

def build(build_dir, *targets):
    """gnatter, for release, and further TARGETS; returns the program."""
    run("cmake", "--preset", "release", "-B", build_dir)
    run("cmake", "--build", build_dir, "--target", "gnatter", *targets, "-j", str(os.cpu_count()))
    return str(ROOT / build_dir / "gnatter")


def build_generators(out, *names, tls=False, libraries=()):
    """Programs of bench/ that are one file each, into the directory OUT."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        run("cc", "-O2", "-Wall", "-Wextra", *(["-DWITH_TLS"] if tls else []), "-o", out / name,
            ROOT / f"bench/{name}.c", *(["-lssl", "-lcrypto"] if tls else []), *libraries)


def find_mosquitto():
    found = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    return found or sys.exit(f"{script()}: mosquitto is not installed (script/deps)")


def add_gnatter_options(parser):
    parser.add_argument("--gnatter", metavar="FILE", help="measures this one instead of building one")
    parser.add_argument("--build-dir", default=BUILD_DIR, metavar="DIR", help=f"(default: {BUILD_DIR})")


# ---- Brokers

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def mosquitto_words(program, port, out, *lines):
    """A mosquitto that is otherwise as LINES of its configuration say."""
    conf = out / "mosquitto.conf"
    conf.write_text("\n".join((f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence false",
                               "log_dest none", *lines, "")))
    return [program, "-c", str(conf)]


def gnatter_words(program, port, *options, scheme="mqtt", data="none"):
    return [program, "broker", "--listen", f"{scheme}://127.0.0.1:{port}", "--workers", "2", "--data", str(data),
            "--log-level", "error", *options]


class Broker:
    """A broker of its own, as long as the with block; exit_code afterwards."""

    def __init__(self, name, words, port, out, environment=None):
        self.name, self.words, self.port, self.environment = name, words, port, environment
        self.log_file = out / f"{name}.log"

    def __enter__(self):
        self.log = open(self.log_file, "w")
        self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=self.log, env=self.environment)
        until = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                time.sleep(SETTLED_S)
                return self
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        self.__exit__()
        sys.exit(f"{script()}: {self.name} does not answer, see {self.log_file}")

    @property
    def pid(self):
        return self.process.pid

    def end(self):
        self.process.send_signal(signal.SIGTERM)

    def __exit__(self, *_):
        self.end()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.exit_code = self.process.returncode
        self.log.close()

    def memory_kb(self, field="VmRSS"):
        return resident_kb(self.process.pid, field)


def resident_kb(pid, field="VmRSS"):
    """VmRSS: resident now; VmHWM: at most until now."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0])


def allow_many_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# ---- The report

def number(value, places=2):
    return "-" if value is None else f"{value:,.{places}f}"


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo")
                if line.startswith("model name")), platform.machine())
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{os.cpu_count()} cores ({cpu}), {system}, Linux {platform.release()}"


def mosquitto_version(program):
    return subprocess.run([program, "-h"], capture_output=True, text=True).stdout.splitlines()[0]


def headline(said=""):
    """Which command, when, of which commit."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True,
                            text=True).stdout.strip()
    return f"`{f'script/{script()} {said}'.strip()}`, {datetime.date.today()}, at {commit or 'no commit'}"


def write_between(page, name, lines):
    """Replaces what stands between the markers NAME of a page."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    before, rest = page.read_text().split(begin, 1)
    after = rest.split(end, 1)[1]
    page.write_text(f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{after}")
    say(f"wrote {page.relative_to(ROOT)}")
