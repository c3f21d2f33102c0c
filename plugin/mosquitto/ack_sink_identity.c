/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/ack_sink_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

/*
 * <storage_dir>/ack-sink, in version 2:
 *
 *	file-transfer ack-sink 2
 *	$abcd2345
 *
 * Anything else, version 1 too, counts as no file.
 */
#define FILE_NAME "ack-sink"
#define HEADER "file-transfer ack-sink 2\n"
#define TOPIC_LETTERS 8
#define TOPIC_LEN ((size_t)1 + TOPIC_LETTERS)
#define FILE_LEN (sizeof HEADER - 1 + TOPIC_LEN + 1)

#define CLIENT_PREFIX "file-transfer-ack"
#define CLIENT_MARK (sizeof CLIENT_PREFIX - 1)	/* where the TAB is */

static const char identity_letters[] = "abcdefghijklmnopqrstuvwxyz234567";

/* FNV-1a: only has to differ between the few directories of one broker. */
static uint64_t identity_hash(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return hash;
}

bool ft_sink_identity_set_client(struct ft_sink_identity *identity, const char *dir)
{
	struct ft_buf client = ft_buf_on(identity->client_id, sizeof identity->client_id);
	uint64_t number;

	if (dir)
		number = identity_hash(dir);
	else if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
		return false;
	ft_buf_printf(&client, CLIENT_PREFIX "\t%016llx", (unsigned long long)number);
	return ft_buf_ok(&client);
}

static bool identity_make_topic(struct ft_sink_identity *identity)
{
	struct ft_buf topic = ft_buf_on(identity->topic, sizeof identity->topic);
	uint8_t random[TOPIC_LETTERS];

	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return false;
	ft_buf_char(&topic, '$');
	for (size_t i = 0; i < TOPIC_LETTERS; i++)
		ft_buf_char(&topic, identity_letters[random[i] % (sizeof identity_letters - 1)]);
	return ft_buf_ok(&topic);
}

/* Takes nothing but what identity_write() writes. */
static bool identity_parse(struct ft_sink_identity *identity, const char *text, size_t len)
{
	const char *topic = text + sizeof HEADER - 1;

	if (len != FILE_LEN || memcmp(text, HEADER, sizeof HEADER - 1) != 0 || topic[0] != '$' ||
	    topic[TOPIC_LEN] != '\n')
		return false;
	for (size_t i = 1; i < TOPIC_LEN; i++)
		if (topic[i] == '\0' || !strchr(identity_letters, topic[i]))
			return false;
	memcpy(identity->topic, topic, TOPIC_LEN);
	identity->topic[TOPIC_LEN] = '\0';
	identity->kept = true;
	return true;
}

static bool identity_load(struct ft_sink_identity *identity, int dir)
{
	char text[FILE_LEN + 1];
	int fd = openat(dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, text, sizeof text);
	close(fd);
	return got >= 0 && identity_parse(identity, text, (size_t)got);
}

static bool identity_write(int fd, const struct ft_sink_identity *identity)
{
	char text[FILE_LEN + 1];
	struct ft_buf buf = ft_buf_on(text, sizeof text);
	bool done;

	ft_buf_str(&buf, HEADER);
	ft_buf_str(&buf, identity->topic);
	ft_buf_char(&buf, '\n');
	done = ft_buf_ok(&buf) && write(fd, text, buf.len) == (ssize_t)buf.len && fsync(fd) == 0;
	return close(fd) == 0 && done;
}

/* A torn file is only a lost topic, so the directory needs no fsync. */
static bool identity_save(const struct ft_sink_identity *identity, int dir)
{
	int fd;

	if (unlinkat(dir, FILE_NAME ".new", 0) != 0 && errno != ENOENT)
		return false;
	fd = openat(dir, FILE_NAME ".new", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	if (identity_write(fd, identity) && renameat(dir, FILE_NAME ".new", dir, FILE_NAME) == 0)
		return true;
	unlinkat(dir, FILE_NAME ".new", 0);
	return false;
}

bool ft_sink_identity_set_topic(struct ft_sink_identity *identity, const char *dir_path,
				struct ft_logger *log)
{
	int dir = dir_path ? open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	bool known = dir >= 0 && identity_load(identity, dir), made;

	made = known || identity_make_topic(identity);
	if (made && dir_path && !known && (dir < 0 || !identity_save(identity, dir)))
		ft_logger_printf(log, FT_LOG_WARNING, "cannot write %s/" FILE_NAME ": %s; the first "
				 "commands after a start may see PUBACK 0x10 in spite of persistence",
				 dir_path, strerror(errno));
	if (dir >= 0)
		close(dir);
	return made;
}

void ft_sink_identity_spoken(const struct ft_sink_identity *identity,
			     char spoken[FT_SINK_CLIENT_ROOM])
{
	memcpy(spoken, identity->client_id, FT_SINK_CLIENT_ROOM);
	spoken[CLIENT_MARK] = '-';
}
