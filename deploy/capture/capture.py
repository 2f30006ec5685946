#!/usr/bin/env python3
"""Captures one thing on one node and puts it in one place. Run by stoop's capture jobs; see docs/actions/capture.md.

What to do comes as one JSON document in STOOP_CAPTURE. Values in it can be an attacker's choice (a file's name): none of
them ever reaches a shell, an argument list or a name in an archive. There are no credentials here: the upload URL is good
for one object. The last words, JSON too, go to the termination message, where the worker finds and distrusts them.

Only the standard library, since the image is small and pinned; one file, since Python is run isolated and finds no other.
"""

import errno
import hashlib
import http.client
import ipaddress
import json
import os
import random
import re
import resource
import select
import signal
import ssl
import stat
import subprocess
import sys
import tarfile
import time
import urllib.parse

# In tests these are elsewhere, and shorter.
PROC = os.environ.get("STOOP_CAPTURE_PROC", "/proc")
WORK = os.environ.get("STOOP_CAPTURE_WORK", "/work")
LAST_WORDS = os.environ.get("STOOP_CAPTURE_LAST_WORDS", "/dev/termination-log")
FIRST_WAIT = float(os.environ.get("STOOP_CAPTURE_FIRST_WAIT", "1"))
SLOWEST_FILE = float(os.environ.get("STOOP_CAPTURE_SLOWEST_FILE", "30"))

# The kubelet keeps 4096 bytes.
MOST_WORDS = 4000
CHUNK = 1 << 20
# As the kernel: whoever needs more goes in circles.
MOST_LINKS = 40
# All files together, so that there is time left to upload those that could be read.
SLOWEST_FILES = 90
LEAST_TRIES = 5
LONGEST_WAIT = 15
# Before the job's end, so that its last words are of the upload and not of its end.
SPARE_SECONDS = 10


class Failed(Exception):
    """Why nothing was captured; shown to the operator."""


def main():
    # A container's first process ignores what it has no handler for.
    signal.signal(signal.SIGTERM, told_to_end)
    try:
        request = read_request(os.environ.get("STOOP_CAPTURE", ""))
        captured = KINDS[request["kind"]](request)
        size, sha256 = measure(captured["path"])
        upload(request["upload"], captured["path"], size, request["until"] - SPARE_SECONDS)
        words = {"size": size, "sha256": sha256, "cut": captured["cut"], "missing": captured["missing"], "more": 0}
    except Failed as failed:
        words = {"error": str(failed)}
    except Exception as error:  # So that the operator learns more than an exit code.
        words = {"error": f"{type(error).__name__}: {error}"}
    say(words)
    return 1 if "error" in words else 0


def told_to_end(_number, _frame):
    raise Failed("it was told to end before it was done")


def read_request(text):
    try:
        request = json.loads(text)
    except ValueError as error:
        raise Failed(f"STOOP_CAPTURE is no JSON: {error}") from None
    if request.get("version") != 1 or request.get("kind") not in KINDS:
        raise Failed("this image does not know what it is asked for: use the one of the worker's version")
    return request


def say(words):
    """As many of the missing as fit are named, the others counted."""
    text = json.dumps(words)
    while len(text) > MOST_WORDS and words.get("missing"):
        words["missing"].pop()
        words["more"] += 1
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
    paths, index, missing, cuts = request["paths"], [], [], []
    # What the index, headers and padding take at the most.
    room = request["most"] - 4096 - sum(2048 + 2 * len(json.dumps(path)) for path in paths)
    if room <= 0:
        raise Failed("`size` is too small for an archive")
    # Half of it is shared out, so that one large file does not push out those that come after it.
    share = room // (2 * len(paths))
    target, end = os.path.join(WORK, "files.tar"), time.monotonic() + SLOWEST_FILES
    with open(target, "wb") as archive:
        for number, path in enumerate(paths, start=1):
            seconds = min(SLOWEST_FILE, end - time.monotonic())
            try:
                most = room - share * (len(paths) - number)
                entry = add(archive, f"{number:04}", root, path, most, seconds)
            except Unreadable as why:
                missing.append({"what": path, "why": str(why)})
                continue
            index.append(entry)
            room -= entry["kept"]
            if "cut" in entry:
                cuts.append(f"{short(path)}: {entry['cut']}")
        text = json.dumps({"files": index, "missing": missing}, indent=1).encode()
        archive.write(header("index.json", len(text), time.time()) + text + padding(len(text)))
        archive.write(bytes(2 * tarfile.BLOCKSIZE))
    os.close(root)
    if not index:
        named = [f"{short(one['what'])}: {one['why']}" for one in missing]
        raise Failed("no file could be kept: " + some(named))
    named = [{"what": short(one["what"]), "why": one["why"]} for one in missing]
    return {"path": target, "cut": some(cuts) if cuts else None, "missing": named}


class Unreadable(Exception):
    """Why there is nothing of a file."""


