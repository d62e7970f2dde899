"""Records what a Python process, and every one that it starts, does outside of itself.

Python imports this module at its start where the folder is in `PYTHONPATH`. The file that `AUDIT_LOG` names gets a line
of JSON for each event: the name of the event, its arguments as text, and the id of the process.
"""

import json
import os
import sys

_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto")
_CHANGES = {  # events that change files, and which of their arguments are the paths
    "os.mkdir": (0,),
    "os.rename": (0, 1),
    "os.link": (1,),
    "os.symlink": (1,),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.chmod": (0,),
    "os.truncate": (0,),
    "os.utime": (0,),
    "shutil.rmtree": (0,),
}
_STARTS = ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_TRUNC
_log = os.open(os.environ["AUDIT_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND) if "AUDIT_LOG" in os.environ else -1


def _write(event, values):
    line = {"event": event, "values": values, "process": os.getpid()}
    os.write(_log, json.dumps(line).encode() + b"\n")


def _path(value):
    if isinstance(value, int):
        return None
    try:
        return os.path.abspath(os.fsdecode(value))
    except (TypeError, ValueError, OSError):
        return repr(value)


def _audit(event, arguments):
    if event in _NETWORK:
        address = arguments[1] if event.startswith(("socket.connect", "socket.sendto")) else arguments
        if isinstance(address, tuple):  # text is the address of a socket between processes
            _write(event, [repr(address)])
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING:
        if (path := _path(arguments[0])) is not None:
            _write(event, [path])
    elif event in _CHANGES:
        _write(event, [_path(arguments[index]) for index in _CHANGES[event] if _path(arguments[index]) is not None])
    elif event in _STARTS:
        _write(event, [repr(arguments[:2])])


if _log >= 0:
    sys.addaudithook(_audit)
