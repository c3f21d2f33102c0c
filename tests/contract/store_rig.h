/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * One store of any backend in a directory of its own, for tests.
 *
 *	struct rig rig;
 *	rig_open(&rig, "fs", FT_DURABILITY_FILE);
 *	... rig_restart(&rig); ... rig_reboot(&rig); ...
 *	rig_close(&rig);
 */
#ifndef FT_TESTS_STORE_RIG_H
#define FT_TESTS_STORE_RIG_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/system.h"
#include "base/utf8.h"
#include "file_transfer/store.h"
#include "../suite.h"
#include "../tree.h"

#define RIG_PATH_ROOM 4096
#define RIG_TEXT_ROOM (160 * 1024)

struct rig {
	char dir[64];
	char boot_id[FT_UUID_ROOM];
	struct ft_store_config config;
	const struct ft_store_ops *ops;
	struct ft_store *store;
	char log[4096];		/* the last line */
	unsigned log_lines;
};

static inline void rig_log(void *context, enum ft_log_level level, const char *line)
{
	struct rig *rig = context;

	(void)level;
	snprintf(rig->log, sizeof rig->log, "%s", line);
	rig->log_lines++;
}

static inline void rig_start(struct rig *rig)
{
	rig->config.log = ft_logger_new(rig_log, rig);
	ck_assert_ptr_nonnull(rig->config.log);
	ck_assert_int_eq(rig->ops->open(&rig->config, &rig->store), FT_OK);
}

static inline void rig_stop(struct rig *rig)
{
	rig->ops->close(&rig->store);
	ck_assert_ptr_null(rig->store);
	ft_logger_free(rig->config.log);
}

static inline void rig_open(struct rig *rig, const char *backend, enum ft_durability durability)
{
	*rig = (struct rig){.ops = ft_store_backend(backend)};
	ck_assert_ptr_nonnull(rig->ops);
	ck_assert(tree_make(rig->dir, sizeof rig->dir, "ft-store"));
	ft_uuid(rig->boot_id);
	rig->config = (struct ft_store_config){
		.dir = rig->dir,
		.durability = durability,
		.boot_id = rig->boot_id,
		.max_open = 8,
	};
	rig_start(rig);
}

/* The same, of the backend whose turn it is: see RIG_SUITE_OF_ALL_BACKENDS. */
static inline void rig_open_any(struct rig *rig, int i)
{
	rig_open(rig, ft_store_backends()[i]->name, FT_DURABILITY_FILE);
}

/* The process ends and another one begins; no handle may be out. */
static inline void rig_restart(struct rig *rig)
{
	rig_stop(rig);
	rig_start(rig);
}

/* The same, and the machine was off in between. Nothing is lost here: it only may have been. */
static inline void rig_reboot(struct rig *rig)
{
	rig_stop(rig);
	ft_uuid(rig->boot_id);
	rig_start(rig);
}

static inline void rig_close(struct rig *rig)
{
	rig_stop(rig);
	tree_remove(rig->dir);
}

static inline void rig_write_file(const char *path, const char *bytes, size_t len)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	fclose(file);
}

/* --- keys and manifests --- */

static inline struct ft_key rig_key(const char *client, const char *file)
{
	return (struct ft_key){client, strlen(client), file, strlen(file)};
}

static inline void rig_id(struct ft_buf *buf, const char *name, const char *id, size_t len)
{
	bool text = ft_utf8_valid(id, len) && !memchr(id, 0, len);

	ft_buf_printf(buf, text ? "\"%s\":" : "\"%s_hex\":", name);
	if (text) {
		ft_buf_json(buf, id, len);
		return;
	}
	ft_buf_char(buf, '"');
	ft_buf_hex(buf, (const uint8_t *)id, len);
	ft_buf_char(buf, '"');
}

/* A manifest that names the ids; `mark` tells two of them apart. The caller frees it. */
static inline char *rig_manifest(const struct ft_key *key, const char *mark)
{
	char *room = malloc(RIG_TEXT_ROOM);
	struct ft_buf buf = ft_buf_on(room, RIG_TEXT_ROOM);

	ft_buf_char(&buf, '{');
	rig_id(&buf, "client_id", key->client, key->client_len);
	ft_buf_char(&buf, ',');
	rig_id(&buf, "file_id", key->file, key->file_len);
	ft_buf_printf(&buf, ",\"mark\":\"%s\"}", mark);
	ck_assert(ft_buf_ok(&buf));
	return room;
}

/* --- short forms that must succeed --- */

static inline struct ft_upload *rig_create(struct rig *rig, const struct ft_key *key)
{
	struct ft_upload *upload = NULL;
	char *manifest = rig_manifest(key, "begun");

	ck_assert_int_eq(rig->ops->create(rig->store, key, manifest, strlen(manifest), &upload),
			 FT_OK);
	ck_assert_ptr_nonnull(upload);
	free(manifest);
	return upload;
}

static inline struct ft_upload *rig_load(struct rig *rig, const struct ft_key *key)
{
	struct ft_upload *upload = NULL;
	char *manifest = NULL;
	size_t len;

	ck_assert_int_eq(rig->ops->load(rig->store, key, &manifest, &len, &upload), FT_OK);
	ck_assert_uint_eq(strlen(manifest), len);
	free(manifest);
	return upload;
}

