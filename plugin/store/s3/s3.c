/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The s3 backend's table, its life, and what is local: unfinished bytes, by the backend fs. */
#include "store/backends.h"

#ifdef FT_S3
#include "store/s3/s3.h"

#include <assert.h>

#include "base/sys.h"

#define S3_NOTES "s3"

/* --- life --- */

static enum ft_status s3_refuse(struct s3 *s3, const char *why)
{
	ft_logger_printf(s3->logger, FT_LOG_ERROR, "plugin_opt_store s3: %s", why);
	return FT_IO_ERROR;
}

static enum ft_status s3_open_notes(struct s3 *s3, const char *dir)
{
	char room[FT_ERROR_ROOM], why[4096];
	int root = ft_sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	if (root >= 0) {
		(void)(ft_sys_mkdirat(root, S3_NOTES, 0750) != 0);
		s3->notes = ft_sys_openat(root, S3_NOTES, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
	}
	ft_sys_close(root);
	if (s3->notes >= 0)
		return FT_OK;
	snprintf(why, sizeof why, "%.3000s/" S3_NOTES " cannot be made or opened: %s", dir,
		 ft_error_text(errno, room));
	return s3_refuse(s3, why);
}

static enum ft_status s3_set_up(struct s3 *s3, const struct ft_store_config *config)
{
	const char *region = s3->settings->region ? s3->settings->region : "us-east-1";
	char room[1024];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	struct s3_credentials credentials;
	enum ft_status st;

	if (!s3_curl_load(&why))
		return s3_refuse(s3, room);
	if (!s3_address_parse(&s3->address, s3->settings, &why)) {
		ft_logger_printf(s3->logger, FT_LOG_ERROR, "%s", room);
		return FT_IO_ERROR;
	}
	if (strlen(region) > 100 || strpbrk(region, ": \t"))
		return s3_refuse(s3, "s3_region is no name of a region");
	snprintf(s3->region, sizeof s3->region, "%s", region);
	snprintf(s3->signer, sizeof s3->signer, "aws:amz:%s:s3", region);
	s3->keyring.path = s3->settings->credentials_file;
	s3->keyring.profile = s3->settings->profile ? s3->settings->profile : "default";
	if (!s3_keyring_get(&s3->keyring, &credentials, &why))
		return s3_refuse(s3, room);
	explicit_bzero(&credentials, sizeof credentials);
	if (s3->settings->ca_file && access(s3->settings->ca_file, R_OK) != 0)
		return s3_refuse(s3, "s3_ca_file cannot be read");
	if ((st = ft_store_fs.open(config, &s3->local)) != FT_OK
	    || (st = s3_open_notes(s3, config->dir)) != FT_OK)
		return st;
	return s3_pool_start(s3);
}

static void s3_interrupt(struct ft_store *store)
{
	struct s3 *s3 = s3_of(store);

	pthread_mutex_lock(&s3->lock);
	atomic_store(&s3->interrupted, true);
	pthread_cond_broadcast(&s3->changed);
	pthread_mutex_unlock(&s3->lock);
}

/* Multipart uploads of what is unfinished stay noted: the next start takes them back. */
static void s3_release_transfers(struct s3 *s3)
{
	for (size_t i = 0; i < S3_BUCKETS; i++) {
		struct ft_link *link;

		while ((link = ft_list_first(&s3->transfers[i])) != NULL) {
			struct s3_transfer *t = FT_CONTAINER(link, struct s3_transfer, link);

			t->users++;
			t->upload_id[0] = '\0';
			s3_transfer_end(s3, t);
			s3_transfer_leave(s3, &t);
		}
	}
}

static void s3_close(struct ft_store **store)
{
	struct s3 *s3 = s3_of(*store);

	*store = NULL;
	if (!s3)
		return;
	s3_pool_stop(s3);
	s3_release_transfers(s3);
	while (s3->idle_count > 0)
		s3_curl.easy_cleanup(s3->idle[--s3->idle_count]);
	if (s3->local)
		ft_store_fs.close(&s3->local);
	ft_sys_close(s3->notes);
	pthread_mutex_destroy(&s3->keyring.lock);
	pthread_mutex_destroy(&s3->lock);
	pthread_cond_destroy(&s3->changed);
	explicit_bzero(&s3->keyring, sizeof s3->keyring);
	free(s3);
}

static bool s3_init_lock(struct s3 *s3)
{
	pthread_condattr_t attributes;
	bool good;

	if (pthread_condattr_init(&attributes) != 0)
		return false;
	good = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0
	       && pthread_cond_init(&s3->changed, &attributes) == 0;
	pthread_condattr_destroy(&attributes);
	if (!good)
		return false;
	pthread_mutex_init(&s3->lock, NULL);
	pthread_mutex_init(&s3->keyring.lock, NULL);
	return true;
}

static enum ft_status s3_open(const struct ft_store_config *config, struct ft_store **out)
{
	struct s3 *s3 = calloc(1, sizeof *s3);
	enum ft_status st;

