/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * One store of any backend in a directory of its own, for tests.
 *
 *	struct rig rig;
 *	rig_open(&rig, "fs", FT_DURABILITY_FILE);
 *	... rig_restart(&rig); ...
 *	rig_close(&rig);
 */
#ifndef FT_TESTS_STORE_RIG_H
#define FT_TESTS_STORE_RIG_H

#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_transfer/store.h"
#include "../suite.h"
#include "../tree.h"

#define RIG_PATH_ROOM 4096
#define RIG_S3_URL "FT_S3_URL"	/* variable: a bucket for tests; with it only the store s3 is tested */

struct rig {
	char dir[256];
	struct ft_store_config config;
	const struct ft_store_ops *ops;
	struct ft_store *store;
	struct ft_s3_settings s3;
	char url[512];		/* of the store s3: a folder of its own */
	char log[8192];		/* all lines, each with a newline */
	unsigned log_lines;
};

static inline void rig_log(void *context, enum ft_log_level level, const char *line)
{
	struct rig *rig = context;
	size_t len = strlen(rig->log);

	(void)level;
	snprintf(rig->log + len, sizeof rig->log - len, "%s\n", line);
	rig->log_lines++;
}

static inline void rig_forget_log(struct rig *rig)
{
	ft_logger_drain(rig->config.logger);
	rig->log[0] = '\0';
	rig->log_lines = 0;
}

/* Whether some line has this text in it. */
static inline bool rig_said(struct rig *rig, const char *text)
{
	ft_logger_drain(rig->config.logger);
	return strstr(rig->log, text) != NULL;
}

static inline enum ft_status rig_try_start(struct rig *rig)
{
	rig->config.logger = ft_logger_new(rig_log, rig);
	ck_assert_ptr_nonnull(rig->config.logger);
	return rig->ops->open(&rig->config, &rig->store);
}

static inline void rig_start(struct rig *rig)
{
	enum ft_status st = rig_try_start(rig);

	ck_assert_msg(st == FT_OK, "open: %s\n%s", ft_status_word(st), rig->log);
}

static inline void rig_stop(struct rig *rig)
{
	if (rig->store)
		rig->ops->close(&rig->store);
	ck_assert_ptr_null(rig->store);
	ft_logger_free(rig->config.logger);
	rig->config.logger = NULL;
}

/* A directory and no store yet. */
static inline void rig_prepare(struct rig *rig, const char *backend, enum ft_durability durability)
{
	*rig = (struct rig){ .ops = ft_store_backend(backend) };
	ck_assert_ptr_nonnull(rig->ops);
	ck_assert(tree_make(rig->dir, sizeof rig->dir, "ft-store"));
	rig->config = (struct ft_store_config){ .dir = rig->dir, .durability = durability };
	if (strcmp(backend, "s3") == 0) {
		snprintf(rig->url, sizeof rig->url, "%s%s", getenv(RIG_S3_URL), strrchr(rig->dir, '/'));
		rig->s3 = (struct ft_s3_settings){
			.url = rig->url, .region = getenv("AWS_REGION"),
			.part_size = 5 * 1024 * 1024, .connections = 4,
		};
		rig->config.s3 = &rig->s3;
	}
}

static inline void rig_open(struct rig *rig, const char *backend, enum ft_durability durability)
{
	rig_prepare(rig, backend, durability);
	rig_start(rig);
}

/* The name of the backend whose turn it is, or NULL; s3 is the last one, and needs a server. */
static inline const char *rig_backend(int i)
{
	const struct ft_store_ops *const *all = ft_store_backends();

	if (getenv(RIG_S3_URL))
		return i == 0 ? "s3" : NULL;
	return all[i] && strcmp(all[i]->name, "s3") != 0 ? all[i]->name : NULL;
}

/* The same of that one: see RIG_SUITE_OF_ALL_BACKENDS. */
static inline void rig_open_any(struct rig *rig, int i)
{
	rig_open(rig, rig_backend(i), FT_DURABILITY_FILE);
}

static inline void rig_open_fs(struct rig *rig)
{
	rig_open(rig, "fs", FT_DURABILITY_FILE);
}

