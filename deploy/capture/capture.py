#!/usr/bin/env python3
"""Captures one thing on one node and puts it in one place. Run by stoop's capture jobs; see docs/actions/capture.md.

What to do comes as one JSON document in STOOP_CAPTURE. Values in it can be an attacker's choice (a file's name): none of
them ever reaches a shell, an argument list or a name in an archive. There are no credentials here: the upload URL is good
for one object. The last words, JSON too, go to the termination message, where the worker finds and distrusts them.

Only the standard library, since the image is small and pinned.
"""

import errno
import hashlib
import http.client
import io
import ipaddress
import json
import os
import re
import signal
import ssl
import stat
import subprocess
import sys
import tarfile
import time
import urllib.parse

# In tests these are elsewhere.
PROC = os.environ.get("STOOP_CAPTURE_PROC", "/proc")
WORK = os.environ.get("STOOP_CAPTURE_WORK", "/work")
LAST_WORDS = os.environ.get("STOOP_CAPTURE_LAST_WORDS", "/dev/termination-log")

# The kubelet keeps 4096 bytes.
MOST_WORDS = 4000
CHUNK = 1 << 20
# As the kernel: whoever needs more goes in circles.
MOST_LINKS = 40
UPLOAD_TRIES = 5


class Failed(Exception):
    """Why nothing was captured; shown to the operator."""


def main():
    try:
        request = read_request(os.environ.get("STOOP_CAPTURE", ""))
        captured = KINDS[request["kind"]](request)
        size, sha256 = measure(captured["path"])
        upload(request["upload"], captured["path"], size)
        words = {"size": size, "sha256": sha256, "cut": captured["cut"], "missing": captured["missing"]}
    except Failed as failed:
        words = {"error": str(failed)}
    except Exception as error:  # So that the operator learns more than an exit code.
        words = {"error": f"{type(error).__name__}: {error}"}
    say(words)
    return 1 if "error" in words else 0


def read_request(text):
    try:
        request = json.loads(text)
    except ValueError as error:
        raise Failed(f"STOOP_CAPTURE is no JSON: {error}") from None
    if request.get("version") != 1 or request.get("kind") not in KINDS:
        raise Failed("this image does not know what it is asked for: use the one of the worker's version")
    return request


def say(words):
    """As many of the missing as fit are named."""
    text = json.dumps(words)
    while len(text) > MOST_WORDS and words.get("missing"):
        words["missing"].pop()
        text = json.dumps(words)
    if len(text) > MOST_WORDS:
        text = json.dumps({"error": words.get("error", "too much to say")[:1000]})
    print(text)
    with open(LAST_WORDS, "w", encoding="utf-8") as out:
        out.write(text)


# --- files ---------------------------------------------------------------------------------------


def files(request):
    """A tar of the files as the container sees them: 0001, 0002, … and an index that says which is which."""
    root = container_root(request["container"])
    index, missing, cut = [], [], None
    left = request["most"]
    target = os.path.join(WORK, "files.tar")
    with tarfile.open(target, "w") as archive:
        # Headers, padding and the index itself.
        left -= 32 * 1024
        for number, path in enumerate(request["paths"], start=1):
            left -= 2048
            try:
                opened = open_below(root, path)
            except OSError as error:
                missing.append({"what": path, "why": os.strerror(error.errno) if error.errno else str(error)})
                continue
            with os.fdopen(opened, "rb") as file:
                found = os.fstat(file.fileno())
                if left <= 0:
                    missing.append({"what": path, "why": "the capture is full"})
                    continue
                # What grows meanwhile is not followed.
                size = min(found.st_size, left)
                member = tarfile.TarInfo(f"{number:04}")
                member.size, member.mtime, member.mode = size, int(found.st_mtime), 0o400
                entry = {
                    "member": member.name, "path": path, "size": found.st_size, "kept": size,
                    "mode": oct(found.st_mode), "uid": found.st_uid, "gid": found.st_gid,
                    "modified": found.st_mtime, "inode": found.st_ino,
                }
                hashing = Hashing(file, size)
                archive.addfile(member, hashing)
                entry["sha256"] = hashing.hash.hexdigest()
                if size < found.st_size:
                    cut = "a file was larger than what was left of `size`: its beginning is kept"
                index.append(entry)
                left -= size
        text = json.dumps({"files": index, "missing": missing}, indent=1).encode()
        member = tarfile.TarInfo("index.json")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text))
    os.close(root)
    if not index:
        raise Failed("; ".join(f"{short(one['what'])}: {one['why']}" for one in missing[:8]) or "no file was named")
    if os.path.getsize(target) > request["most"]:
        raise Failed("`size` is too small for an archive")
    named = [{"what": short(one["what"]), "why": one["why"]} for one in missing]
    return {"path": target, "cut": cut, "missing": named}


