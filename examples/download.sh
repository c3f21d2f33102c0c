#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# Downloads an offered file with nothing but mosquitto_rr; run it again after an interruption and
# it goes on. For real work see ft-get: here each block costs a connection.
#
#	examples/download.sh PATH FILE [CLIENT_ID [OPTIONS]]
#
# OPTIONS are those of mosquitto_rr for the connection, such as -h HOST -u USER -P PASS.

set -eu

path=$1 file=$2 id=${3:-download-$(uname -n)}
if [ $# -ge 3 ]; then shift 3; else shift 2; fi
block=65536

offer=$(mosquitto_rr -i "$id" -q 1 -W 10 -n -t "\$file-get/info/$path" -e "\$file-response/$id" "$@")
sum=$(echo "$offer" | sed -n 's/.*"sha256":"\([0-9a-f]*\)".*/\1/p')
size=$(echo "$offer" | sed -n 's/.*"size":\([0-9]*\).*/\1/p')
if [ -z "$sum" ]; then
	echo "$offer" >&2
	exit 1
fi
part=$file.$sum.part	# of this content, so that none is mixed
touch "$part"
while offset=$(stat -c %s "$part") && [ "$offset" -lt "$size" ]; do
	length=$((size - offset < block ? size - offset : block))
	mosquitto_rr -i "$id" -W 10 -N -m "$sum" -t "\$file-get/$offset/$length/$path" \
		-e "\$file-data/$id/$offset/$path" "$@" >"$part.block" || exit
	# Of another length it is no block: the broker says what is wrong.
	[ "$(stat -c %s "$part.block")" -eq $length ] || { cat "$part.block" >&2; exit 1; }
	cat "$part.block" >>"$part"
done
rm -f "$part.block"
if echo "$sum  $part" | sha256sum -c --status; then
	mv "$part" "$file"
else
	rm "$part"
	echo "$file: damaged; run it again" >&2
	exit 1
fi
