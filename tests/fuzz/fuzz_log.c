/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The log's file: whatever lies in its ring, it is opened or refused without harm, what is
 * taken lies in the ring, the same is there when it is opened again, and what is appended
 * then comes behind it.
 *
 * The header is whole, with salt 0, and where a line of the ring begins with a small number,
 * the right mark is put there: so that records are found.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/endian.h"
#include "fuzz.h"
#include "log/log.h"

#define LOG_HEADER 4096
#define LOG_RING 4096
#define LOG_FUZZ_LINE 64

static uint8_t log_image[LOG_HEADER + LOG_RING];

static const char *log_path(void)
{
	static char path[64];

	snprintf(path, sizeof path, "/dev/shm/ft-fuzz-log-%ld", (long)getpid());
	return path;
}

static void log_make_header(uint64_t tail)
{
	memset(log_image, 0, sizeof log_image);
	memcpy(log_image, "ft-log\n", 8);
	ft_store_le32(log_image + 8, 1);
	ft_store_le32(log_image + 12, LOG_HEADER);
	ft_store_le64(log_image + 16, LOG_RING);
	ft_store_le64(log_image + 48, tail);
	memcpy(log_image + 512, "boot=1", 6);
}

/* In a lap that the tail is in, or the next one. */
static uint64_t log_position(uint64_t tail, uint64_t in_ring)
{
	uint64_t position = tail - tail % LOG_RING + in_ring;

	return position < tail ? position + LOG_RING : position;
}

static void log_make_ring(struct fuzz_input *input, uint64_t tail)
{
	uint8_t *ring = log_image + LOG_HEADER;

	for (uint64_t at = 0; at < LOG_RING && input->len > 0; at++)
		ring[at] = fuzz_byte(input);
	for (uint64_t at = 0; at < LOG_RING; at += LOG_FUZZ_LINE) {
		uint8_t what = ring[at];
		uint32_t length = ft_load_le32(ring + at + 8) % LOG_RING;

		if (what == 0 || what > 3)
			continue;
		ft_store_le64(ring + at, log_position(tail, at));
		if (what == 1)
			ft_store_le32(ring + at + 8, length);
		if (what == 2 && length >= 40 && at + length <= LOG_RING) {
			uint32_t crc;

			ft_store_le32(ring + at + 8, length);
			crc = ft_crc32c(0, ring + at + 8, 12);
			ft_store_le32(ring + at + 20, ft_crc32c(crc, ring + at + 24,
								      length - 24));
		}
	}
}

static void log_write_image(void)
{
	int fd = open(log_path(), O_RDWR | O_CREAT | O_TRUNC, 0600);

	fuzz_check(fd >= 0);
	fuzz_check(pwrite(fd, log_image, sizeof log_image, 0) == (ssize_t)sizeof log_image);
	close(fd);
}

struct log_seen {
	unsigned records;
	uint32_t sum;	/* of all that they carry */
};

static struct log_seen log_take_all(struct ft_log *log)
{
	struct log_seen seen = { 0, 0 };
	struct ft_log_record record;
	uint64_t last = 0;

	while (ft_log_take(log, &record)) {
		uint64_t in_ring = record.position % LOG_RING;

		fuzz_check(record.kind > FT_RECORD_PAD && record.kind < FT_RECORD_KINDS);
		fuzz_check(record.end > record.position && record.position >= last);
		fuzz_check(in_ring + 40 + record.head_len + record.bytes_len <= LOG_RING);
		last = record.end;
		seen.records++;
		seen.sum = ft_crc32c(seen.sum, &record.number, sizeof record.number);
		seen.sum = ft_crc32c(seen.sum, record.head, record.head_len);
		seen.sum = ft_crc32c(seen.sum, record.bytes, record.bytes_len);
	}
	return seen;
}

static struct ft_log *log_fuzz_open(struct ft_log_config *config, enum ft_log_past *past)
{
	struct ft_log *log;
	uint8_t id[FT_LOG_ID_LEN];

	fuzz_check(ft_log_open(config, &log, past, id) == FT_OK);
	return log;
}

static void log_play(struct ft_log_config *config)
{
	struct ft_log_entry entry = { .kind = FT_RECORD_FIN, .number = 12345 };
	struct log_seen before, after;
	enum ft_log_past past;
	enum ft_status st;
	struct ft_log *log = log_fuzz_open(config, &past);

	before = log_take_all(log);
	ft_log_close(&log);
	log = log_fuzz_open(config, &past);
	fuzz_check(past == FT_LOG_CONTINUED);
	st = ft_log_append(log, &entry);
	fuzz_check(st == FT_OK || st == FT_BUSY);
	ft_log_close(&log);
	log = log_fuzz_open(config, &past);
	after = log_take_all(log);
	fuzz_check(after.records >= before.records + (st == FT_OK));
	/* In a ring made of anything, old bytes behind the new record may count with salt 0. */
	if (after.records == before.records)
		fuzz_check(after.sum == before.sum);
	ft_log_close(&log);
}

FUZZ_TARGET(log)
{
	struct fuzz_input input = { bytes, len };
	unsigned how = fuzz_byte(&input);
	uint64_t tail = (uint64_t)(fuzz_u16(&input) % 256) * LOG_FUZZ_LINE;
	struct ft_log_config config = {
		.path = log_path(), .size = LOG_RING,
		.sync = how & 1 ? FT_LOG_SYNCED : FT_LOG_MAPPED,
		.identity = how & 2 ? "boot=2" : "boot=1",
	};

	log_make_header(tail);
	log_make_ring(&input, tail);
	log_write_image();
	log_play(&config);
	unlink(log_path());
}
