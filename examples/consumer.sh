#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# Handles each finished file once: consumer.sh STORAGE_DIR NAME COMMAND [ARGUMENT...]
#
# Wants plugin_opt_done on, and jq. Runs COMMAND ARGUMENT... FILE for each; where that succeeds, file,
# manifest and notice are removed, else it is tried again. Any number of consumers take turns, each with
# a NAME of its own. COMMAND may see a file twice, where a consumer or the broker was killed in between.
set -eu
storage=$1 name=$2
shift 2

handle() {	# NOTICE COMMAND...
	notice=$1
	shift
	path=$storage/$(jq -r .path "$notice")
	[ ! -e "$path" ] || "$@" "$path" || return 0	# the notice stays in done/NAME
	rm -f -- "$path" "$path.manifest.json" "$notice"
}

while :; do
	mkdir -p "$storage/done/$name"
	for notice in "$storage/done/$name"/*.json; do	# what an earlier life or try left
		[ ! -e "$notice" ] || handle "$notice" "$@"
	done
	for notice in "$storage"/done/*.json; do
		mine=$storage/done/$name/${notice##*/}
		# Where another consumer was faster there is nothing left to rename.
		! mv -- "$notice" "$mine" 2>/dev/null || handle "$mine" "$@"
	done
	sleep 0.5
done
