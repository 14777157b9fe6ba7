"""A Python that has imported torch already, for the processes that tests start: a start costs one second instead of six.

`warm_python(folder, owner)` starts a server, which imports what takes long and lives as long as the process `owner`, and writes
an executable `python`. This one takes the arguments of the real one. It asks the server for a fork, which runs the program with the folder, the environment
and the standard streams of whoever called, and ends with its exit code. Signals reach the fork, and it ends if the caller is
killed.

Libraries that read their settings when they are imported, such as huggingface_hub, are imported once for all programs with
equal settings: the second such program has its fork make a server of its own for those to come.

What a fork cannot do is left to the real Python: options of the interpreter, other inherited files, and other numbers of threads.
"""

from __future__ import annotations

import array
import atexit
import gc
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path
from types import ModuleType

from filelock import FileLock

PRELOADED = (
    "torch",
    "torch._dynamo",
    "torch._inductor.config",
    "torch.distributed.tensor",
    "torch.export",
    "torch.nn.attention.flex_attention",
    "torch.utils.data",
    "matplotlib.figure",
    "pandas",
    "PIL.Image",
    "pyarrow.parquet",
    "safetensors.torch",
    "scipy.optimize",
    "scipy.stats",
)
WITH_SETTINGS = (
    "accelerate",
    "accelerate.commands.launch",
    "datasets",
    "evaluate",
    "transformers.backbone_utils",
    "transformers.image_processing_utils",
    "transformers.modeling_utils",
    "transformers.models.auto",
)
SETTINGS = ("ACCELERATE_", "DATASETS_", "HF_", "HOME", "HUGGINGFACE_", "PYTORCH_", "TRANSFORMERS_", "XDG_")  # prefixes
MOST_SERVERS = 12  # with settings; each has some 100 MB of its own
SECONDS = 60  # for the imports
KEPT = ("OMP_NUM_THREADS", "PYTHONHOME", "PYTHONWARNINGS", "PYTHONFAULTHANDLER", "PYTHONDONTWRITEBYTECODE")

# Starts in 20 ms: it imports neither site nor anything large.
CLIENT = """#!{real} -IS
import array, json, os, signal, socket, sys, zlib
real, server, kept = {real!r}, {server!r}, {kept!r}
arguments = sys.argv[1:]
rest = [a for a in arguments if a not in ("-I", "-W", "ignore")]
can_fork = bool(rest) and (rest[0] in ("-c", "-m") or not rest[0].startswith("-"))
can_fork = can_fork and all(os.environ.get(name) in (value, None) for name, value in kept.items())
can_fork = can_fork and not any(os.get_inheritable(int(fd)) for fd in os.listdir("/proc/self/fd")
                                if int(fd) > 2 and os.path.exists("/proc/self/fd/" + fd))
settings = dict(sorted(item for item in os.environ.items() if item[0].startswith({settings!r})))
special = server + "-" + format(zlib.crc32(json.dumps(settings).encode()), "08x")
for address in (special, server) if can_fork else ():
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
        break
    except OSError:
        pass
else:
    can_fork = False
if not can_fork:
    os.execv(real, [real, *arguments])
request = json.dumps(dict(arguments=arguments, folder=os.getcwd(), environment=dict(os.environ), special=special)).encode()
streams = array.array("i", [0, 1, 2])
connection.sendmsg([len(request).to_bytes(8, "little")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
connection.sendall(request)
pid = int.from_bytes(connection.recv(8), "little")
def forward(number, frame):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT):
    signal.signal(number, forward)
code = connection.recv(8)
code = int.from_bytes(code, "little", signed=True) if code else 1
if code < 0:
    signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
    os.kill(os.getpid(), -code)
os._exit(code)
"""


def warm_python(folder: Path, owner: int) -> str:
    """The path of the executable. `folder` also gets `lgn-hf` and `accelerate`, which it runs, for the PATH.

    Several processes may call it with one folder: they share a server.
    """
    folder.mkdir(exist_ok=True)
    server = str(folder / "server")
    with FileLock(folder / "lock"):
        if (folder / "python").exists():
            return str(folder / "python")
        kept = {name: os.environ.get(name) for name in KEPT}
        text = CLIENT.format(real=sys.executable, server=server, kept=kept, settings=SETTINGS)
        python = _executable(folder / "python", text)
        for name, module in (("lgn-hf", "lgn_hf.cli"), ("accelerate", "accelerate.commands.accelerate_cli")):
            call = f"import sys; sys.argv[0] = {name!r}; from {module} import main; sys.exit(main())"
            _executable(folder / name, f'#!/bin/sh\nexec {python} -c "{call}" "$@"\n')
        process = subprocess.Popen([sys.executable, __file__, server, python, str(owner)], start_new_session=True)
        deadline = time.monotonic() + SECONDS
        while not os.path.exists(server) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.returncode = 0  # nobody waits for it: it outlives this process if that is not the owner
    return python