def add(archive, member, root, path, most, seconds):
    """Adds one file, up to where it ends or `most` bytes. What it is said to have is not what it has: nothing is padded, the
    size is what was read, and the header is written once that is known."""
    start, digest, kept, entry, ended = archive.tell(), hashlib.sha256(), 0, None, None
    archive.write(bytes(tarfile.BLOCKSIZE))
    for kind, payload in read_apart(root, path, most, seconds):
        if kind == b"s":
            entry = json.loads(payload)
        elif kind == b"d":
            archive.write(payload)
            digest.update(payload)
            kept += len(payload)
        else:
            ended = kind, payload.decode()
    kind, why = ended or (b"f", "it was not read in time")
    if entry is None or (kind == b"f" and not kept):
        archive.seek(start)
        archive.truncate()
        raise Unreadable(why)
    archive.write(padding(kept))
    archive.seek(start)
    archive.write(header(member, kept, entry["modified"]))
    archive.seek(0, os.SEEK_END)
    entry = {"member": member, "path": path, **entry, "kept": kept, "sha256": digest.hexdigest()}
    if kind == b"c":
        entry["cut"] = f"cut at {kept} bytes, it is said to have {entry['size']}"
    elif kind == b"f":
        entry["cut"] = f"cut at {kept} bytes: {why}"
    elif kept < entry["size"]:
        entry["cut"] = f"it ended at {kept} bytes, though it was said to have {entry['size']}"
    return entry


def header(name, size, modified):
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o400, min(max(int(modified), 0), 0o77777777777)
    return member.tobuf(tarfile.USTAR_FORMAT)


def padding(size):
    return bytes(-size % tarfile.BLOCKSIZE)


def read_apart(root, path, most, seconds):
    """A file's parts, read by a process of its own, which can be left behind: a file system of the container's making, or one
    that is away, can let a read wait for ever. They are `s` for what stat says, `d` for data, and one of `e` for its end, `c`
    for that there is more, and `f` for why it can't be read; without that one, its time was over."""
    source, out = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(source)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            read_here(root, path, most, lambda kind, payload=b"": send(out, kind, payload))
        finally:
            os._exit(0)
    os.close(out)
    try:
        yield from parts(source, time.monotonic() + seconds)
    finally:
        os.close(source)
        os.kill(pid, signal.SIGKILL)
        # Not waited for: it may be where no signal reaches it.
        os.waitpid(pid, os.WNOHANG)


def read_here(root, path, most, tell):
    try:
        opened = open_below(root, path)
        found = os.fstat(opened)
        tell(b"s", json.dumps({
            "size": found.st_size, "allocated": found.st_blocks * 512, "mode": oct(found.st_mode), "uid": found.st_uid,
            "gid": found.st_gid, "modified": found.st_mtime, "inode": found.st_ino,
        }).encode())
        # To where it ends, whatever stat says: a file of /proc says that it has nothing, and one that is written to grows.
        while most > 0:
            data = os.read(opened, min(CHUNK, most))
            if not data:
                return tell(b"e")
            tell(b"d", data)
            most -= len(data)
        tell(b"c" if os.read(opened, 1) else b"e")
    except (OSError, ValueError) as error:
        tell(b"f", (getattr(error, "strerror", None) or str(error)).encode())


def send(out, kind, payload):
    left = memoryview(kind + len(payload).to_bytes(4, "big") + payload)
    while left:
        left = left[os.write(out, left):]


def parts(source, end):
    held = bytearray()
    while (left := end - time.monotonic()) > 0 and select.select([source], [], [], left)[0]:
        data = os.read(source, CHUNK)
        if not data:
            return
        held += data
        while len(held) >= 5 and len(held) >= 5 + (size := int.from_bytes(held[1:5], "big")):
            yield bytes(held[:1]), bytes(held[5 : 5 + size])
            del held[: 5 + size]


def some(texts):
    """As many as an operator reads, and how many more there are."""
    more = f"; and {len(texts) - 4} more" if len(texts) > 4 else ""
    return "; ".join(texts[:4]) + more


def short(path):
    return path if len(path) <= 120 else path[:119] + "…"


