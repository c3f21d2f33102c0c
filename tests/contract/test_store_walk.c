/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What store.h promises of keys, of the walk, and of threads, for every backend. */
#include "store_rig.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

/* --- keys, enumerate --- */

#define KEYS 14

/* Ids that look like each other, like paths, like nothing, or are too long for a name. */
static size_t hostile_keys(struct ft_key keys[KEYS], char *longest, size_t longest_len)
{
	static char file_255[256];
	const struct ft_key given[] = {
		rig_key("c", "f"),
		rig_key("c", "F"),
		rig_key("c%", "f"),
		rig_key("", "f"),
		rig_key("..", ".."),
		rig_key("../..", "."),
		rig_key("/etc/passwd", "a"),
		rig_key("\xc3\xa4", "\xf0\x9f\x93\xa6"),
		rig_key("\xff\xfe", "f"),
		rig_key("c", "\xc3"),
		rig_key("cf", "x"),
		rig_key("a\nb", "\"}"),
	};
	size_t count = sizeof given / sizeof *given;

	memcpy(keys, given, sizeof given);
	memset(file_255, '/', 255);
	keys[count++] = rig_key("c", file_255);
	for (size_t i = 0; i < longest_len; i++)
		longest[i] = "/.."[i % 3];
	keys[count++] = (struct ft_key){longest, longest_len, "f", 1};
	ck_assert_uint_eq(count, KEYS);
	return count;
}

static char *long_id(void)
{
	return malloc(60000);
}

START_TEST(test_store__keeps_hostile_ids_apart)
{
	struct ft_key keys[KEYS];
	char *longest = long_id();
	size_t count = hostile_keys(keys, longest, 60000);
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	for (size_t i = 0; i < count; i++) {
		upload = rig_create(&rig, &keys[i]);
		(void)rig_put(&rig, upload, i, "x", 1);
		rig.ops->release(&upload);
	}
	for (size_t i = 0; i < count; i++) {
		upload = rig_load(&rig, &keys[i]);
		ck_assert(ft_ranges_cover(&upload->held, i, i + 1));
		ck_assert_uint_eq(upload->held.bytes, 1);
		rig.ops->release(&upload);
	}
	free(longest);
	rig_close(&rig);
}
END_TEST

struct visits {
	const struct ft_key *keys;
	size_t count;
	unsigned seen[KEYS];
	unsigned unknown;
	bool go_on;
};

static bool count_visit(void *context, const struct ft_found *found)
{
	struct visits *visits = context;
	size_t i;

	for (i = 0; i < visits->count; i++) {
		const struct ft_key *key = &visits->keys[i];

		if (key->client_len == found->key.client_len &&
		    key->file_len == found->key.file_len &&
		    !memcmp(key->client, found->key.client, key->client_len) &&
		    !memcmp(key->file, found->key.file, key->file_len))
			break;
	}
	if (i == visits->count) {
		visits->unknown++;
	} else {
		char *manifest = rig_manifest(&visits->keys[i], "begun");

		visits->seen[i]++;
		ck_assert_uint_eq(found->manifest_len, strlen(manifest));
		ck_assert(memcmp(found->manifest, manifest, found->manifest_len) == 0);
		free(manifest);
	}
	ck_assert_int_ge(found->last_news, ft_clock_unix_ms() / 1000 - 60);
	ck_assert_int_le(found->last_news, ft_clock_unix_ms() / 1000 + 60);
	return visits->go_on;
}

