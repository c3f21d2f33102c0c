#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# plugin_opt_on_complete /path/on_complete.sh: only images and text, without viruses.
#
# PATH CLIENT FILE NAME SIZE SHA256, and the manifest on standard input. Exit 0 publishes the file; another
# code rejects it, and the last line is what the client is told.
set -eu
path=$1 name=$4

type=$(file --brief --mime-type -- "$path")
case $type in
image/* | text/* | inode/x-empty) ;;
*)
	echo "files of type $type are not accepted"
	exit 1
	;;
esac
# clamd reads the file by the descriptor, since its user may not; 1: there is a virus, 2: it could not look.
if command -v clamdscan >/dev/null; then
	clamdscan --fdpass --no-summary -- "$path" >&2 || { echo "refused by the virus scanner"; exit 1; }
fi
# Names without blanks. Nothing on standard output leaves all as it is.
case $name in
*[[:space:]]*) jq -c '{name: (.name | gsub("\\s"; "_"))}' ;;	# of the manifest on standard input
esac