static inline enum ft_status rig_try_load(struct rig *rig, const struct ft_key *key)
{
	struct ft_upload *upload = NULL;
	char *manifest = NULL;
	size_t len;
	enum ft_status st = rig->ops->load(rig->store, key, &manifest, &len, &upload);

	if (st == FT_OK)
		rig->ops->release(&upload);
	free(manifest);
	return st;
}

static inline enum ft_status rig_try_find(struct rig *rig, const struct ft_key *key)
{
	char *manifest = NULL;
	size_t len;
	enum ft_status st = rig->ops->find(rig->store, key, &manifest, &len);

	free(manifest);
	return st;
}

static inline struct ft_put rig_put(struct rig *rig, struct ft_upload *upload, uint64_t offset,
				    const void *bytes, size_t len)
{
	struct ft_put done;

	ck_assert_int_eq(rig->ops->put(upload, offset, bytes, len, &done), FT_OK);
	return done;
}

static inline void rig_put_text(struct rig *rig, struct ft_upload *upload, uint64_t offset,
				const char *text)
{
	(void)rig_put(rig, upload, offset, text, strlen(text));
}

static inline struct ft_work *rig_work(struct rig *rig, struct ft_upload *upload)
{
	struct ft_work *work = NULL;

	ck_assert_int_eq(rig->ops->work(upload, &work), FT_OK);
	ck_assert_ptr_nonnull(work);
	return work;
}

/* The bytes of an upload are these. */
static inline void rig_expect(struct rig *rig, struct ft_upload *upload, uint64_t offset,
			      const void *bytes, size_t len)
{
	struct ft_work *work = rig_work(rig, upload);
	char *got = malloc(len);

	ck_assert_int_eq(rig->ops->read(work, offset, got, len), FT_OK);
	ck_assert(memcmp(got, bytes, len) == 0);
	free(got);
	rig->ops->work_close(&work);
	ck_assert_ptr_null(work);
}

/* One file alone. */
static inline enum ft_status rig_publish_work(struct rig *rig, struct ft_work *work,
					      const char *name, uint64_t size)
{
	struct ft_publication publication = {
		.work = work,
		.name = name,
		.size = size,
		.manifest = "{\"finished\":1}",
		.manifest_len = 14,
		.status = FT_INTERNAL_ERROR,
	};

	rig->ops->publish(&publication, 1);
	return publication.status;
}

static inline enum ft_status rig_publish(struct rig *rig, struct ft_upload *upload,
					 const char *name, uint64_t size)
{
	struct ft_work *work = rig_work(rig, upload);
	enum ft_status st = rig->ops->sync(work);

	if (st == FT_OK)
		st = rig_publish_work(rig, work, name, size);
	rig->ops->work_close(&work);
	return st;
}

static inline void rig_checkpoint(struct rig *rig, struct ft_upload *upload)
{
	struct ft_checkpoint *checkpoint = NULL;
	enum ft_status ran;

	ck_assert_int_eq(rig->ops->checkpoint_begin(upload, &checkpoint), FT_OK);
	ran = rig->ops->checkpoint_run(checkpoint);
	ck_assert_int_eq(ran, FT_OK);
	ck_assert_int_eq(rig->ops->checkpoint_end(upload, &checkpoint, ran), FT_OK);
	ck_assert_ptr_null(checkpoint);
}

/* The held ranges, as "0-5 7-9". */
static inline const char *rig_held(const struct ft_upload *upload)
{
	static char text[4096];
	struct ft_buf buf = ft_buf_on(text, sizeof text);
	struct ft_range range = {0, 0};

	while (ft_ranges_next(&upload->held, range.end, &range))
		ft_buf_printf(&buf, "%s%llu-%llu", buf.len ? " " : "",
			      (unsigned long long)range.start, (unsigned long long)range.end);
	return text;
}

static inline bool rig_count_visit(void *context, const struct ft_found *found)
{
	(void)found;
	++*(unsigned *)context;
	return true;
}

/* How many transfers a walk meets. */
static inline unsigned rig_walk(struct rig *rig)
{
	unsigned seen = 0;

	ck_assert_int_eq(rig->ops->enumerate(rig->store, rig_count_visit, &seen), FT_OK);
	return seen;
}

/* --- paths --- */

__attribute__((format(printf, 2, 3)))
static inline const char *rig_path(const struct rig *rig, const char *format, ...)
{
	static char path[RIG_PATH_ROOM];
	size_t len = (size_t)snprintf(path, sizeof path, "%s/", rig->dir);
	va_list args;

	va_start(args, format);
	vsnprintf(path + len, sizeof path - len, format, args);
	va_end(args);
	return path;
}

static inline bool rig_exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* --- suites --- */

/* Runs each test once per backend; _i is the backend's place in ft_store_backends(). */
#define RIG_SUITE_OF_ALL_BACKENDS(title, ...) \
	int main(void) \
	{ \
		struct ft_suite suite = { .name = title, FT_TESTS(__VA_ARGS__) }; \
		while (ft_store_backends()[suite.times]) \
			suite.times++; \
		return ft_suite_run(&suite); \
	} \
	struct ft_suite_ends_with_semicolon

#endif
