/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A file that is encrypted before it is sent.
 *
 *	ASKING --absent--> WORKING --whole--> READY
 *	   |                                    ^
 *	   +-- complete: done                   |
 *	begin, where ciphertext is there -------+
 *
 * The ciphertext stays in a directory until the broker has it: another encryption of the same
 * file gives other bytes, with which no upload could be resumed. Its id is made from the plain
 * file, so the broker is asked first: what it has need not be encrypted again.
 */
#include "client_parts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SLICE ((size_t)1024 * 1024)
#define PREFIX_LEN 32			/* of a ciphertext's name: which file it is */

/* Other versions of the same file: nobody will ask for them again. */
static void seal_remove_older(const char *folder, const char *name)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;
	char *path = NULL;

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, name, PREFIX_LEN) != 0 || strcmp(entry->d_name, name) == 0 ||
		    asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
			continue;
		unlink(path);
		free(path);
	}
	if (dir)
		closedir(dir);
}

/* "PLACE AND RECIPIENTS-VERSION.p7m", all in hex. */
static bool seal_choose_path(struct ft_client *client, struct file *file, const char *place)
{
	const char *folder = client->options.seal_dir;
	char hex[SHA256_HEX_ROOM], name[PREFIX_LEN + SHA256_HEX_ROOM + 8];

	if (!sha256_hex(hex, place, strlen(place)))
		return false;
	int len = snprintf(name, sizeof(name), "%.*s-", PREFIX_LEN, hex);
	if (!sha256_hex(hex, file->file_id, strlen(file->file_id)))
		return false;
	snprintf(name + len, sizeof(name) - (size_t)len, "%.16s.p7m", hex);
	seal_remove_older(folder, name);
	free(file->sealed_path);
	if (asprintf(&file->sealed_path, "%s/%s", folder, name) < 0)
		file->sealed_path = NULL;
	return file->sealed_path;
}

static bool seal_choose_names(struct ft_client *client, struct file *file)
{
	char *real = file->fd < 0 ? realpath(file->path, NULL) : NULL;
	char *place = NULL;
	char id[FILE_ID_ROOM];

	if (asprintf(&place, "sealed %s %s", seal_mark(client->seal), real ? real : "") < 0)
		place = NULL;
	bool ok = place && source_file_id(id, &file->source, place, file->name, file->changes);
	if (ok)
		snprintf(file->file_id, sizeof(file->file_id), "%s",
			 file->options.file_id && !file->changes ? file->options.file_id : id);
	file->info.file_id = file->file_id;
	ok = ok && seal_choose_path(client, file, file->source.stream ? file->file_id : place);
	free(real);
	free(place);
	return ok;
}

/* From here on the ciphertext is the file. */
static bool seal_use(struct file *file, const char **why)
{
	source_close(&file->source);
	file->has_source = source_open(&file->source, file->sealed_path, why);
	if (!file->has_source)
		return false;
	file->info.size = file->source.size;
	file->info.size_known = true;
	file->seal = SEAL_READY;
	return true;
}

const char *seal_name_file(struct ft_client *client, struct file *file)
{
	if (mkdir(client->options.seal_dir, 0700) != 0 && errno != EEXIST)
		return strerror(errno);
	return seal_choose_names(client, file) ? NULL : "out of memory";
}

const char *seal_begin_file(struct file *file)
{
	const char *why = NULL;

	file->sealed_bytes = 0;
	if (access(file->sealed_path, R_OK) == 0)
		return seal_use(file, &why) ? NULL : why;
	file->seal_fresh = true;
	file->seal = file->source.stream || file->options.from_scratch ? SEAL_WORKING : SEAL_ASKING;
	return NULL;
}

/* --- the work --- */

static void seal_fail(struct ft_client *client, struct file *file, const char *what)
{
	char text[300];

	snprintf(text, sizeof(text), "%s: %s", what, strerror(errno));
	file_finish(client, file, FT_CLIENT_FILE, -1, text);
}

/* More of a stream, or nothing yet. False: it cannot be read. */
static bool seal_feed(struct file *file)
{
	return !file->source.stream || file->source.ended ||
	       source_fill(&file->source, SLICE, file->sealed_bytes) != FILL_ERROR;
}

/* Encrypts what is there, a slice at most. False: it has been reported. */
static bool seal_slice(struct ft_client *client, struct file *file)
{
	uint64_t left = file->source.size - file->sealed_bytes;
	size_t len = left < client->buffer_bytes ? (size_t)left : client->buffer_bytes;

	if (!source_read(&file->source, file->sealed_bytes, client->buffer, len)) {
		errno = EIO;
		seal_fail(client, file, "it has changed, or cannot be read any more");
		return false;
	}
	if (!sealing_add(file->sealing, client->buffer, len)) {
		seal_fail(client, file, file->sealed_path);
		return false;
	}
	file->sealed_bytes += len;
	return true;
}

/* All is encrypted: is it still the file that was begun? */
static void seal_end(struct ft_client *client, struct file *file, int64_t now)
{
	const char *why;

	switch (source_check(&file->source, SLICE)) {
	case CHECK_GOES_ON:
		return;
	case CHECK_DIFFERS:
		file_begin_anew(client, file, now);
		return;
	case CHECK_SAME:
		break;
	}
	if (!sealing_finish(&file->sealing))
		seal_fail(client, file, file->sealed_path);
	else if (!seal_use(file, &why))
		file_finish(client, file, FT_CLIENT_FILE, -1, why);
	else
		file_begin_upload(client, file, now);
}

void seal_go_on(struct ft_client *client, struct file *file, int64_t now)
{
	if (!file->sealing)
		file->sealing = sealing_new(client->seal, file->sealed_path);
	if (!file->sealing) {
		seal_fail(client, file, file->sealed_path);
		return;
	}
	if (!seal_feed(file)) {
		seal_fail(client, file, "standard input");
		return;
	}
	uint64_t before = file->sealed_bytes;
	if (!seal_slice(client, file))
		return;
	if (file->sealed_bytes > before)
		client->headway_ms = now;
	bool all = file->source.ended && file->sealed_bytes == file->source.size;
	/* A stream wakes us when it has more. */
	client->sealing = client->sealing || all || !file->source.stream ||
			  file->sealed_bytes > before;
	if (all)
		seal_end(client, file, now);
}

bool seal_wants_more(const struct file *file)
{
	return file->seal == SEAL_WORKING && file->source.stream && !file->source.ended;
}

void seal_forget(struct file *file)
{
	sealing_abandon(&file->sealing);
	if (file->sealed_path)
		unlink(file->sealed_path);
	file->seal = SEAL_NONE;
	file->seal_fresh = false;
}
