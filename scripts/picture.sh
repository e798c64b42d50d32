#!/bin/sh
# SPDX-License-Identifier: MIT
#
# picture.sh [TREE]: runs the demo (scripts/demo.sh) and prints what it printed as a picture of a terminal, in SVG:
# the picture of README.md is that of a run, and `make picture` makes it anew. Of what `batchproc info` says only
# the first lines are shown. BATCHPROC is the command.
set -eu

here=$(dirname "$0")
BATCHPROC=$(realpath "${BATCHPROC:-build/batchproc}")
export BATCHPROC
said=$(mktemp)
trap 'rm -f "$said"' EXIT
NO_COLOR=1 "$here/demo.sh" "$@" >"$said"

awk '
	function escape(text) {
		gsub(/&/, "\\&amp;", text)
		gsub(/</, "\\&lt;", text)
		gsub(/>/, "\\&gt;", text)
		return text
	}
	# Blanks at the beginning become a place: not all viewers keep them.
	function show(text, class, at) {
		at = match(text, /[^ ]/) - 1
		if (length(text) > columns)
			columns = length(text)
		line[++lines] = sprintf("<text class=\"%s\" x=\"%.1f\" y=\"%d\">%s</text>", class,
			left + at * width, top + lines * height, escape(substr(text, at + 1)))
	}
	BEGIN { width = 7.8; height = 18; left = 16; top = 50; show("$ make demo", "command") }
	/^What runs here/ { info = 1 }
	!info || info < 7 {
		if (/^$/)
			lines++
		else if (/^[^ ]/)
			show($0, "title")
		else if (/^  \$ /)
			show($0, "command")
		else
			show($0, "output")
	}
	info && ++info == 7 { show("    ...", "output") }
	info && /^$/ { info = 0; lines++ }
	END {
		wide = left * 2 + columns * width
		high = top + lines * height + 4
		printf "<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n",
			wide, high, wide, high
		print "<style>"
		print "text { font: 13px ui-monospace, Menlo, Consolas, \"DejaVu Sans Mono\", monospace; white-space: pre }"
		print ".title { fill: #ffffff; font-weight: bold }"
		print ".command { fill: #7ee787 }"
		print ".output { fill: #c9d1d9 }"
		print "</style>"
		printf "<rect width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#161b22\"/>\n", wide, high
		split("#ff5f57 #febc2e #28c840", colour, " ")
		for (i = 1; i <= 3; i++)
			printf "<circle cx=\"%d\" cy=\"20\" r=\"6\" fill=\"%s\"/>\n", i * 20, colour[i]
		for (i = 1; i <= lines; i++)
			if (i in line)
				print line[i]
		print "</svg>"
	}' "$said"
