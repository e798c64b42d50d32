# SPDX-License-Identifier: MIT
#
# bash's completion for batchproc, which is asked what may stand where the cursor is: see
# tools/batchproc/complete.c.

_batchproc()
{
	local words=() word glue=0 i kind line cut=''

	# --name=value is one word here, and three to bash, which breaks words at the =; so it is
	# with the colon of a URL.
	for ((i = 1; i <= COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == [=:]* && ${#words[@]} -gt 0 ]]; then
			words[-1]+=$word
			glue=1
		elif ((glue)); then
			words[-1]+=$word
			glue=0
		else
			words+=("$word")
		fi
	done
	word=${words[-1]}
	[[ $word != *=* || $COMP_WORDBREAKS != *=* ]] || cut=${word%%=*}=

	COMPREPLY=()
	{
		read -r kind
		while IFS= read -r line; do
			line=${line%%$'\t'*}
			COMPREPLY+=("${line#"$cut"}")
		done
	} < <("$1" --complete "${words[@]}" 2>/dev/null)
	case $kind in
	files)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "${word#"$cut"}")
		;;
	dirs)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "${word#"$cut"}")
		;;
	esac
}

complete -F _batchproc batchproc
