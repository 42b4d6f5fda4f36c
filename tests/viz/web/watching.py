"""Becomes the sitecustomize of a server: writes down whom it connects to, what it starts and unpickles, and where it writes."""

import os
import sys

OUT = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
TOLD = {
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "subprocess.Popen", "os.exec",
    "os.posix_spawn", "os.system", "pickle.find_class", "os.mkdir", "os.rename", "os.link", "os.symlink",
}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def watch(event: str, args: tuple[object, ...]) -> None:
    """One line an event: its name, a tab, and what it was about."""
    if event == "open":
        path, _, flags = args
        if isinstance(path, int) or not isinstance(flags, int) or not flags & WRITES:
            return
        event, args = "write", (path,)
    elif event not in TOLD:
        return
    about = args[1] if event.startswith("socket.c") or event == "socket.sendto" else args[0]
    os.write(OUT, f"{event}\t{about!r}\n".encode(errors="replace"))


sys.addaudithook(watch)
