#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#
# Uploads a file with nothing but mosquitto_pub and mosquitto_rr (both come with
# mosquitto-clients), to show how little a client needs. For real work see ft-put.
#
#	examples/upload.sh FILE [CLIENT_ID [OPTIONS]]
#
# OPTIONS are those of mosquitto_pub for the connection, such as -h HOST -u USER -P PASS.

set -eu

if [ $# = 0 ]; then
	echo "usage: $0 FILE [CLIENT_ID [OPTIONS]]" >&2
	exit 2
fi
file=$1
id=${2:-upload-$(uname -n)}
if [ $# -ge 2 ]; then shift 2; else shift; fi

case $file in -*) file=./$file ;; esac
size=$(stat -Lc %s "$file")
checksum=$(sha256sum <"$file" | cut -c 1-64)
name=$(basename "$file" | sed 's/["\\]/\\&/g')
# Of name and content: a second run meets what the first has left, and another file never does.
file_id=$(printf '%s %s' "$(basename "$file")" "$checksum" | sha256sum | cut -c 1-32)
segment=262144

# Publishes a command and prints its response. One client id for all: a transfer
# belongs to the client that began it.
ask() {
	command=$1
	shift
	mosquitto_rr -i "$id" -q 1 -W 600 -t "\$file/$file_id/$command" \
		-e "\$file-response/$id" "$@"
}

response=$(ask init -m "{\"name\":\"$name\",\"size\":$size,\"checksum\":\"$checksum\"}" "$@")
echo "init: $response"
case $response in
*'"state":"complete"'*) exit 0 ;;
*'"reason_code":0'*) ;;
*) exit 1 ;;
esac

offset=0
while [ "$offset" -lt "$size" ]; do
	dd if="$file" bs=$segment skip=$((offset / segment)) count=1 status=none |
		mosquitto_pub -i "$id" -q 1 -s -t "\$file/$file_id/$offset" "$@"
	offset=$((offset + segment))
done

# Whether a segment was refused need not be looked at: fin says what is missing.
response=$(ask "fin/$size" -n "$@")
echo "fin:  $response"
case $response in
*'"reason_code":0,'*) ;;
*) exit 1 ;;
esac
