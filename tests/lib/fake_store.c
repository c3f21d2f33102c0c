/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "fake_store.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FAKE_KEYS_MAX 256	/* that are in use at a time */
#define FAKE_DEADLINE_S 60

struct fake_upload {
	struct ft_upload base;
	struct ft_upload *inner;
	char key[512];
};

struct fake_plan {
	enum ft_status status;
	size_t failures;	/* still to come */
	bool hangs;
	bool dies;		/* the process, behind the call */
	size_t hanging;		/* threads */
	size_t calls;
};

struct fake_use {
	char key[512];		/* empty: free */
	pthread_t thread;
	size_t depth;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static const struct ft_store_ops *behind;
static struct ft_store *inner_store;
static struct fake_plan plans[FAKE_OPS];
static uint64_t bad_offset = UINT64_MAX;
static enum ft_status bad_offset_status;
static bool publish_loses, publish_puts_off;
static bool watching;
static pthread_t watched;
static struct fake_use uses[FAKE_KEYS_MAX];
static char broken[256];	/* the first rule that was broken; empty: none */

static const char *const names[FAKE_OPS] = {
	[FAKE_UPLOAD_OPEN] = "upload_open", [FAKE_UPLOAD_CLOSE] = "upload_close",
	[FAKE_WRITE] = "write", [FAKE_READ] = "read", [FAKE_DISCARD] = "discard",
	[FAKE_PUBLISH] = "publish", [FAKE_FIND] = "find", [FAKE_READ_FINISHED] = "read_finished",
	[FAKE_SYNC] = "sync", [FAKE_SPACE] = "space", [FAKE_ANNOUNCE] = "announce",
	[FAKE_REMOVE_FINISHED] = "remove_finished",
};

/* --- the test's side --- */

void fake_reset(const char *backend)
{
	pthread_mutex_lock(&mutex);
	behind = ft_store_backend(backend);
	memset(plans, 0, sizeof plans);
	memset(uses, 0, sizeof uses);
	publish_loses = publish_puts_off = watching = false;
	bad_offset = UINT64_MAX;
	broken[0] = '\0';
	pthread_mutex_unlock(&mutex);
}

void fake_fail(enum fake_op op, enum ft_status st, size_t count)
{
	pthread_mutex_lock(&mutex);
	plans[op].status = st;
	plans[op].failures = count;
	pthread_mutex_unlock(&mutex);
}

void fake_die_behind(enum fake_op op)
{
	pthread_mutex_lock(&mutex);
	plans[op].dies = true;
	pthread_mutex_unlock(&mutex);
}

void fake_fail_write_at(uint64_t offset, enum ft_status st)
{
	pthread_mutex_lock(&mutex);
	bad_offset = offset;
	bad_offset_status = st;
	pthread_mutex_unlock(&mutex);
}

void fake_lose_bytes(void)
{
	pthread_mutex_lock(&mutex);
	publish_loses = true;
	pthread_mutex_unlock(&mutex);
}

void fake_put_off(void)
{
	pthread_mutex_lock(&mutex);
	publish_puts_off = true;
	pthread_mutex_unlock(&mutex);
}

void fake_hang(enum fake_op op)
{
	pthread_mutex_lock(&mutex);
	plans[op].hangs = true;
	pthread_mutex_unlock(&mutex);
}

void fake_await_hanging(enum fake_op op)
{
	struct timespec deadline;
	int error = 0;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += FAKE_DEADLINE_S;
	pthread_mutex_lock(&mutex);
	while (plans[op].hanging == 0 && error == 0)
		error = pthread_cond_timedwait(&changed, &mutex, &deadline);
	pthread_mutex_unlock(&mutex);
	ck_assert_msg(error == 0, "nobody calls %s", names[op]);
}

void fake_go_on_with(enum fake_op op)
{
	pthread_mutex_lock(&mutex);
	plans[op].hangs = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

void fake_go_on(void)
{
	pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < FAKE_OPS; i++)
		plans[i].hangs = false;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&mutex);
}

