#!/bin/sh
# SPDX-License-Identifier: MIT
#
# check-docs.sh: whether the pages in Markdown are in order: what they link to is there, a heading too; the rows of a
# table have as many cells as its head; no block is left open. Then the spelling of all texts, of comments and messages
# too, where codespell is; scripts/spelling.txt has what it would wrongly take for mistakes. Run in the top directory.
set -eu

command -v python3 >/dev/null || {
	echo "python3 is not installed"
	exit 77
}
status=0
python3 - <<'END' || status=1
import glob, os, re, sys

pages = [p for p in glob.glob("**/*.md", recursive=True) if not p.startswith("build")]
bad = 0

def wrong(page, number, text):
    global bad
    bad += 1
    print("%s:%d: %s" % (page, number, text))

def lines_of(page):
    """Numbered lines outside blocks of code."""
    fence = 0
    for number, line in enumerate(open(page).read().split("\n"), 1):
        if line.lstrip().startswith("```"):
            fence = 0 if fence else number
        elif not fence and not line.startswith(("    ", "\t")):
            yield number, line
    if fence:
        wrong(page, fence, "a block without an end")

def anchors_of(page, known={}):
    """The names that GitHub gives to headings."""
    if page not in known:
        known[page] = set()
        for number, line in lines_of(page):
            if re.match(r"#+ ", line):
                text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", line.lstrip("#").strip()).lower()
                name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
                count = sum(1 for a in known[page] if re.fullmatch(re.escape(name) + r"(-\d+)?", a))
                known[page].add("%s-%d" % (name, count) if count else name)
    return known[page]

def cells(line):
    return len(re.split(r"(?<!\\)\|", line.strip().strip("|")))

links = 0
for page in sorted(pages):
    columns = 0
    before = ""
    for number, line in lines_of(page):
        for target in re.findall(r"\]\(([^)\s]*)\)", line):
            if re.match(r"[a-z]+:", target):
                if not target.startswith("https:"):
                    wrong(page, number, "no secure link: " + target)
                continue
            links += 1
            path, _, anchor = target.partition("#")
            path = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
            if not os.path.exists(path):
                wrong(page, number, "no such file: " + target)
            elif anchor and anchor not in anchors_of(path):
                wrong(page, number, "no such heading: " + target)
        if re.match(r"\|[-: |]+\|$", line) and before.startswith("|") and not columns:
            columns = cells(line)
            if cells(before) != columns:
                wrong(page, number - 1, "the head of a table has %d cells, not %d" % (cells(before), columns))
        elif line.startswith("|"):
            if columns and cells(line) != columns:
                wrong(page, number, "a row of %d cells, not %d" % (cells(line), columns))
            if not columns and before.startswith("|"):
                wrong(page, number, "a table without a line below its head")
        else:
            columns = 0
        before = line
if len(open("README.md").readlines()) >= 250:
    wrong("README.md", 250, "it is to be read in minutes: less than 250 lines")
print("  DOCS    %d pages, %d links" % (len(pages), links))
sys.exit(bad != 0 or links < 50)
END
if command -v codespell >/dev/null; then
	git ls-files '*.md' 'docs/man/*' '*.[ch]' '*.hpp' '*.cc' '*.sh' Makefile '*/Makefile' .ci/run |
		xargs codespell -q 3 -I scripts/spelling.txt || status=1
else
	echo "  SKIP    spelling: codespell is not installed"
fi
exit $status
