#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What README.md and the pages in docs/ show is so:
#
#   ```console	the lines behind "$ " are run, those of a page in one shell in a directory of its own (the
#		examples are in its PATH), where each has to succeed and to print what stands below it; ... in a
#		line is anything, and a line that is ... alone is any lines. "> " goes on with a command
#   ```c	is a whole program, which is built and run (<!-- example: NAME.c -->), or stands so, line by line, in
#		the file that is named before it: <!-- from: FILE -->. A line that is ... leaves something out
#   ```text	is not held to anything: an output that is never the same
#
# <!-- given: COMMANDS --> are run before the next block, and not shown. <!-- run by: FILE --> before a block says
# that another test has it. Port 8000 and 8001 are other ones here. All words bp_NAME and BP_NAME of the pages are
# in the headers. BATCHPROC is the command. Run in the top directory of the source.
set -eu

command -v python3 >/dev/null || {
	echo "python3 is not installed"
	exit 77
}
exec python3 - <<'END'
import glob, os, re, signal, socket, subprocess, sys, tempfile

top = os.getcwd()
pages = ["README.md"] + sorted(glob.glob("docs/*.md") + glob.glob("docs/guide/*.md"))
bad = 0
counts = {"run": 0, "quoted": 0}

def wrong(page, number, text):
    global bad
    bad += 1
    print("%s:%d: %s" % (page, number, text))

def free_ports():
    """Below those that the kernel gives to connections, which other tests make by the thousand."""
    found = []
    port = 12000 + os.getpid() * 37 % 8000
    while len(found) < 2:
        port = port + 1 if port < 20000 else 12000
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                found.append(str(port))
            except OSError:
                pass
    return found

class Block:
    def __init__(self, language, mark, given, number):
        self.language, self.mark, self.given, self.number = language, mark, given, number
        self.lines = []

def blocks_of(page):
    block, mark, given, found = None, "", [], []
    for number, line in enumerate(open(page).read().split("\n"), 1):
        if block:
            if line == "```":
                block = None
            else:
                block.lines.append(line)
        elif line.startswith("<!-- given: "):
            given.append(line[12:-4])
        elif line.startswith("<!-- "):
            mark = line[5:-4]
        elif line.startswith("```"):
            block = Block(line[3:], mark, given, number)
            found.append(block)
            mark, given = "", []
    return found

def same(wanted, got):
    """Whether the lines that were printed are these."""
    if not wanted:
        return not got
    if wanted[0].strip() == "...":
        return any(same(wanted[1:], got[i:]) for i in range(len(got) + 1))
    pattern = ".*".join(re.escape(part) for part in wanted[0].rstrip().split("..."))
    return bool(got) and re.fullmatch(pattern, got[0].rstrip()) is not None and same(wanted[1:], got[1:])

def commands_of(block):
    """[[number, command, lines]]; lines that begin with "> " right behind it are more of the command."""
    found = []
    for number, line in enumerate(block.lines, block.number + 1):
        if line.startswith("$ "):
            found.append([number, line[2:], []])
        elif found and line.startswith("> ") and not found[-1][2]:
            found[-1][1] += "\n" + line[2:]
        elif found:
            found[-1][2].append(line)
    return found