START_TEST(test_store__visits_every_unfinished_transfer_once)
{
	struct ft_key keys[KEYS], finished = rig_key("done", "f");
	char *longest = long_id();
	struct visits visits = {.keys = keys, .go_on = true};
	struct ft_upload *upload;
	struct rig rig;

	visits.count = hostile_keys(keys, longest, 60000);
	rig_open_any(&rig, _i);
	for (size_t i = 0; i < visits.count; i++) {
		upload = rig_create(&rig, &keys[i]);
		(void)rig_put(&rig, upload, 0, "x", 1);
		rig.ops->release(&upload);
	}
	upload = rig_create(&rig, &finished);
	ck_assert_int_eq(rig_publish(&rig, upload, "n", 0), FT_OK);
	rig.ops->release(&upload);
	ck_assert_int_eq(rig.ops->enumerate(rig.store, count_visit, &visits), FT_OK);
	for (size_t i = 0; i < visits.count; i++)
		ck_assert_uint_eq(visits.seen[i], 1);
	ck_assert_uint_eq(visits.unknown, 0);
	free(longest);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__ends_the_walk_when_the_visitor_says_so)
{
	struct ft_key keys[2] = {rig_key("a", "1"), rig_key("b", "2")};
	struct visits visits = {.keys = keys, .count = 2, .go_on = false};
	struct ft_upload *upload;
	struct rig rig;

	rig_open_any(&rig, _i);
	for (size_t i = 0; i < 2; i++) {
		upload = rig_create(&rig, &keys[i]);
		rig.ops->release(&upload);
	}
	ck_assert_int_eq(rig.ops->enumerate(rig.store, count_visit, &visits), FT_OK);
	ck_assert_uint_eq(visits.seen[0] + visits.seen[1], 1);
	rig_close(&rig);
}
END_TEST

START_TEST(test_store__tells_how_much_room_there_is)
{
	struct rig rig;
	uint64_t room = 0;

	rig_open_any(&rig, _i);
	if (rig.ops->space) {
		ck_assert_int_eq(rig.ops->space(rig.store, &room), FT_OK);
		ck_assert_uint_gt(room, 0);
	}
	rig_close(&rig);
}
END_TEST

/* --- threads --- */

#define BLOCK ((size_t)16 * 1024)
#define BLOCKS 200

struct reader {
	struct rig *rig;
	struct ft_work *work;
	atomic_size_t written;	/* blocks */
	bool failed;
};

static void *read_behind(void *context)
{
	struct reader *reader = context;
	char *got = malloc(BLOCK);

	for (size_t at = 0; at < BLOCKS && !reader->failed; at++) {
		while (atomic_load(&reader->written) <= at)
			sched_yield();
		reader->failed = reader->rig->ops->read(reader->work, at * BLOCK, got, BLOCK) != FT_OK
			|| got[0] != (char)('a' + at % 26) || got[BLOCK - 1] != got[0];
	}
	free(got);
	return NULL;
}

START_TEST(test_store__reads_on_a_worker_while_bytes_arrive)
{
	struct ft_key key = rig_key("c", "f");
	char *block = malloc(BLOCK);
	struct reader reader = {.failed = false};
	struct ft_upload *upload;
	pthread_t thread;
	struct rig rig;

	rig_open_any(&rig, _i);
	upload = rig_create(&rig, &key);
	reader.rig = &rig;
	reader.work = rig_work(&rig, upload);
	ck_assert_int_eq(pthread_create(&thread, NULL, read_behind, &reader), 0);
	for (size_t i = 0; i < BLOCKS; i++) {
		memset(block, (int)('a' + i % 26), BLOCK);
		(void)rig_put(&rig, upload, i * BLOCK, block, BLOCK);
		atomic_store(&reader.written, i + 1);
	}
	pthread_join(thread, NULL);
	ck_assert(!reader.failed);
	rig.ops->work_close(&reader.work);
	rig.ops->release(&upload);
	free(block);
	rig_close(&rig);
}
END_TEST

static bool any_visit(void *context, const struct ft_found *found)
{
	(void)found;
	return !atomic_load((atomic_bool *)context);
}

struct walker {
	struct rig *rig;
	atomic_bool stop;
	unsigned failures;
};

static void *walk(void *context)
{
	struct walker *walker = context;

	while (!atomic_load(&walker->stop))
		walker->failures += walker->rig->ops->enumerate(walker->rig->store, any_visit,
								&walker->stop) != FT_OK;
	return NULL;
}