	*out = NULL;
	if (!s3 || !s3_init_lock(s3)) {
		free(s3);
		return FT_NO_MEMORY;
	}
	s3->base.ops = &ft_store_s3;
	s3->notes = -1;
	s3->settings = config->s3;
	s3->logger = config->logger;
	ft_list_init(&s3->tasks);
	ft_list_init(&s3->behind);
	for (size_t i = 0; i < S3_BUCKETS; i++)
		ft_list_init(&s3->transfers[i]);
	*out = &s3->base;
	if ((st = s3_set_up(s3, config)) != FT_OK)
		s3_close(out);
	return st;
}

static enum ft_status s3_sweep(struct ft_store *store, ft_store_is_known *is_known, void *context)
{
	struct s3 *s3 = s3_of(store);

	s3_parts_sweep(s3);
	return ft_store_fs.sweep(s3->local, is_known, context);
}

/* --- uploads --- */

static void s3_upload_close(struct ft_upload **upload)
{
	struct s3_upload *up = s3_upload_of(*upload);

	*upload = NULL;
	if (!up)
		return;
	ft_store_fs.upload_close(&up->local);
	s3_source_free(&up->source);
	s3_transfer_leave(s3_of(up->base.store), &up->transfer);
	free(up);
}

static enum ft_status s3_upload_open(struct ft_store *store, const struct ft_key *key,
				     enum ft_upload_mode mode, struct ft_upload **out)
{
	struct s3 *s3 = s3_of(store);
	struct s3_upload *up = calloc(1, sizeof *up);
	enum ft_status st;

	*out = NULL;
	if (!up)
		return FT_NO_MEMORY;
	up->base.store = store;
	st = ft_store_fs.upload_open(s3->local, key, mode, &up->local);
	if (st == FT_OK && !(up->transfer = s3_transfer_use(s3, key)))
		st = FT_NO_MEMORY;
	*out = &up->base;
	if (st != FT_OK)
		s3_upload_close(out);
	return st;
}

/* Of a finished object, which S3 copies when it is published: see copy.c. */
static enum ft_status s3_upload_link(struct ft_store *store, const struct ft_key *from, const char *from_name,
				     const struct ft_key *key, struct ft_upload **out)
{
	struct s3 *s3 = s3_of(store);
	struct s3_upload *up;
	enum ft_status st;

	(void)key;
	*out = NULL;
	/* What is kept here, too, would have to be fetched. */
	if (s3->settings->keep_local || atomic_load(&s3->no_copy) || !s3_weather_may_read(s3))
		return FT_NO_SUCH_TRANSFER;
	if (!(up = calloc(1, sizeof *up)))
		return FT_NO_MEMORY;
	up->base.store = store;
	*out = &up->base;
	if ((st = s3_source_open(s3, from, from_name, &up->source)) != FT_OK)
		s3_upload_close(out);
	return st;
}

static enum ft_status s3_write(struct ft_upload *upload, uint64_t offset, const void *bytes, size_t len)
{
	struct s3_upload *up = s3_upload_of(upload);
	enum ft_status st;

	assert(!up->source);
	st = ft_store_fs.write(up->local, offset, bytes, len);
	/* After an error, too: some may have changed. */
	s3_parts_written(s3_of(upload->store), up->transfer, offset, len);
	return st;
}

static enum ft_status s3_read(struct ft_upload *upload, uint64_t offset, void *buffer, size_t len)
{
	struct s3_upload *up = s3_upload_of(upload);

