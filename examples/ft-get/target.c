/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "target.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/disk.h"
#include "../lib/members.h"
#include "../lib/process.h"

#define SLICE ((size_t)256 * 1024)
#define STATE_MAX ((size_t)16 * 1024 * 1024)
#define SAVE_EVERY_MS 1000
#define SAVE_SHARE 20		/* saving takes so small a part of the time, but is done every */
#define SAVE_LATEST_MS 5000

__attribute__((format(printf, 2, 3)))
static bool target_fail(struct target *target, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(target->why, sizeof(target->why), format, args);
	va_end(args);
	return false;
}

bool target_init(struct target *target, const char *file)
{
	*target = (struct target){ .fd = -1, .look_fd = -1 };
	if (!file)
		return true;
	target->file = strdup(file);
	if (asprintf(&target->part, "%s.part", file) < 0)
		target->part = NULL;
	if (asprintf(&target->state, "%s.part.json", file) < 0)
		target->state = NULL;
	return target->file && target->part && target->state;
}

bool target_expect(struct target *target, const char *path, uint64_t size, const char *sha256)
{
	free(target->path);
	target->path = strdup(path);
	target->size = size;
	snprintf(target->sha256, sizeof(target->sha256), "%s", sha256);
	held_release(&target->held);
	EVP_MD_CTX_free(target->hash);
	target->hash = sha256_begin();
	target->hashed = 0;
	return target->path && target->hash;
}

/* --- hashing --- */

/* False where the file is shorter, or libcrypto fails. */
static bool target_hash_from(struct target *target, int fd, uint64_t end)
{
	void *block = malloc(SLICE);
	bool ok = block;

	while (ok && target->hashed < end) {
		size_t len = end - target->hashed < SLICE ? (size_t)(end - target->hashed) : SLICE;
		ok = disk_read_at(fd, block, len, (off_t)target->hashed) &&
		     EVP_DigestUpdate(target->hash, block, len);
		target->hashed += ok ? len : 0;
	}
	free(block);
	return ok;
}

bool target_is_hashed(const struct target *target)
{
	return held_end(&target->held, target->hashed) == target->hashed;
}

bool target_hash_on(struct target *target, size_t max)
{
	uint64_t end = held_end(&target->held, target->hashed);

	if (!target->file || end == target->hashed)
		return false;
	if (end - target->hashed > max)
		end = target->hashed + max;
	return target_hash_from(target, target->fd, end) && !target_is_hashed(target);
}

bool target_verify(struct target *target)
{
	char sha256[SHA256_HEX_ROOM];

	if (target->hashed != target->size || !sha256_so_far(sha256, target->hash))
		return target_fail(target, "it cannot be read again, or libcrypto fails");
	if (!target->sha256[0])
		snprintf(target->sha256, sizeof(target->sha256), "%s", sha256);
	return strcmp(sha256, target->sha256) == 0 ||
	       target_fail(target, "what arrived has the SHA-256 %s, which is not that of the offer",
			   sha256);
}

/* --- is it there? --- */

static enum target_look target_look_end(struct target *target, enum target_look found)
{
	char sha256[SHA256_HEX_ROOM] = "";

	if (found == TARGET_IS_THERE && (!sha256_so_far(sha256, target->hash) ||
					 strcmp(sha256, target->sha256) != 0))
		found = TARGET_IS_NOT;
	if (target->look_fd >= 0)
		close(target->look_fd);
	target->look_fd = -1;
	EVP_MD_CTX_free(target->hash);
	target->hash = sha256_begin();
	target->hashed = 0;
	return target->hash ? found : TARGET_IS_WRONG;
}

static enum target_look target_look_begin(struct target *target)
{
	struct stat info;

	if (!target->file || stat(target->file, &info) != 0)
		return TARGET_IS_NOT;
	if (!S_ISREG(info.st_mode)) {
		target_fail(target, "%s is no regular file", target->file);
		return TARGET_IS_WRONG;
	}
	if (!target->sha256[0] || (uint64_t)info.st_size != target->size)
		return TARGET_IS_NOT;
	target->look_fd = open(target->file, O_RDONLY | O_CLOEXEC);
	return target->look_fd < 0 ? TARGET_IS_NOT : TARGET_LOOK_ON;
}

enum target_look target_look(struct target *target, size_t max)
{
	enum target_look found = target->look_fd < 0 ? target_look_begin(target) : TARGET_LOOK_ON;
	uint64_t rest = target->size - target->hashed;

