/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/ack_sink_identity.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"

#define FILE_NAME "ack-sink"
#define HEADER "file-transfer ack-sink 1\n"
#define CLIENT_PREFIX "file-transfer-ack-"
#define CLIENT_RANDOM_BYTES 16
#define CLIENT_LEN (sizeof CLIENT_PREFIX - 1 + 2 * (size_t)CLIENT_RANDOM_BYTES)
#define TOPIC_LETTERS 8
#define TOPIC_LEN ((size_t)1 + TOPIC_LETTERS)
#define FILE_LEN (sizeof HEADER - 1 + CLIENT_LEN + 1 + TOPIC_LEN + 1)

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char hex_digits[] = "0123456789abcdef";

static bool make(struct ft_sink_identity *identity)
{
	uint8_t random[CLIENT_RANDOM_BYTES + TOPIC_LETTERS];
	struct ft_buf client = ft_buf_on(identity->client_id, sizeof identity->client_id);
	struct ft_buf topic = ft_buf_on(identity->topic, sizeof identity->topic);

	identity->kept = false;
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return false;
	ft_buf_str(&client, CLIENT_PREFIX);
	ft_buf_hex(&client, random, CLIENT_RANDOM_BYTES);
	ft_buf_char(&topic, '$');
	for (size_t i = 0; i < TOPIC_LETTERS; i++)
		ft_buf_char(&topic, letters[random[CLIENT_RANDOM_BYTES + i] % (sizeof letters - 1)]);
	return ft_buf_ok(&client) && ft_buf_ok(&topic);
}

static bool consists_of(const char *text, size_t len, const char *allowed)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] == '\0' || !strchr(allowed, text[i]))
			return false;
	return true;
}

/* Takes nothing but what compose() writes. */
static bool parse(struct ft_sink_identity *identity, const char *text, size_t len)
{
	const char *client = text + sizeof HEADER - 1;
	const char *topic = client + CLIENT_LEN + 1;
	size_t prefix_len = sizeof CLIENT_PREFIX - 1;

	if (len != FILE_LEN || memcmp(text, HEADER, sizeof HEADER - 1) != 0 ||
	    memcmp(client, CLIENT_PREFIX, prefix_len) != 0 ||
	    !consists_of(client + prefix_len, CLIENT_LEN - prefix_len, hex_digits) ||
	    client[CLIENT_LEN] != '\n' || topic[0] != '$' ||
	    !consists_of(topic + 1, TOPIC_LETTERS, letters) || topic[TOPIC_LEN] != '\n')
		return false;
	memset(identity, 0, sizeof *identity);
	memcpy(identity->client_id, client, CLIENT_LEN);
	memcpy(identity->topic, topic, TOPIC_LEN);
	identity->kept = true;
	return true;
}

static bool load(struct ft_sink_identity *identity, int dir)
{
	char text[FILE_LEN + 1];
	int fd = openat(dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	ssize_t got;

	if (fd < 0)
		return false;
	got = read(fd, text, sizeof text);
	close(fd);
	return got >= 0 && parse(identity, text, (size_t)got);
}

static bool write_new(int fd, const struct ft_sink_identity *identity)
{
	char text[FILE_LEN + 1];
	struct ft_buf buf = ft_buf_on(text, sizeof text);
	bool done;

	ft_buf_str(&buf, HEADER);
	ft_buf_str(&buf, identity->client_id);
	ft_buf_char(&buf, '\n');
	ft_buf_str(&buf, identity->topic);
	ft_buf_char(&buf, '\n');
	done = ft_buf_ok(&buf) && write(fd, text, buf.len) == (ssize_t)buf.len && fsync(fd) == 0;
	return close(fd) == 0 && done;
}

/* A torn file is only a lost name, so the directory needs no fsync. */
static bool save(const struct ft_sink_identity *identity, int dir)
{
	int fd;

	if (unlinkat(dir, FILE_NAME ".new", 0) != 0 && errno != ENOENT)
		return false;
	fd = openat(dir, FILE_NAME ".new", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	if (write_new(fd, identity) && renameat(dir, FILE_NAME ".new", dir, FILE_NAME) == 0)
		return true;
	unlinkat(dir, FILE_NAME ".new", 0);
	return false;
}

bool ft_sink_identity_get(struct ft_sink_identity *identity, const char *dir_path,
			  struct ft_logger *log)
{
	int dir = dir_path ? open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	bool known = dir >= 0 && load(identity, dir);

	if (!known && !make(identity)) {
		if (dir >= 0)
			close(dir);
		return false;
	}
	if (dir_path && !known && (dir < 0 || !save(identity, dir)))
		ft_logger_printf(log, FT_LOG_WARNING, "cannot write %s/" FILE_NAME ": %s; with persistence "
			      "the broker keeps one more idle session after each start",
			      dir_path, strerror(errno));
	if (dir >= 0)
		close(dir);
	return true;
}