/* A walk must neither fail over nor harm what comes and goes. */
START_TEST(test_store__walks_while_transfers_come_and_go)
{
	struct walker walker = {.failures = 0};
	pthread_t thread;
	struct rig rig;

	rig_open_any(&rig, _i);
	walker.rig = &rig;
	ck_assert_int_eq(pthread_create(&thread, NULL, walk, &walker), 0);
	for (int i = 0; i < 300; i++) {
		struct ft_key key = rig_key("c", i % 2 ? "odd" : "even");
		struct ft_upload *upload = rig_create(&rig, &key);
		struct ft_trash *trash = NULL;

		rig_put_text(&rig, upload, 0, "bytes");
		rig.ops->release(&upload);
		upload = rig_load(&rig, &key);
		ck_assert_str_eq(rig_held(upload), "0-5");
		ck_assert_int_eq(rig.ops->detach(&upload, &trash), FT_OK);
		ck_assert_int_eq(rig.ops->purge(&trash), FT_OK);
	}
	atomic_store(&walker.stop, true);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(walker.failures, 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "damaged")), 0);
	rig_close(&rig);
}
END_TEST

struct publisher {
	struct rig *rig;
	struct ft_work *work;
	atomic_bool go;
	enum ft_status st;
};

static void *publish(void *context)
{
	struct publisher *publisher = context;

	while (!atomic_load(&publisher->go))
		sched_yield();
	publisher->st = rig_publish_work(publisher->rig, publisher->work, "name", 7);
	return NULL;
}

static void wait_a_little(unsigned turns)
{
	for (volatile unsigned i = 0; i < turns; i++)
		;
}

/* One publish against one detach that comes `turns` later; true when the publish won. */
static bool race(struct rig *rig, const struct ft_key *key, unsigned turns)
{
	struct publisher publisher = {.rig = rig};
	struct ft_upload *upload = rig_create(rig, key);
	struct ft_trash *trash = NULL;
	enum ft_status st;
	pthread_t thread;

	rig_put_text(rig, upload, 0, "content");
	publisher.work = rig_work(rig, upload);
	ck_assert_int_eq(pthread_create(&thread, NULL, publish, &publisher), 0);
	atomic_store(&publisher.go, true);
	wait_a_little(turns);
	st = rig->ops->detach(&upload, &trash);
	/* The key is free at once where the detach won, whatever the publish is doing. */
	if (st == FT_OK)
		ck_assert_int_eq(rig_try_find(rig, key), FT_NO_SUCH_TRANSFER);
	pthread_join(thread, NULL);
	rig->ops->work_close(&publisher.work);
	if (st == FT_OK) {
		ck_assert_int_eq(publisher.st, FT_NO_SUCH_TRANSFER);
		ck_assert_int_eq(rig_try_find(rig, key), FT_NO_SUCH_TRANSFER);
		ck_assert_int_eq(rig->ops->purge(&trash), FT_OK);
		return false;
	}
	ck_assert_int_eq(st, FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(publisher.st, FT_OK);
	rig->ops->release(&upload);
	ck_assert_int_eq(rig_try_find(rig, key), FT_OK);
	return true;
}

START_TEST(test_store__either_publishes_or_detaches)
{
	struct walker walker = {.failures = 0};
	unsigned published = 0;
	pthread_t thread;
	struct rig rig;
	char id[16];

	rig_open(&rig, ft_store_backends()[_i]->name, FT_DURABILITY_NONE);
	walker.rig = &rig;
	ck_assert_int_eq(pthread_create(&thread, NULL, walk, &walker), 0);
	for (unsigned i = 0; i < 400; i++) {
		struct ft_key key = {"c", 1, id, (size_t)snprintf(id, sizeof id, "%u", i)};

		published += race(&rig, &key, i * i * 2);
	}
	atomic_store(&walker.stop, true);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(walker.failures, 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "damaged")), 0);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "files/c")),
			  strcmp(rig.ops->name, "fs") ? 0 : published);
	rig_close(&rig);
}
END_TEST

RIG_SUITE_OF_ALL_BACKENDS("store",
	 test_store__keeps_hostile_ids_apart,
	 test_store__visits_every_unfinished_transfer_once,
	 test_store__ends_the_walk_when_the_visitor_says_so,
	 test_store__tells_how_much_room_there_is,
	 test_store__reads_on_a_worker_while_bytes_arrive,
	 test_store__walks_while_transfers_come_and_go,
	 test_store__either_publishes_or_detaches);