	if (found != TARGET_LOOK_ON)
		return found;
	if (!target_hash_from(target, target->look_fd, target->hashed + (rest < max ? rest : max)))
		return target_look_end(target, TARGET_IS_NOT);
	return target->hashed < target->size ? TARGET_LOOK_ON
					     : target_look_end(target, TARGET_IS_THERE);
}

/* --- the state --- */

static bool target_read_have(struct target *target, const cJSON *list)
{
	const cJSON *pair;
	uint64_t end = 0;

	cJSON_ArrayForEach(pair, list) {
		struct span span;
		if (cJSON_GetArraySize(pair) != 2 ||
		    !member_value(cJSON_GetArrayItem(pair, 0), MEMBER_EXACT_MAX, &span.offset) ||
		    !member_value(cJSON_GetArrayItem(pair, 1), MEMBER_EXACT_MAX, &span.len) ||
		    span.offset < end || span.offset + span.len > target->size)
			return false;
		end = span.offset + span.len;
		if (!held_add(&target->held, &span))
			return false;
	}
	return true;
}

/* What is not as we wrote it says nothing. */
static void target_load(struct target *target)
{
	size_t len = 0;
	char *text = disk_read(target->state, STATE_MAX, &len);
	cJSON *state = text ? cJSON_ParseWithLength(text, len) : NULL;
	const char *path = member_text(state, "path"), *sha256 = member_text(state, "sha256");
	uint64_t size = 0;
	bool ok = path && sha256 && strcmp(path, target->path) == 0 &&
		  strcmp(sha256, target->sha256) == 0 &&
		  member_number(state, "size", MEMBER_EXACT_MAX, &size) && size == target->size;

	if (!ok || !target_read_have(target, cJSON_GetObjectItemCaseSensitive(state, "have")))
		held_release(&target->held);
	cJSON_Delete(state);
	free(text);
}

static bool target_add_have(const struct target *target, cJSON *list)
{
	bool ok = list;

	for (size_t i = 0; ok && i < target->held.count; i++) {
		const struct span *span = &target->held.items[i];
		char text[64];
		snprintf(text, sizeof(text), "[%llu,%llu]", (unsigned long long)span->offset,
			 (unsigned long long)span->len);
		cJSON *pair = cJSON_CreateRaw(text);
		ok = pair && cJSON_AddItemToArray(list, pair);
	}
	return ok;
}

static char *target_state_text(const struct target *target)
{
	cJSON *state = cJSON_CreateObject();
	bool ok = cJSON_AddStringToObject(state, "path", target->path) &&
		  member_add(state, "size", target->size) &&
		  cJSON_AddStringToObject(state, "sha256", target->sha256) &&
		  target_add_have(target, cJSON_AddArrayToObject(state, "have"));
	char *text = ok ? cJSON_PrintUnformatted(state) : NULL;

	cJSON_Delete(state);
	if (!text)
		errno = ENOMEM;
	return text;
}

bool target_save(struct target *target)
{
	int64_t begin = process_now_ms();

	if (!target->file || target->fd < 0 || !target->changed)
		return true;
	char *text = target_state_text(target);
	/* First the bytes: the state must not name what a power cut takes. */
	bool ok = text && fdatasync(target->fd) == 0 && disk_replace(target->state, text);
	if (!ok)
		target_fail(target, "%s: %s", target->state, strerror(errno));
	cJSON_free(text);
	target->changed = !ok;
	target->saved_ms = process_now_ms();
	target->save_pause_ms = (target->saved_ms - begin) * SAVE_SHARE;
	if (target->save_pause_ms > SAVE_LATEST_MS)
		target->save_pause_ms = SAVE_LATEST_MS;
	return ok;
}

bool target_save_now_and_then(struct target *target, int64_t now)
{
	int64_t pause = target->save_pause_ms > SAVE_EVERY_MS ? target->save_pause_ms
							       : SAVE_EVERY_MS;

	return now - target->saved_ms < pause || target_save(target);
}

/* --- opening --- */

