#!/bin/sh
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Uploads one file with nothing but mosquitto_pub, split and stat.
#
#   mosquitto_pub_upload.sh PORT CLIENT FILE_ID PATH CHUNK [mosquitto_pub options]
set -eu

port=$1 client=$2 id=$3 path=$4 chunk=$5
shift 5
size=$(stat -c %s "$path")
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT

send() {
	topic=$1
	shift
	mosquitto_pub -h 127.0.0.1 -p "$port" -i "$client" -q 1 -t "\$file/$id/$topic" "$@"
}

send init "$@" -m "{\"name\":\"$(basename "$path")\",\"size\":$size}"
split -b "$chunk" -d -a 6 "$path" "$parts/"
number=0
for part in "$parts"/*; do
	send $((number * chunk)) "$@" -f "$part"
	number=$((number + 1))
done
send "fin/$size" "$@" -n