def run_page(page, blocks, env):
    ports = free_ports()
    swap = lambda text: text.replace("8000", ports[0]).replace("8001", ports[1])
    steps = []
    for block in blocks:
        steps += [[block.number, given, None] for given in block.given]
        steps += commands_of(block)
    if not steps:
        return
    with tempfile.TemporaryDirectory() as tmp:
        os.mkdir(tmp + "/here")
        script = open(tmp + "/script", "w")
        for i, (number, command, wanted) in enumerate(steps):
            script.write("exec >%s/out.%d 2>&1\n%s\n" % (tmp, i, swap(command)))
            script.write("echo $? >%s/status.%d\n" % (tmp, i))
            if command.rstrip().endswith("&"):
                # It is there when its port is.
                port = re.search(r"\b1[2-9]\d\d\d\b", swap(command))
                if port:
                    script.write("wait_for_port %s\n" % port[0])
        script.close()
        helper = open(tmp + "/wait_for_port", "w")
        helper.write("#!/usr/bin/env python3\nimport socket, sys, time\n"
                     "for i in range(3000):\n    try:\n"
                     "        socket.create_connection(('127.0.0.1', int(sys.argv[1]))).close()\n        break\n"
                     "    except OSError:\n        time.sleep(0.02)\n")
        helper.close()
        os.chmod(tmp + "/wait_for_port", 0o755)
        shell = subprocess.Popen(["sh", tmp + "/script"], cwd=tmp + "/here", stdin=subprocess.DEVNULL,
                                 env=dict(env, PATH=tmp + ":" + env["PATH"]), start_new_session=True)
        try:
            shell.wait(250)
        except subprocess.TimeoutExpired:
            wrong(page, 1, "its commands do not end")
        said = []
        for i in range(len(steps)):
            try:
                said.append((open("%s/out.%d" % (tmp, i), errors="replace").read().split("\n"),
                             open("%s/status.%d" % (tmp, i)).read().strip()))
            except OSError:
                break
        try:
            os.killpg(shell.pid, signal.SIGTERM) # what still runs in the background, which may say something now
        except ProcessLookupError:
            pass
        shell.wait()
        for i, (number, command, wanted) in enumerate(steps):
            if i == len(said):
                wrong(page, number, "was not reached: " + command)
                break
            counts["run"] += 1
            got, status = said[i]
            while got and not got[-1]:
                got.pop()
            lines = [swap(line) for line in wanted or []]
            while lines and not lines[-1]:
                lines.pop()
            if status != "0":
                wrong(page, number, "status %s of: %s" % (status, command))
            elif wanted is not None and not same(lines, got):
                wrong(page, number, "prints something else: " + command)
            else:
                continue
            print("\n".join("    | " + line for line in got))

def quoted(page, block, path):
    """The lines stand there in this order, and without ... between them one right behind the other."""
    lines = [" ".join(line.split()) for line in open(os.path.join(top, path))]
    at, apart = 0, True
    for number, line in enumerate(block.lines, block.number + 1):
        text = " ".join(line.split())
        if text == "...":
            apart = True
            continue
        places = [i for i in range(at, len(lines) if apart else min(at + 1, len(lines))) if lines[i] == text]
        if not places and not text:
            continue
        if not places:
            wrong(page, number, "does not stand there in %s: %s" % (path, line))
            return
        at, apart = places[0] + 1, False
    counts["quoted"] += 1

words = set()
for header in ("batchproc.h", "batchproc_sim.h", "batchproc.hpp"):
    words |= set(re.findall(r"\b(?:bp|BP)_\w+", open("lib/" + header).read()))
fields = set(re.findall(r"^\t[\w ]+[ *(]+(\w+)(?:\)\([^)]*\))?;", open("lib/batchproc.h").read() +
                        open("lib/batchproc_sim.h").read(), re.M))
# What stands there for itself, and is no name of the interface.
others = re.compile(r"BP_LIMIT_AUTO|BP_DEBUG|bp_\w*\*|(bp|BP)_(NAME|ASSERT)")

with tempfile.TemporaryDirectory() as tmp:
    os.symlink(os.path.realpath(os.environ["BATCHPROC"]), tmp + "/batchproc")
    examples = os.path.join(os.path.dirname(os.path.realpath(os.environ["BATCHPROC"])), "docs/examples")
    env = dict(os.environ, PATH=":".join([tmp, examples, os.environ["PATH"]]), LC_ALL="C")
    env.pop("NO_COLOR", None)
    for page in pages:
        found = blocks_of(page)
        for block in found:
            if block.mark.startswith("run by: "):
                if not os.path.exists(block.mark[8:]):
                    wrong(page, block.number, "no such file: " + block.mark[8:])
                block.language = ""
            elif block.mark.startswith("from: "):
                quoted(page, block, block.mark[6:])
            elif page.startswith(("README", "docs/guide/")) and block.language not in ("console", "text", "json"):
                if not block.mark.startswith("example: "):
                    wrong(page, block.number, "a block that nothing looks at")
        run_page(page, [block for block in found if block.language == "console"], env)
        if page.startswith(("README", "docs/guide/")):
            for number, line in enumerate(open(page), 1):
                for word in re.findall(r"\b(?:bp|BP)_\w+", line):
                    if word not in words and not others.fullmatch(word):
                        wrong(page, number, "no such name in the headers: " + word)
                for word in re.findall(r"`[^`]*\)->(\w+)|`&?\.([a-z_]+)\b", line):
                    if not (set(word) - {""}) & fields:
                        wrong(page, number, "no such field in the headers: " + "".join(word))

print("%d commands run, %d blocks found in their files" % (counts["run"], counts["quoted"]))
sys.exit(bad != 0)
END