size_t fake_calls(enum fake_op op)
{
	size_t calls;

	pthread_mutex_lock(&mutex);
	calls = plans[op].calls;
	pthread_mutex_unlock(&mutex);
	return calls;
}

void fake_watch_this_thread(void)
{
	pthread_mutex_lock(&mutex);
	watching = true;
	watched = pthread_self();
	pthread_mutex_unlock(&mutex);
}

void fake_unwatch(void)
{
	pthread_mutex_lock(&mutex);
	watching = false;
	pthread_mutex_unlock(&mutex);
}

void fake_check(void)
{
	pthread_mutex_lock(&mutex);
	ck_assert_msg(broken[0] == '\0', "%s", broken);
	pthread_mutex_unlock(&mutex);
}

/* --- the engine's side --- */

static void fake_blame(const char *op, const char *what)
{
	if (broken[0] == '\0')
		snprintf(broken, sizeof broken, "%s() %s", op, what);
}

static void fake_name_key(char name[512], const struct ft_key *key)
{
	size_t len = 0;

	name[len++] = '=';
	for (size_t i = 0; i < key->owner_len && len < 250; i++)
		name[len++] = key->owner[i] ? key->owner[i] : '?';
	name[len++] = '/';
	for (size_t i = 0; i < key->file_len && len < 510; i++)
		name[len++] = key->file[i] ? key->file[i] : '?';
	name[len] = '\0';
}

/* The mutex is held. A key that nobody uses takes the first free place. */
static struct fake_use *fake_find_use(const char *key)
{
	struct fake_use *free_use = NULL;

	for (size_t i = 0; i < FAKE_KEYS_MAX; i++) {
		if (strcmp(uses[i].key, key) == 0)
			return &uses[i];
		if (!free_use && uses[i].depth == 0)
			free_use = &uses[i];
	}
	if (!free_use)
		abort();
	snprintf(free_use->key, sizeof free_use->key, "%s", key);
	return free_use;
}

static void fake_begin_use(enum fake_op op, const char *key)
{
	struct fake_use *use;

	pthread_mutex_lock(&mutex);
	use = fake_find_use(key);
	if (use->depth > 0 && !pthread_equal(use->thread, pthread_self()))
		fake_blame(names[op], "while another thread has the transfer");
	use->thread = pthread_self();
	use->depth++;
	pthread_mutex_unlock(&mutex);
}

static void fake_end_use(const char *key)
{
	struct fake_use *use;

	pthread_mutex_lock(&mutex);
	use = fake_find_use(key);
	use->depth--;
	if (use->depth == 0)
		use->key[0] = '\0';
	pthread_mutex_unlock(&mutex);
}

/* What is to become of a call: it may wait, be counted, fail. */
static enum ft_status fake_enter(enum fake_op op)
{
	struct fake_plan *plan = &plans[op];
	enum ft_status st = FT_OK;

	pthread_mutex_lock(&mutex);
	plan->calls++;
	if (watching && pthread_equal(watched, pthread_self()))
		fake_blame(names[op], "by the broker's thread");
	plan->hanging++;
	while (plan->hangs) {
		pthread_cond_broadcast(&changed);
		pthread_cond_wait(&changed, &mutex);
	}
	plan->hanging--;
	if (plan->failures > 0) {
		st = plan->status;
		if (plan->failures != FAKE_ALWAYS)
			plan->failures--;
	}
	pthread_mutex_unlock(&mutex);
	return st;
}

static enum ft_status fake_open(const struct ft_store_config *config, struct ft_store **out)
{
	enum ft_status st = behind->open(config, &inner_store);
	struct ft_store *store = st == FT_OK ? calloc(1, sizeof *store) : NULL;

	if (st != FT_OK)
		return st;
	store->ops = &fake_store;
	*out = store;
	return FT_OK;
}

static void fake_close(struct ft_store **store)
{
	if (!*store)
		return;
	behind->close(&inner_store);
	free(*store);
	*store = NULL;
}

