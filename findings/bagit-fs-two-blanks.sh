#!/bin/bash
# SPDX-License-Identifier: MIT
#
# bagit-fs 1.1.1 (npm) takes exactly one blank between digest and path for the gap of a manifest of
# BagIt, where RFC 8493 (2.1.3) allows any number of blanks and tabs and most tools write two, as
# sha256sum does. Of such a manifest readManifest() gives every digest with an empty name, without an
# error, and readFile() finds no file of the bag in it. Seen with two blanks: {"checksum":"2cf2...",
# "name":""} and "File not found in manifest."; with one blank the name and the content.

# shellcheck source=findings/lib/begin.sh
. "$(dirname "$0")/lib/begin.sh"

needs node npm
npm install --silent --no-audit --no-fund --prefix "$dir" bagit-fs@1.1.1 >/dev/null 2>&1 ||
	cannot "there is no bagit-fs"

bag()
{
	mkdir -p "$1/data"
	printf 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n' >"$1/bagit.txt"
	printf hello >"$1/data/f"
	printf '%s%s%s\n' 2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 "$2" data/f \
		>"$1/manifest-sha256.txt"
}
bag one ' '
bag two '  '
cat >read.js <<'EOF'
const bag = require('bagit-fs')(require('path').resolve(process.argv[2]), 'sha256');
bag.readManifest((err, entries) => {
	console.log('name', JSON.stringify(entries[0].name));
	bag.readFile('f', {}, (err, data) => console.log(err ? err.message : String(data)));
});
EOF
reads()
{
	node read.js "$1" >said && grep -qF "$2" said && grep -qF "$3" said
}
shows "a manifest with one blank is read" reads one 'name "data/f"' hello
shows "with two blanks no entry has a name" reads two 'name ""' 'not found in manifest'