/* The process ends and another one begins; no handle may be out. */
static inline void rig_restart(struct rig *rig)
{
	rig_stop(rig);
	rig_start(rig);
}

static inline void rig_close(struct rig *rig)
{
	rig_stop(rig);
	tree_remove(rig->dir);
}

static inline struct ft_key rig_key(const char *owner, const char *file)
{
	return (struct ft_key){ owner, strlen(owner), file, strlen(file) };
}

/* --- unfinished transfers: short forms that must succeed --- */

static inline struct ft_upload *rig_upload(struct rig *rig, const struct ft_key *key,
					   enum ft_upload_mode mode)
{
	struct ft_upload *upload = NULL;
	enum ft_status st = rig->ops->upload_open(rig->store, key, mode, &upload);

	ck_assert_msg(st == FT_OK, "upload_open: %s\n%s", ft_status_word(st), rig->log);
	ck_assert_ptr_nonnull(upload);
	ck_assert_ptr_eq(upload->store, rig->store);
	return upload;
}

static inline struct ft_upload *rig_create(struct rig *rig, const struct ft_key *key)
{
	return rig_upload(rig, key, FT_UPLOAD_CREATE);
}

static inline struct ft_upload *rig_existing(struct rig *rig, const struct ft_key *key)
{
	return rig_upload(rig, key, FT_UPLOAD_EXISTING);
}

static inline enum ft_status rig_try_existing(struct rig *rig, const struct ft_key *key)
{
	struct ft_upload *upload = NULL;
	enum ft_status st = rig->ops->upload_open(rig->store, key, FT_UPLOAD_EXISTING, &upload);

	ck_assert((st == FT_OK) == (upload != NULL));
	rig->ops->upload_close(&upload);
	return st;
}

static inline void rig_write(struct rig *rig, struct ft_upload *upload, uint64_t offset,
			     const char *text)
{
	ck_assert_int_eq(rig->ops->write(upload, offset, text, strlen(text)), FT_OK);
}

/* A closed upload with this text in it. */
static inline void rig_begin(struct rig *rig, const struct ft_key *key, const char *text)
{
	struct ft_upload *upload = rig_create(rig, key);

	rig_write(rig, upload, 0, text);
	rig->ops->upload_close(&upload);
	ck_assert_ptr_null(upload);
}

/* The bytes of an upload are these. */
static inline void rig_expect(struct rig *rig, struct ft_upload *upload, uint64_t offset,
			      const char *bytes, size_t len)
{
	char *got = malloc(len);

	ck_assert_int_eq(rig->ops->read(upload, offset, got, len), FT_OK);
	ck_assert(memcmp(got, bytes, len) == 0);
	free(got);
}

/* --- publishing --- */

/* A manifest that has the transfer's id in it. Static storage, for a few at a time. */
static inline const char *rig_manifest(const char *transfer_id)
{
	static char text[8][200];
	static unsigned next;
	char *room = text[next++ % 8];

	snprintf(room, sizeof text[0], "{\"transfer_id\":\"%s\"}", transfer_id);
	return room;
}

/* What is to be published; `text` NULL: the upload's bytes. */
static inline struct ft_publication rig_publication(const struct ft_key *key, const char *name,
						    const char *id, const char *text,
						    struct ft_upload *upload, uint64_t size)
{
	const char *manifest = rig_manifest(id);

	return (struct ft_publication){
		.key = *key,
		.upload = upload,
		.bytes = text,
		.mode = FT_PUBLISH_KEEP,
		.name = name,
		.size = size,
		.manifest = manifest,
		.manifest_len = strlen(manifest),
		.transfer_id = id,
		.status = FT_INTERNAL_ERROR,
	};
}

static inline enum ft_status rig_publish(struct rig *rig, struct ft_publication *publication)
{
	rig->ops->publish(rig->store, publication, 1);
	ck_assert_ptr_null(publication->upload);
	return publication->status;
}

/* One file from memory. */
static inline enum ft_status rig_publish_text(struct rig *rig, const struct ft_key *key,
					      const char *name, const char *id, const char *text)
{
	struct ft_publication what = rig_publication(key, name, id, text, NULL, strlen(text));

	return rig_publish(rig, &what);
}