class Hashing:
    """A file's first bytes, hashed while they are read; zeros where it became shorter meanwhile."""

    def __init__(self, file, size):
        self.file, self.left, self.hash = file, size, hashlib.sha256()

    def read(self, wanted):
        wanted = min(wanted, self.left)
        data = self.file.read(wanted)
        data += bytes(wanted - len(data))
        self.left -= wanted
        self.hash.update(data)
        return data


def short(path):
    return path if len(path) <= 120 else path[:119] + "…"


def container_root(container):
    """The root directory of a process of the container, held open: its pid may be another's a moment later."""
    pid = container_pid(container)
    root = os.open(os.path.join(PROC, str(pid), "root"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if container_of(pid) != container_of_text(container):
        os.close(root)
        raise Failed("the container's process has ended")
    return root


def container_pid(container):
    wanted = container_of_text(container)
    pids = sorted(int(name) for name in os.listdir(PROC) if name.isdigit())
    # The first is the one that the others descend from.
    for pid in pids:
        if container_of(pid) == wanted:
            return pid
    raise Failed("no process of the container runs on this node")


def container_of_text(container):
    if not re.fullmatch(r"[0-9a-f]{64}", container):
        raise Failed("no id of a container")
    return container


def container_of(pid):
    """The container that a process is in, by the innermost cgroup that is named by an id."""
    try:
        with open(os.path.join(PROC, str(pid), "cgroup"), encoding="utf-8", errors="replace") as lines:
            for line in lines:
                path = line.rstrip("\n").split(":", 2)[-1]
                for part in reversed(path.split("/")):
                    # cri-containerd-<id>.scope, crio-<id>.scope, docker-<id>.scope, <id>
                    found = re.fullmatch(r"(?:[a-z-]+-)?([0-9a-f]{64})(?:\.scope)?", part)
                    if found:
                        return found.group(1)
    except OSError:
        pass  # It has ended.
    return None


def open_below(root, path):
    """Opens a regular file as the container itself would resolve the path, and never above its root.

    A step at a time from descriptors that are held: a link that is swapped meanwhile leads nowhere else. The container's own
    links are followed as text, from its root; those of its /proc (root, cwd, fd) are text too, and not doors to the node.
    """
    at = [os.dup(root)]
    todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    links = 0
    try:
        while todo:
            part = todo.pop()
            if part == "..":
                if len(at) > 1:
                    os.close(at.pop())
                continue
            step = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at[-1])
            mode = os.fstat(step).st_mode
            if stat.S_ISLNK(mode):
                target = os.readlink("", dir_fd=step)
                os.close(step)
                links += 1
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, "too many links")
                if target.startswith("/"):
                    while len(at) > 1:
                        os.close(at.pop())
                todo.extend(part for part in reversed(target.split("/")) if part not in ("", "."))
            elif stat.S_ISDIR(mode):
                at.append(step)
            elif todo:
                os.close(step)
                raise OSError(errno.ENOTDIR, "no directory")
            else:
                return open_regular(at[-1], part, step, mode)
        raise OSError(errno.EISDIR, "a directory")
    finally:
        for held in at:
            os.close(held)


