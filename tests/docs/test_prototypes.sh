#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The synopses of the manual pages say what the headers say: each function that one of both has the other has
# too, with the same type and the same parameters by the same names; structs have the same
# fields. Run in the top directory of the source.
set -eu

command -v python3 >/dev/null || {
	echo "python3 is not installed"
	exit 77
}
exec python3 - <<'END'
import glob, re, sys

def plain(text):
    """One blank between words, none about stars and brackets."""
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r" ?([*(),\[\]]) ?", r"\1", text)

header = {}
macros = set()
for name in ("lib/batchproc.h", "lib/batchproc_sim.h"):
    text = re.sub(r"/\*.*?\*/", " ", open(name).read(), flags=re.S)
    macros |= set(re.findall(r"^#define (bp_\w+)\(", text, re.M))
    text = re.sub(r"^\s*#(\\\n|.)*$", "", text, flags=re.M)
    text = re.sub(r"__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)", "", text)
    found = re.finditer(r"^((?:static inline |extern )?[a-z][\w ]*?[ *]+)(bp_\w+)\(([^;{}]*?)\)\s*(?:;|\n?\{)", text, re.M)
    for one in found:
        kind = one[1].replace("static inline ", "").replace("_Noreturn ", "")
        if "typedef" not in kind and not kind.strip().startswith("return"):
            header[one[2]] = plain(kind + one[2] + "(" + one[3] + ")")

pages = {}
bad = 0
for page in sorted(glob.glob("docs/man/*.3")):
    kind = section = ""
    for line in open(page):
        if line.startswith(".Sh "):
            section = line[4:].strip()
        if section != "SYNOPSIS":
            continue
        if line.startswith(".Ft "):
            kind = line[4:].strip().strip('"')
        elif line.startswith(".Fn bp_"):
            words = re.findall(r'"([^"]*)"|(\S+)', line[4:].strip())
            words = [a or b for a, b in words]
            text = plain(kind + " " + words[0] + "(" + ",".join(words[1:]) + ")")
            if pages.setdefault(words[0], text) != text:
                print(page + ": " + text + " stands differently in another page")
                bad += 1

for name in sorted((set(header) | set(pages)) - macros):
    if header.get(name) != pages.get(name):
        print("%s: in the header %s, in its page %s" % (name, header.get(name), pages.get(name)))
        bad += 1
# Structs in a synopsis have the fields of the header's; a comment at the end stands for the rest.
text = re.sub(r"/\*.*?\*/", " ", open("lib/batchproc.h").read(), flags=re.S)
structs = {one[1]: plain(one[2]) for one in re.finditer(r"^struct (\w+) \{\n(.*?)^\}", text, re.M | re.S)}
shown = 0
for page in sorted(glob.glob("docs/man/*.3")):
    synopsis = open(page).read().split(".Sh DESCRIPTION")[0]
    for one in re.finditer(r"^struct (\w+) \{\n(.*?)^\}", synopsis, re.M | re.S):
        whole = "/*" not in one[2]
        text = plain(re.sub(r"/\*.*?\*/", " ", one[2], flags=re.S))
        shown += 1
        if text != structs.get(one[1]) if whole else not structs.get(one[1], "").startswith(text):
            print("%s: struct %s is %s in the header" % (page, one[1], structs.get(one[1])))
            bad += 1

print("%d functions, %d structs" % (len(header), shown))
sys.exit(bad != 0 or len(header) < 130 or shown < 3)
END