/* The same over what is finished under the key. */
static inline enum ft_status rig_replace_text(struct rig *rig, const struct ft_key *key,
					      const char *name, const char *id, const char *text)
{
	struct ft_publication what = rig_publication(key, name, id, text, NULL, strlen(text));

	what.mode = FT_PUBLISH_REPLACE;
	return rig_publish(rig, &what);
}

/* What has been uploaded under the key. */
static inline enum ft_status rig_publish_upload(struct rig *rig, const struct ft_key *key,
						const char *name, const char *id, uint64_t size)
{
	struct ft_publication what = rig_publication(key, name, id, NULL, rig_existing(rig, key),
						     size);

	return rig_publish(rig, &what);
}

/* The finished file is there with these bytes. */
static inline void rig_expect_finished(struct rig *rig, const struct ft_key *key, const char *name,
				       const char *text)
{
	char got[256];
	size_t len = strlen(text);

	ck_assert_uint_le(len, sizeof got);
	ck_assert_int_eq(rig->ops->find(rig->store, key, name), FT_OK);
	if (len == 0)
		return;
	ck_assert_int_eq(rig->ops->read_finished(rig->store, key, name, 0, got, len), FT_OK);
	ck_assert(memcmp(got, text, len) == 0);
}

static inline enum ft_status rig_remove(struct rig *rig, const struct ft_key *key, const char *name)
{
	struct ft_removal removal = { .key = *key, .name = name, .status = FT_INTERNAL_ERROR };

	rig->ops->remove_finished(rig->store, &removal, 1);
	return removal.status;
}

/* --- lists --- */

struct rig_list {
	unsigned count;
	unsigned limit;		/* ends the walk; 0: none */
	char names[2048];	/* "name:size:manifest\n" each */
};

static inline bool rig_list_visit(void *context, const struct ft_store_found *found)
{
	struct rig_list *list = context;
	size_t len = strlen(list->names);

	if (!found->manifest)
		return true;
	snprintf(list->names + len, sizeof list->names - len, "%s:%lld:%.*s\n", found->name,
		 (long long)found->size, (int)found->manifest_len, found->manifest);
	list->count++;
	return list->count != list->limit;
}

static inline struct rig_list rig_list(struct rig *rig, unsigned limit)
{
	struct rig_list list = { .limit = limit };

	ck_assert_int_eq(rig->ops->list_finished(rig->store, rig_list_visit, &list), FT_OK);
	return list;
}

/* --- paths, for fs --- */

__attribute__((format(printf, 2, 3)))
static inline const char *rig_path(const struct rig *rig, const char *format, ...)
{
	static char paths[4][RIG_PATH_ROOM];
	static unsigned next;
	char *path = paths[next++ % 4];
	size_t len = (size_t)snprintf(path, RIG_PATH_ROOM, "%s/", rig->dir);
	va_list args;

	va_start(args, format);
	vsnprintf(path + len, RIG_PATH_ROOM - len, format, args);
	va_end(args);
	return path;
}

static inline bool rig_exists(const char *path)
{
	struct stat info;

	return lstat(path, &info) == 0;
}

static inline void rig_write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	ck_assert_int_ne(fputs(text, file), EOF);
	fclose(file);
}

static inline void rig_expect_file(const char *path, const char *text)
{
	char got[1024];
	FILE *file = fopen(path, "r");
	size_t len;

	ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
	len = fread(got, 1, sizeof got - 1, file);
	got[len] = '\0';
	fclose(file);
	ck_assert_str_eq(got, text);
}

/* --- suites --- */

/* Runs each test once per backend; see rig_backend(). */
#define RIG_SUITE_OF_ALL_BACKENDS(title, ...) \
	int main(void) \
	{ \
		struct ft_suite suite = { .name = title, FT_TESTS(__VA_ARGS__) }; \
		while (rig_backend(suite.times)) \
			suite.times++; \
		return ft_suite_run(&suite); \
	} \
	struct ft_suite_ends_with_semicolon

#endif