def container_root(container):
    """The root directory of a process of the container, held open: its pid may be another's a moment later."""
    pid = container_pid(container)
    try:
        root = os.open(os.path.join(PROC, str(pid), "root"), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:
        raise Failed("the node does not let the job into the container: it takes SYS_PTRACE, and AppArmor or SELinux can forbid it") from None
    except OSError as error:
        raise Failed(f"the container can't be entered: {error.strerror}") from None
    if container_of(pid) != container_of_text(container):
        os.close(root)
        raise Failed("the container's process has ended")
    return root


def container_pid(container):
    """The process that the container began with. Not one of those that came later, which can give themselves other files."""
    wanted = container_of_text(container)
    pids = [int(name) for name in os.listdir(PROC) if name.isdigit()]
    found = [(began, pid) for pid in pids if container_of(pid) == wanted and (began := started(pid)) is not None]
    if not found:
        raise Failed("no process of the container runs on this node")
    return min(found)[1]


def started(pid):
    """When a process began, in ticks of the kernel's since the node did. Its number says nothing: numbers come round."""
    try:
        with open(os.path.join(PROC, str(pid), "stat"), encoding="utf-8", errors="replace") as file:
            # Its name, in brackets, can have brackets and spaces.
            return int(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None  # It has ended.


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
    """The packets to and from the pod's addresses, as they pass the node.

    -p: nobody else's interface mode is changed. -Z root: Debian's tcpdump would become a user of its own and give that user
    the file, for which it has no right. --immediate-mode: what the kernel holds back for up to a second would be lost at the end.
    """
    addresses = [str(ipaddress.ip_address(address)) for address in request["addresses"]]
    if not addresses:
        raise Failed("no address to listen for")
    filters = []
    for address in addresses:
        filters += (["or"] if filters else []) + ["host", address]
    target = os.path.join(WORK, "packets.pcap")
    options = ["-Z", "root", "-i", "any", "-p", "-n", "--immediate-mode", "-U", "-s", "0", "-w", target]
    return record(request, target, ["tcpdump", *options, *filters])


def syscalls(request):
    """The container's system calls, in Falco's and sysdig's own format. -v: at the end it says what was lost."""
    container = container_of_text(request["container"])[:12]
    target = os.path.join(WORK, "syscalls.scap")
    return record(request, target, ["sysdig", "--modern-bpf", "-v", "-w", target, f"container.id={container}"])


def record(request, target, command):
    """Until the time is over or the file is full. What was recorded till then counts."""
    program = os.environ.get("STOOP_CAPTURE_PROGRAM")  # In tests another one.
    if program:
        command = [program, *command[1:]]
    most, notes = request["most"], os.path.join(WORK, "notes.txt")

    def bound():
        # The kernel ends it there: between two looks it could fill the disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    with open(notes, "wb") as said:
        try:
            running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, preexec_fn=bound)
        except (OSError, subprocess.SubprocessError) as error:
            raise Failed(f"{command[0]} can't be started: {error}") from None
    end = time.monotonic() + request["seconds"]
    while time.monotonic() < end and running.poll() is None and size_of(target) < most:
        time.sleep(0.05)
    ended_itself = running.poll() is not None
    if not ended_itself:
        running.send_signal(signal.SIGINT)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
    with open(notes, "rb") as said:
        said = said.read()[-4096:].decode(errors="replace")
    size = size_of(target)
    if ended_itself and size < most:
        raise Failed(f"{command[0]} ended with {running.returncode}: {said.strip()[-300:]}")
    if size == 0:
        raise Failed(f"{command[0]} has recorded nothing")
    cuts = [f"cut at {size} bytes, before the time was over"] if size >= most else []
    lost = sum(int(count) for count in re.findall(r"(\d+) packets? dropped by|Driver Drops: *(\d+)", said) for count in count if count)
    if lost:
        cuts.append(f"{lost} were lost between the kernel and the recording")
    return {"path": target, "cut": "; ".join(cuts) or None, "missing": nothing_seen(request, said)}


def nothing_seen(request, said):
    """An empty recording is a finding, and easily taken for a good one."""
    if re.search(r"^0 packets captured|Captured Events: *0\b", said, re.MULTILINE):
        return [{"what": request["kind"], "why": f"none was seen in {request['seconds']}s"}]
    return []


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


def upload(link, path, size, until):
    """One PUT, again while the store is away and the job's time lasts.

    Where it can have been stored without our knowing, that it is there already is an answer: the worker compares hashes anyway.
    """
    tries, maybe = 0, False
    while True:
        tries += 1
        try:
            status, text = put(link, path, size, min(max(until - time.time(), 5), 60))
        except (OSError, http.client.HTTPException) as error:
            status, last = None, f"no answer: {error}"
        else:
            last = f"answered {status}: {text}"
        if status in (200, 201, 204) or (maybe and status == 412):
            return
        is_away = status is None or status >= 500 or status == 408
        # 409: another of the same is under way.
        if not is_away and status not in (409, 429):
            break
        maybe |= is_away
        # Many jobs can be turned away at once: they shall not come again at once.
        wait = min(FIRST_WAIT * 2 ** min(tries, 10), LONGEST_WAIT) * random.uniform(0.5, 1)
        if tries >= LEAST_TRIES and time.time() + wait > until:
            break
        time.sleep(wait)
    raise Failed(f"the upload failed, tried {tries} times: {last}")


def put(link, path, size, timeout):
    url = urllib.parse.urlsplit(link["url"])
    # No redirects, no proxies: this is where it goes and nowhere else.
    if url.scheme == "https":
        connection = http.client.HTTPSConnection(url.netloc, timeout=timeout, context=ssl.create_default_context())
    else:
        connection = http.client.HTTPConnection(url.netloc, timeout=timeout)
    try:
        with open(path, "rb") as body:
            headers = {**link.get("headers", {}), "Content-Length": str(size)}
            where = url.path + (f"?{url.query}" if url.query else "")
            try:
                connection.request("PUT", where, body=body, headers=headers)
            except (BrokenPipeError, ConnectionResetError):
                pass  # A refusal comes before all is sent.
            answer = connection.getresponse()
            return answer.status, answer.read(300).decode(errors="replace").strip()
    finally:
        connection.close()


KINDS = {"files": files, "syscalls": syscalls, "packets": packets}

if __name__ == "__main__":
    sys.exit(main())