	if (up->source)
		return s3_source_read(s3_of(upload->store), up->source, offset, buffer, len);
	return ft_store_fs.read(up->local, offset, buffer, len);
}

static enum ft_status s3_discard(struct ft_upload *upload)
{
	struct s3_upload *up = s3_upload_of(upload);
	enum ft_status st;

	if (up->source)		/* nothing of it is there yet */
		return FT_OK;
	if ((st = ft_store_fs.discard(up->local)) == FT_OK)
		s3_transfer_end(s3_of(upload->store), up->transfer);
	return st;
}

static enum ft_status s3_sync(struct ft_upload *upload)
{
	struct s3_upload *up = s3_upload_of(upload);

	return up->source ? FT_OK : ft_store_fs.sync(up->local);
}

static enum ft_status s3_local_path(struct ft_upload *upload, uint64_t size, char *path, size_t room)
{
	struct s3_upload *up = s3_upload_of(upload);

	if (up->source)		/* no program here can read it: the client sends its own */
		return FT_NO_SUCH_TRANSFER;
	return ft_store_fs.local_path(up->local, size, path, room);
}

static void s3_upload_expect(struct ft_upload *upload, const char *name, const char *transfer_id)
{
	struct s3_upload *up = s3_upload_of(upload);
	struct s3 *s3 = s3_of(upload->store);
	struct s3_transfer *t = up->transfer;

	if (!t)
		return;
	pthread_mutex_lock(&s3->lock);
	if (!t->object[0]) {
		const struct ft_key key = { t->ids, t->owner_len, t->ids + t->owner_len, t->file_len };

		s3_address_key(&s3->address, &key, name, t->object);
		snprintf(t->transfer_id, sizeof t->transfer_id, "%s", transfer_id);
	}
	pthread_mutex_unlock(&s3->lock);
}

/* --- small things --- */

static enum ft_status s3_space(struct ft_store *store, struct ft_space *space)
{
	return ft_store_fs.space(s3_of(store)->local, space);
}

static enum ft_status s3_check_name(const struct ft_store *store, const char *name)
{
	return ft_store_fs.check_name(((const struct s3 *)store)->local, name);
}

/* Only what stays here can be linked here. */
static enum ft_status s3_link_finished(struct ft_store *store, const struct ft_key *key, const char *name,
				       int dir, const char *to)
{
	struct s3 *s3 = s3_of(store);

	return s3->settings->keep_local ? ft_store_fs.link_finished(s3->local, key, name, dir, to)
					: FT_NAME_REFUSED;
}

static enum ft_status s3_announce(struct ft_store *store, const struct ft_notice *notices, size_t count)
{
	return ft_store_fs.announce(s3_of(store)->local, notices, count);
}

const struct ft_store_ops ft_store_s3 = {
	.name = "s3",
	.open = s3_open,
	.close = s3_close,
	.upload_open = s3_upload_open,
	.upload_close = s3_upload_close,
	.write = s3_write,
	.read = s3_read,
	.discard = s3_discard,
	.publish = s3_publish,
	.find = s3_find,
	.read_finished = s3_read_finished,
	.remove_finished = s3_remove_finished,
	.list_finished = s3_list_finished,
	.sync = s3_sync,
	.sweep = s3_sweep,
	.upload_expect = s3_upload_expect,
	.upload_link = s3_upload_link,
	.interrupt = s3_interrupt,
	.space = s3_space,
	.check_name = s3_check_name,
	.local_path = s3_local_path,
	.url = s3_url,
	.announce = s3_announce,
	.link_finished = s3_link_finished,
};
#else
/* Without libcurl's header nothing of it is here, but for the line that says so. */
static enum ft_status s3_open_nothing(const struct ft_store_config *config, struct ft_store **out)
{
	*out = NULL;
	ft_logger_printf(config->logger, FT_LOG_ERROR, "plugin_opt_store s3: is not built in: make the plugin "
			 "where libcurl's header is (Debian: libcurl4-openssl-dev)");
	return FT_IO_ERROR;
}

const struct ft_store_ops ft_store_s3 = { .name = "s3", .open = s3_open_nothing };
#endif