def open_regular(directory, name, step, mode):
    """A device or a pipe would do something when it is opened, or never end."""
    try:
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "no regular file")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        opened = os.open(name, flags, dir_fd=directory)
        seen, found = os.fstat(step), os.fstat(opened)
        if (seen.st_dev, seen.st_ino) != (found.st_dev, found.st_ino):
            os.close(opened)
            raise OSError(errno.ESTALE, "it was swapped while it was opened")
        return opened
    finally:
        os.close(step)


# --- recordings ----------------------------------------------------------------------------------


def packets(request):
    """The packets to and from the pod's addresses, as they pass the node. `-p`: nobody else's interface mode is changed."""
    addresses = [str(ipaddress.ip_address(address)) for address in request["addresses"]]
    if not addresses:
        raise Failed("no address to listen for")
    filters = []
    for address in addresses:
        filters += (["or"] if filters else []) + ["host", address]
    target = os.path.join(WORK, "packets.pcap")
    return record(request, target, ["tcpdump", "-i", "any", "-p", "-n", "-U", "-s", "0", "-w", target, *filters])


def syscalls(request):
    """The container's system calls, in Falco's and sysdig's own format."""
    container = container_of_text(request["container"])[:12]
    target = os.path.join(WORK, "syscalls.scap")
    return record(request, target, ["sysdig", "--modern-bpf", "-w", target, f"container.id={container}"])


def record(request, target, command):
    """Until the time is over or the file is full. What was recorded till then counts."""
    program = os.environ.get("STOOP_CAPTURE_PROGRAM")  # In tests another one.
    if program:
        command = [program, *command[1:]]
    notes = os.path.join(WORK, "notes.txt")
    with open(notes, "wb") as said:
        try:
            running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        except OSError as error:
            raise Failed(f"{command[0]} can't be started: {error.strerror}") from None
    end, cut = time.monotonic() + request["seconds"], None
    while time.monotonic() < end and running.poll() is None:
        if size_of(target) >= request["most"]:
            cut = "`size` was reached before the time was over"
            break
        time.sleep(0.05)
    ended_itself = running.poll() is not None
    if not ended_itself:
        running.send_signal(signal.SIGINT)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
    if ended_itself:
        with open(notes, "rb") as said:
            last = said.read()[-300:].decode(errors="replace").strip()
        raise Failed(f"{command[0]} ended with {running.returncode}: {last}")
    size = size_of(target)
    if size == 0:
        raise Failed(f"{command[0]} has recorded nothing")
    if size > request["most"]:
        # Written between two looks; both formats can be read up to where they end.
        os.truncate(target, request["most"])
        cut = "`size` was reached before the time was over"
    return {"path": target, "cut": cut, "missing": []}


def size_of(path):
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


# --- the way out ---------------------------------------------------------------------------------


def measure(path):
    size, digest = 0, hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            digest.update(chunk)
    return size, digest.hexdigest()


def upload(link, path, size):
    """One PUT, again where no answer came. That it is there already is then an answer: the worker compares hashes anyway."""
    unanswered = False
    for tried in range(UPLOAD_TRIES):
        if tried:
            time.sleep(min(2**tried, 15) if "STOOP_CAPTURE_PROGRAM" not in os.environ else 0)
        try:
            status, text = put(link, path, size)
        except (OSError, http.client.HTTPException) as error:
            unanswered, last = True, f"no answer: {error}"
            continue
        if status in (200, 201, 204) or (unanswered and status in (409, 412)):
            return
        last = f"answered {status}: {text}"
        if status < 500 and status not in (408, 429):
            break
    raise Failed(f"the upload failed, {last}")


def put(link, path, size):
    url = urllib.parse.urlsplit(link["url"])
    # No redirects, no proxies: this is where it goes and nowhere else.
    if url.scheme == "https":
        connection = http.client.HTTPSConnection(url.netloc, timeout=60, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(url.netloc, timeout=60)
    try:
        with open(path, "rb") as body:
            headers = {**link.get("headers", {}), "Content-Length": str(size)}
            where = url.path + (f"?{url.query}" if url.query else "")
            connection.request("PUT", where, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(300).decode(errors="replace").strip()
    finally:
        connection.close()


KINDS = {"files": files, "syscalls": syscalls, "packets": packets}

if __name__ == "__main__":
    sys.exit(main())