static bool target_open_part(struct target *target)
{
	struct stat info;

	target->fd = open(target->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
	if (target->fd < 0)
		return target_fail(target, "%s: %s", target->part, strerror(errno));
	if (fstat(target->fd, &info) != 0 || !S_ISREG(info.st_mode))
		return target_fail(target, "%s is no regular file", target->part);
	if (flock(target->fd, LOCK_EX | LOCK_NB) != 0)
		return target_fail(target, "%s: another ft-get writes it", target->part);
	return true;
}

/* A disk that is too small is told now and not after hours. Not all file systems can. */
static bool target_reserve(struct target *target)
{
	if (target->size > INT64_MAX)
		return target_fail(target, "%s: %s", target->part, strerror(EFBIG));
	if (!target->size || fallocate(target->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)target->size) == 0 ||
	    (errno != ENOSPC && errno != EFBIG && errno != EDQUOT))
		return true;
	return target_fail(target, "%s, which needs %llu bytes: %s", target->part,
			   (unsigned long long)target->size, strerror(errno));
}

static enum target_open target_open_failed(struct target *target, bool was_there)
{
	/* Nothing was written into it yet. */
	if (target->fd >= 0 && !was_there)
		unlink(target->part);
	target_close(target);
	return TARGET_CANNOT;
}

enum target_open target_open(struct target *target, bool resume)
{
	struct stat info;
	bool was_there = target->part && stat(target->part, &info) == 0 && info.st_size > 0;

	if (!target->file) {
		target->fd = STDOUT_FILENO;
		return TARGET_FRESH;
	}
	if (!target_open_part(target))
		return target_open_failed(target, true);
	if (resume)
		target_load(target);
	if (!target->held.count && ftruncate(target->fd, 0) != 0) {
		target_fail(target, "%s: %s", target->part, strerror(errno));
		return target_open_failed(target, true);
	}
	if (!target_reserve(target))
		return target_open_failed(target, was_there && target->held.count);
	target->saved_ms = process_now_ms();
	target->save_pause_ms = 0;
	/* The state of another content must not outlive its bytes. */
	target->changed = !target->held.count && access(target->state, F_OK) == 0;
	if (!target_save(target))
		return target_open_failed(target, was_there);
	return target->held.count ? TARGET_RESUMED : was_there ? TARGET_ANEW : TARGET_FRESH;
}

/* --- the bytes --- */

bool target_put(struct target *target, uint64_t offset, const void *bytes, size_t len)
{
	bool ok = target->file ? disk_write_at(target->fd, bytes, len, (off_t)offset)
			       : disk_write(target->fd, bytes, len);

	if (!ok)
		return target_fail(target, "%s: %s", target->file ? target->part : "standard output",
				   strerror(errno));
	if (offset == target->hashed && EVP_DigestUpdate(target->hash, bytes, len))
		target->hashed += len;
	target->changed = true;
	return held_add(&target->held, &(struct span){ offset, len }) ||
	       target_fail(target, "out of memory");
}

/* --- the end --- */

bool target_clear(struct target *target)
{
	char *path = target->path;
	char sha256[SHA256_HEX_ROOM];

	target->path = NULL;
	memcpy(sha256, target->sha256, sizeof(sha256));
	bool ok = target_expect(target, path, target->size, sha256);
	free(path);
	if (!ok || (target->file && ftruncate(target->fd, 0) != 0))
		return target_fail(target, "%s: %s", target->part, strerror(errno));
	target->changed = true;
	return target_save(target);
}

/* Who replaces a program wants a program. */
static void target_keep_mode(const struct target *target)
{
	struct stat old;

	if (stat(target->file, &old) == 0)
		(void)fchmod(target->fd, old.st_mode & 0777);
}

bool target_finish(struct target *target)
{
	if (!target->file)
		return true;
	target_keep_mode(target);
	if (fsync(target->fd) != 0)
		return target_fail(target, "%s: %s", target->part, strerror(errno));
	if (rename(target->part, target->file) != 0)
		return target_fail(target, "%s: %s", target->file, strerror(errno));
	unlink(target->state);
	disk_sync_folder(target->file);
	return true;
}

void target_close(struct target *target)
{
	if (target->fd >= 0 && target->file)
		close(target->fd);
	target->fd = -1;
	if (target->look_fd >= 0)
		close(target->look_fd);
	target->look_fd = -1;
}

void target_discard(struct target *target)
{
	if (target->file && target->fd >= 0) {
		unlink(target->part);
		unlink(target->state);
	}
	target_close(target);
}

void target_release(struct target *target)
{
	target_close(target);
	held_release(&target->held);
	EVP_MD_CTX_free(target->hash);
	free(target->file);
	free(target->part);
	free(target->state);
	free(target->path);
	*target = (struct target){ .fd = -1, .look_fd = -1 };
}