def _executable(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def _serve(address: str, names: tuple[str, ...], owner: int) -> None:
    """Import the libraries, and fork for each program, until the owner ends."""
    for name in names:
        __import__(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address + ".partial")
    listener.listen(64)
    os.rename(address + ".partial", address)
    owner_ended = os.pidfd_open(owner)
    while True:
        if owner_ended in select.select([listener, owner_ended], [], [])[0]:
            os.killpg(0, signal.SIGKILL)
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os.close(owner_ended)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _supervise(connection, owner)
        connection.close()


def _supervise(connection: socket.socket, owner: int) -> None:
    """Run one program in a fork, tell its pid and its exit code, and end it if the caller is gone."""
    size, extra, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(3 * 4))
    streams = array.array("i")
    streams.frombytes(extra[0][2])
    request = json.loads(connection.recv(int.from_bytes(size, "little"), socket.MSG_WAITALL))
    _serve_settings(request.pop("special"), request["environment"], owner)
    pid = os.fork()
    if pid == 0:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        _run(**request)
    for stream in streams:
        os.close(stream)
    connection.sendall(pid.to_bytes(8, "little"))
    ended = os.pidfd_open(pid)
    ready, _, _ = select.select([ended, connection], [], [])
    if ended not in ready:
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    if ended in ready:
        connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(8, "little", signed=True))
    os._exit(0)


def _serve_settings(address: str, environment: dict[str, str], owner: int) -> None:
    """Start a server for programs with these settings, if this is the second one, and there is room."""
    is_second = not _created(f"{address}.first") and _created(f"{address}.second")
    others = [name for name in os.listdir(os.path.dirname(address)) if name.endswith(".second")]
    if is_second and len(others) <= MOST_SERVERS and os.fork() == 0:
        os.closerange(0, 1024)  # the streams and the connection of the program
        for _ in range(3):
            os.open(os.devnull, os.O_RDWR)
        os.environ.clear()
        os.environ.update(environment)
        _serve(address, WITH_SETTINGS, owner)


def _created(path: str) -> bool:
    """Create a file; False if it exists."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def _run(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Be the program, as `python ARGUMENTS` would be."""
    import runpy

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    options = set()
    while arguments[0] in ("-I", "-W", "ignore"):
        options.add(arguments.pop(0))
    if "-W" in options:
        warnings.simplefilter("ignore")
    libraries = [place for place in sys.path if place.startswith((sys.base_prefix, sys.prefix))]
    own = [place for place in environment.get("PYTHONPATH", "").split(os.pathsep) if place]
    kind, rest = (arguments[0], arguments[1:]) if arguments[0] in ("-c", "-m") else ("", arguments)
    first = "" if kind == "-c" else os.getcwd() if kind == "-m" else os.path.dirname(os.path.abspath(rest[0]))
    sys.path[:] = libraries if "-I" in options else [first, *own, *libraries]
    sys.argv = [kind, *rest[1:]] if kind else rest
    sys.path_importer_cache.clear()
    for name in ("stdout", "stderr"):  # as a new process has them: lines for a terminal, blocks for a file
        stream = getattr(sys, name)
        stream.reconfigure(line_buffering=stream.isatty() or name == "stderr")
    code = 0
    try:
        if kind == "-c":
            _execute(rest[0], "<string>")
        elif kind == "-m":
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            _execute(Path(rest[0]).read_text(), rest[0], __file__=rest[0])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__ and error.__traceback__.tb_next)
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # to take the modules down would take as long as the rest


def _execute(code: str, name: str, **names: str) -> None:
    main = ModuleType("__main__")
    main.__dict__.update(__builtins__=__builtins__, **names)
    sys.modules["__main__"] = main
    exec(compile(code, name, "exec"), main.__dict__)


if __name__ == "__main__":
    sys.path[:] = [place for place in sys.path if place != str(Path(__file__).parent)]
    address, sys.executable, owner = sys.argv[1:]  # what a fork starts is warm, too
    _serve(address, PRELOADED, int(owner))