static enum ft_status fake_upload_open(struct ft_store *store, const struct ft_key *key,
				       enum ft_upload_mode mode, struct ft_upload **out)
{
	struct fake_upload *upload;
	enum ft_status st = fake_enter(FAKE_UPLOAD_OPEN);

	if (st != FT_OK)
		return st;
	upload = calloc(1, sizeof *upload);
	upload->base.store = store;
	fake_name_key(upload->key, key);
	st = behind->upload_open(inner_store, key, mode, &upload->inner);
	if (st == FT_OK)
		*out = &upload->base;
	else
		free(upload);
	return st;
}

static void fake_upload_close(struct ft_upload **upload)
{
	struct fake_upload *fake = (struct fake_upload *)*upload;

	if (!fake)
		return;
	(void)fake_enter(FAKE_UPLOAD_CLOSE);
	behind->upload_close(&fake->inner);
	free(fake);
	*upload = NULL;
}

static enum ft_status fake_write(struct ft_upload *upload, uint64_t offset, const void *bytes,
				 size_t len)
{
	struct fake_upload *fake = (struct fake_upload *)upload;
	enum ft_status st;

	fake_begin_use(FAKE_WRITE, fake->key);
	st = fake_enter(FAKE_WRITE);
	pthread_mutex_lock(&mutex);
	if (st == FT_OK && offset == bad_offset)
		st = bad_offset_status;
	pthread_mutex_unlock(&mutex);
	if (st == FT_OK)
		st = behind->write(fake->inner, offset, bytes, len);
	fake_end_use(fake->key);
	return st;
}

static enum ft_status fake_read(struct ft_upload *upload, uint64_t offset, void *buffer, size_t len)
{
	struct fake_upload *fake = (struct fake_upload *)upload;
	enum ft_status st;

	fake_begin_use(FAKE_READ, fake->key);
	st = fake_enter(FAKE_READ);
	if (st == FT_OK)
		st = behind->read(fake->inner, offset, buffer, len);
	fake_end_use(fake->key);
	return st;
}

static enum ft_status fake_discard(struct ft_upload *upload)
{
	struct fake_upload *fake = (struct fake_upload *)upload;
	enum ft_status st;

	fake_begin_use(FAKE_DISCARD, fake->key);
	st = fake_enter(FAKE_DISCARD);
	if (st == FT_OK)
		st = behind->discard(fake->inner);
	fake_end_use(fake->key);
	return st;
}

static void fake_publish_all(struct ft_publication *publications, size_t count)
{
	struct ft_publication *inner = calloc(count, sizeof *inner);

	memcpy(inner, publications, count * sizeof *inner);
	for (size_t i = 0; i < count; i++) {
		struct fake_upload *fake = (struct fake_upload *)publications[i].upload;

		inner[i].upload = fake ? fake->inner : NULL;
		free(fake);
		publications[i].upload = NULL;
	}
	behind->publish(inner_store, inner, count);
	for (size_t i = 0; i < count; i++) {
		publications[i].status = inner[i].status;
		publications[i].bytes_lost = inner[i].bytes_lost;
		publications[i].later = inner[i].later;
	}
	free(inner);
}

static void fake_publish(struct ft_store *store, struct ft_publication *publications, size_t count)
{
	char (*keys)[512] = calloc(count, sizeof *keys);
	enum ft_status st;

	(void)store;
	for (size_t i = 0; i < count; i++) {
		fake_name_key(keys[i], &publications[i].key);
		fake_begin_use(FAKE_PUBLISH, keys[i]);
	}
	st = fake_enter(FAKE_PUBLISH);
	if (st == FT_OK) {
		fake_publish_all(publications, count);
	} else {
		for (size_t i = 0; i < count; i++) {
			fake_upload_close(&publications[i].upload);
			publications[i].status = st;
			publications[i].bytes_lost = publish_loses;
			publications[i].later = publish_puts_off;
		}
	}
	if (plans[FAKE_PUBLISH].dies)
		kill(getpid(), SIGKILL);
	for (size_t i = 0; i < count; i++)
		fake_end_use(keys[i]);
	free(keys);
}

static enum ft_status fake_find(struct ft_store *store, const struct ft_key *key, const char *name)
{
	enum ft_status st = fake_enter(FAKE_FIND);

	(void)store;
	return st == FT_OK ? behind->find(inner_store, key, name) : st;
}

static enum ft_status fake_read_finished(struct ft_store *store, const struct ft_key *key,
					 const char *name, uint64_t offset, void *buffer, size_t len)
{
	enum ft_status st = fake_enter(FAKE_READ_FINISHED);

	(void)store;
	return st == FT_OK ? behind->read_finished(inner_store, key, name, offset, buffer, len) : st;
}

static void fake_remove_finished(struct ft_store *store, struct ft_removal *removals, size_t count)
{
	char (*keys)[512] = calloc(count, sizeof *keys);
	enum ft_status st;

	(void)store;
	for (size_t i = 0; i < count; i++) {
		fake_name_key(keys[i], &removals[i].key);
		fake_begin_use(FAKE_REMOVE_FINISHED, keys[i]);
	}
	st = fake_enter(FAKE_REMOVE_FINISHED);
	if (st == FT_OK)
		behind->remove_finished(inner_store, removals, count);
	for (size_t i = 0; i < count; i++) {
		if (st != FT_OK)
			removals[i].status = st;
		fake_end_use(keys[i]);
	}
	if (plans[FAKE_REMOVE_FINISHED].dies && count > 0)
		kill(getpid(), SIGKILL);
	free(keys);
}

static enum ft_status fake_list_finished(struct ft_store *store, ft_store_visit *visit,
					 void *context)
{
	(void)store;
	return behind->list_finished(inner_store, visit, context);
}

static enum ft_status fake_sync(struct ft_upload *upload)
{
	enum ft_status st = fake_enter(FAKE_SYNC);

	return st == FT_OK ? ft_store_sync(((struct fake_upload *)upload)->inner) : st;
}

static enum ft_status fake_sweep(struct ft_store *store, ft_store_is_known *is_known, void *context)
{
	(void)store;
	return ft_store_sweep(inner_store, is_known, context);
}

static enum ft_status fake_space(struct ft_store *store, struct ft_space *space)
{
	enum ft_status st = fake_enter(FAKE_SPACE);

	(void)store;
	return st == FT_OK ? ft_store_space(inner_store, space) : st;
}

static enum ft_status fake_check_name(const struct ft_store *store, const char *name)
{
	(void)store;
	return ft_store_check_name(inner_store, name);
}

static enum ft_status fake_local_path(struct ft_upload *upload, uint64_t size, char *path, size_t room)
{
	return behind->local_path(((struct fake_upload *)upload)->inner, size, path, room);
}

static enum ft_status fake_announce(struct ft_store *store, const struct ft_notice *notices,
				    size_t count)
{
	enum ft_status st = fake_enter(FAKE_ANNOUNCE);

	(void)store;
	if (st == FT_OK)
		st = behind->announce(inner_store, notices, count);
	if (plans[FAKE_ANNOUNCE].dies && count > 0)
		kill(getpid(), SIGKILL);
	return st;
}

const struct ft_store_ops fake_store = {
	.name = "fake",
	.open = fake_open,
	.close = fake_close,
	.upload_open = fake_upload_open,
	.upload_close = fake_upload_close,
	.write = fake_write,
	.read = fake_read,
	.discard = fake_discard,
	.publish = fake_publish,
	.find = fake_find,
	.read_finished = fake_read_finished,
	.remove_finished = fake_remove_finished,
	.list_finished = fake_list_finished,
	.sync = fake_sync,
	.sweep = fake_sweep,
	.space = fake_space,
	.check_name = fake_check_name,
	.local_path = fake_local_path,
	.announce = fake_announce,
};
