/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Every call that a store makes fails, one in each run, with each of its errors; then from
 * one on all. Whatever is said of a publication is so, nothing leaks, and afterwards all
 * works: what failed is done again, and then it is there.
 */
#include "../contract/store_rig.h"
#include "../lib/runs.h"

#define BATCH 5

/* One thing that is done while calls fail. */
struct story {
	const char *name;
	void (*before)(struct rig *rig);
	void (*during)(struct rig *rig);
	void (*after)(struct rig *rig);
};

/* What was said while calls failed. */
static struct {
	enum ft_status status[BATCH];
	struct ft_upload *upload;
	unsigned found;
} said;

static const struct ft_key story_key = { "c", 1, "f", 1 };

static void open_upload(struct rig *rig, struct ft_upload **upload)
{
	*upload = NULL;
	must(rig->ops->upload_open(rig->store, &story_key, FT_UPLOAD_EXISTING, upload) == FT_OK);
}

static bool has_bytes(struct rig *rig, const char *text)
{
	struct ft_upload *upload = NULL;
	char got[64];
	bool same;

	if (rig->ops->upload_open(rig->store, &story_key, FT_UPLOAD_EXISTING, &upload) != FT_OK)
		return false;
	same = rig->ops->read(upload, 0, got, strlen(text)) == FT_OK
	       && memcmp(got, text, strlen(text)) == 0;
	rig->ops->upload_close(&upload);
	return same;
}

static bool has_file(struct rig *rig, const struct ft_key *key, const char *name, const char *text)
{
	char got[64];
	struct rig_list list = rig_list(rig, 0);

	(void)list;
	return rig->ops->read_finished(rig->store, key, name, 0, got, strlen(text)) == FT_OK
	       && memcmp(got, text, strlen(text)) == 0;
}

static bool is_there(struct rig *rig, const struct ft_key *key, const char *name)
{
	return rig->ops->find(rig->store, key, name) == FT_OK;
}

/* Whether the calls that fail may keep the store from taking back what it did. */
static bool may_be_stuck(void)
{
	return calls.plan.persistent;
}

static void nothing(struct rig *rig)
{
	(void)rig;
}

/* --- unfinished transfers --- */

static void write_during(struct rig *rig)
{
	struct ft_upload *upload = NULL;

	said.status[0] = rig->ops->upload_open(rig->store, &story_key, FT_UPLOAD_CREATE, &upload);
	must((said.status[0] == FT_OK) == (upload != NULL));
	if (said.status[0] == FT_OK)
		said.status[0] = rig->ops->write(upload, 0, "hello", 5);
	if (upload && said.status[0] == FT_OK)
		said.status[1] = ft_store_sync(upload);
	rig->ops->upload_close(&upload);
}

static void write_after(struct rig *rig)
{
	must(said.status[0] != FT_NO_SUCH_TRANSFER);
	if (said.status[0] == FT_OK)
		must(has_bytes(rig, "hello"));
	rig_begin(rig, &story_key, "hello");
	must(has_bytes(rig, "hello"));
}

static void begin_hello(struct rig *rig)
{
	rig_begin(rig, &story_key, "hello");
}

static void discard_during(struct rig *rig)
{
	said.status[0] = rig->ops->upload_open(rig->store, &story_key, FT_UPLOAD_EXISTING,
					       &said.upload);
	if (said.status[0] == FT_OK)
		said.status[0] = rig->ops->discard(said.upload);
	rig->ops->upload_close(&said.upload);
}

static void discard_after(struct rig *rig)
{
	must(said.status[0] != FT_NO_SUCH_TRANSFER);
	must(has_bytes(rig, "hello") == (said.status[0] != FT_OK));
}

/* --- publishing --- */

static void text_during(struct rig *rig)
{
	struct ft_publication what = rig_publication(&story_key, "n", "id-1.", "hello", NULL, 5);

	rig->ops->publish(rig->store, &what, 1);
	said.status[0] = what.status;
}

static void text_after(struct rig *rig)
{
	must(said.status[0] != FT_NO_SUCH_TRANSFER && said.status[0] != FT_ALREADY_COMPLETE);
	if (said.status[0] == FT_OK)
		must(has_file(rig, &story_key, "n", "hello"));
	else
		must(!is_there(rig, &story_key, "n") || may_be_stuck());
	text_during(rig);
	must(said.status[0] == FT_OK);
	must(has_file(rig, &story_key, "n", "hello"));
}

static void upload_during(struct rig *rig)
{
	struct ft_publication what = rig_publication(&story_key, "n", "id-1.", NULL, NULL, 5);

	what.upload = said.upload;
	said.upload = NULL;
	rig->ops->publish(rig->store, &what, 1);
	must(what.upload == NULL);
	said.status[0] = what.status;
	said.status[1] = what.bytes_lost ? FT_IO_ERROR : FT_OK;
}

static void upload_before(struct rig *rig)
{
	rig_begin(rig, &story_key, "hello, and more");
	open_upload(rig, &said.upload);
}

static void upload_after(struct rig *rig)
{
	must(said.status[0] != FT_NO_SUCH_TRANSFER && said.status[0] != FT_ALREADY_COMPLETE);
	must(said.status[0] != FT_OK || said.status[1] == FT_OK);
	if (said.status[0] == FT_OK) {
		must(has_file(rig, &story_key, "n", "hello"));
		must(!has_bytes(rig, "hello"));
		return;
	}
	must(!is_there(rig, &story_key, "n") || may_be_stuck());
	if (is_there(rig, &story_key, "n") && !has_bytes(rig, "hello")) {
		must(has_file(rig, &story_key, "n", "hello"));
		return;
	}
	must(has_bytes(rig, "hello"));
	open_upload(rig, &said.upload);
	upload_during(rig);
	must(said.status[0] == FT_OK);
	must(has_file(rig, &story_key, "n", "hello"));
}

/* A consumer's things are there; in memory there is nobody. */
static void foreign_before(struct rig *rig)
{
	mkdir(rig_path(rig, "files/c"), 0750);
	if (mkdir(rig_path(rig, "files/c/f"), 0750) == 0)
		rig_write_file(rig_path(rig, "files/c/f/seen"), "mine");
}

static void foreign_after(struct rig *rig)
{
	text_after(rig);
	if (strcmp(rig->ops->name, "fs") == 0)
		must(rig_exists(rig_path(rig, "files/c/f/seen")));
}

static void foreign_upload_before(struct rig *rig)
{
	foreign_before(rig);
	upload_before(rig);
}

static void former_before(struct rig *rig)
{
	must(rig_publish_text(rig, &story_key, "n", "id-0.", "former") == FT_OK);
}

static void replace_during(struct rig *rig)
{
	struct ft_publication what = rig_publication(&story_key, "n", "id-1.", "newer!", NULL, 6);

	what.mode = FT_PUBLISH_REPLACE;
	rig->ops->publish(rig->store, &what, 1);
	said.status[0] = what.status;
}

static void replace_after(struct rig *rig)
{
	must(said.status[0] != FT_NO_SUCH_TRANSFER && said.status[0] != FT_ALREADY_COMPLETE);
	must(has_file(rig, &story_key, "n", "newer!")
	     || (said.status[0] != FT_OK && has_file(rig, &story_key, "n", "former")));
	replace_during(rig);
	must(said.status[0] == FT_OK && has_file(rig, &story_key, "n", "newer!"));
}

static void rename_during(struct rig *rig)
{
	struct ft_publication what = rig_publication(&story_key, "m", "id-1.", "newer!", NULL, 6);

	what.mode = FT_PUBLISH_REPLACE;
	rig->ops->publish(rig->store, &what, 1);
	said.status[0] = what.status;
}

static void rename_after(struct rig *rig)
{
	if (said.status[0] == FT_OK)
		must(has_file(rig, &story_key, "m", "newer!"));
	else
		must(has_file(rig, &story_key, "n", "former"));
	rename_during(rig);
	must(said.status[0] == FT_OK && has_file(rig, &story_key, "m", "newer!"));
	/* Of the former file its manifest may be left, alone: that is no finished file. */
	must(!has_file(rig, &story_key, "n", "former"));
}

static void keep_after(struct rig *rig)
{
	must(said.status[0] != FT_OK && has_file(rig, &story_key, "n", "former"));
	text_during(rig);
	must(said.status[0] == FT_ALREADY_COMPLETE);
}

static void again_before(struct rig *rig)
{
	must(rig_publish_text(rig, &story_key, "n", "id-1.", "hello") == FT_OK);
}

static void again_after(struct rig *rig)
{
	must(said.status[0] != FT_ALREADY_COMPLETE);
	must(has_file(rig, &story_key, "n", "hello"));
	text_during(rig);
	must(said.status[0] == FT_OK);
}

/* Five at once: the middle one is an upload. */
static const struct ft_key batch_keys[BATCH] = {
	{ "c", 1, "0", 1 }, { "c", 1, "1", 1 }, { "c", 1, "f", 1 }, { "d", 1, "3", 1 }, { "e", 1, "4", 1 },
};

static void batch_during(struct rig *rig)
{
	static const char *const ids[BATCH] = { "id-0.", "id-1.", "id-2.", "id-3.", "id-4." };
	struct ft_publication what[BATCH];

	for (int i = 0; i < BATCH; i++)
		what[i] = rig_publication(&batch_keys[i], "n", ids[i], i == 2 ? NULL : "hello",
					  i == 2 ? said.upload : NULL, 5);
	said.upload = NULL;
	rig->ops->publish(rig->store, what, BATCH);
	for (int i = 0; i < BATCH; i++) {
		must(what[i].upload == NULL);
		said.status[i] = what[i].status;
	}
}

static void batch_after(struct rig *rig)
{
	for (int i = 0; i < BATCH; i++) {
		if (said.status[i] == FT_OK)
			must(has_file(rig, &batch_keys[i], "n", "hello"));
		else
			must(!is_there(rig, &batch_keys[i], "n") || may_be_stuck());
	}
	if (said.status[2] != FT_OK && !may_be_stuck())
		must(has_bytes(rig, "hello"));
	if (has_bytes(rig, "hello"))
		open_upload(rig, &said.upload);
	batch_during(rig);
	for (int i = 0; i < BATCH; i++)
		must(said.status[i] == FT_OK && has_file(rig, &batch_keys[i], "n", "hello"));
}

/* --- finished files --- */

static bool count_visit(void *context, const struct ft_store_found *found)
{
	(void)found;
	++*(unsigned *)context;
	return true;
}

static void read_during(struct rig *rig)
{
	char got[5] = "";

	said.status[0] = rig->ops->find(rig->store, &story_key, "n");
	must(said.status[0] != FT_NO_SUCH_TRANSFER);
	said.status[1] = rig->ops->read_finished(rig->store, &story_key, "n", 0, got, 5);
	must(said.status[1] != FT_NO_SUCH_TRANSFER);
	must(said.status[1] != FT_OK || memcmp(got, "hello", 5) == 0);
	said.found = 0;
	said.status[2] = rig->ops->list_finished(rig->store, count_visit, &said.found);
}

static void read_after(struct rig *rig)
{
	read_during(rig);
	must(said.status[0] == FT_OK && said.status[1] == FT_OK && said.status[2] == FT_OK);
	must(said.found == 1);
}

static void remove_during(struct rig *rig)
{
	said.status[0] = rig_remove(rig, &story_key, "n");
}

static void remove_after(struct rig *rig)
{
	must(is_there(rig, &story_key, "n") <= (said.status[0] != FT_OK));
	remove_during(rig);
	must(said.status[0] == FT_OK && !is_there(rig, &story_key, "n"));
}

/* --- links --- */

static void link_during(struct rig *rig)
{
	const struct ft_key other = { "c", 1, "g", 1 };
	struct ft_publication what = rig_publication(&other, "m", "id-2.", NULL, NULL, 5);

	said.status[0] = FT_OK;
	if (!rig->ops->upload_link)
		return;
	said.status[0] = rig->ops->upload_link(rig->store, &story_key, "n", &other, &what.upload);
	if (said.status[0] != FT_OK)
		return;
	rig->ops->publish(rig->store, &what, 1);
	said.status[0] = what.status;
}

static void link_after(struct rig *rig)
{
	const struct ft_key other = { "c", 1, "g", 1 };

	if (!rig->ops->upload_link)
		return;
	must(is_there(rig, &story_key, "n"));
	must(said.status[0] != FT_OK || is_there(rig, &other, "m"));
	link_during(rig);
	must(said.status[0] == FT_OK && is_there(rig, &other, "m"));
	rig_expect_finished(rig, &story_key, "n", "hello");
	rig_expect_finished(rig, &other, "m", "hello");
}

/* --- notices --- */

static const struct ft_notice story_notices[] = {
	{ "t1", { "c", 1, "f", 1 }, "n", "{\"a\":1}", 7 },
	{ "t2", { "c", 1, "g", 1 }, "n", "{\"a\":1}", 7 },
	{ "t3", { "c", 1, "h", 1 }, "n", "{\"a\":1}", 7 },
	{ "t4", { "c", 1, "i", 1 }, "n", "{\"a\":1}", 7 },
};

static void announce_one_during(struct rig *rig)
{
	said.status[0] = rig->ops->announce ? rig->ops->announce(rig->store, story_notices, 1) : FT_OK;
}

static void announce_during(struct rig *rig)
{
	said.status[0] = rig->ops->announce ? rig->ops->announce(rig->store, story_notices, 4) : FT_OK;
}

static void announce_after(struct rig *rig)
{
	if (!rig->ops->announce)
		return;
	if (said.status[0] == FT_OK)
		must(rig_exists(rig_path(rig, "done/t1.json")));
	must(said.status[0] != FT_NO_SUCH_TRANSFER);
	announce_during(rig);
	must(said.status[0] == FT_OK);
	must(tree_entries(rig_path(rig, "done")) == 4);
	rig_expect_file(rig_path(rig, "done/t4.json"), "{\n\t\"path\": \"files/c/i/n\",\"a\":1}");
}

/* --- the rest --- */

static bool knows_none(void *context, const char *owner_name, const char *file_name)
{
	(void)context;
	(void)owner_name;
	(void)file_name;
	return false;
}

static void sweep_before(struct rig *rig)
{
	rig_begin(rig, &story_key, "hello");
	if (strcmp(rig->ops->name, "fs") != 0)
		return;
	mkdir(rig_path(rig, "tmp/.0-1"), 0750);
	rig_write_file(rig_path(rig, "tmp/.0-1/n"), "x");
	rig_write_file(rig_path(rig, "tmp/.0-2"), "x");
	mkdir(rig_path(rig, "trash"), 0750);
	mkdir(rig_path(rig, "trash/x"), 0750);
	rig_write_file(rig_path(rig, "trash/x/data"), "x");
}

static void sweep_during(struct rig *rig)
{
	said.status[0] = ft_store_sweep(rig->store, knows_none, NULL);
}

static void sweep_after(struct rig *rig)
{
	sweep_during(rig);
	must(said.status[0] == FT_OK);
	if (strcmp(rig->ops->name, "fs") != 0)
		return;
	must(!has_bytes(rig, "hello"));
	must(tree_entries(rig_path(rig, "tmp")) == 0 && !rig_exists(rig_path(rig, "trash")));
	must(tree_entries(rig_path(rig, "damaged")) == 1);
}

static void open_during(struct rig *rig)
{
	struct ft_store *store = NULL;

	said.status[0] = rig->ops->open(&rig->config, &store);
	must((said.status[0] == FT_OK) == (store != NULL));
	if (store)
		rig->ops->close(&store);
}

static void open_after(struct rig *rig)
{
	open_during(rig);
	must(said.status[0] == FT_OK);
}

static const struct story stories[] = {
	{ "open", nothing, open_during, open_after },
	{ "write", nothing, write_during, write_after },
	{ "discard", begin_hello, discard_during, discard_after },
	{ "publish from memory", nothing, text_during, text_after },
	{ "publish an upload", upload_before, upload_during, upload_after },
	{ "publish beside foreign things", foreign_before, text_during, foreign_after },
	{ "publish an upload beside foreign things", foreign_upload_before, upload_during, upload_after },
	{ "replace", former_before, replace_during, replace_after },
	{ "replace another name", former_before, rename_during, rename_after },
	{ "keep", former_before, text_during, keep_after },
	{ "publish again", again_before, text_during, again_after },
	{ "publish five", upload_before, batch_during, batch_after },
	{ "read", again_before, read_during, read_after },
	{ "remove", again_before, remove_during, remove_after },
	{ "link", again_before, link_during, link_after },
	{ "announce one", nothing, announce_one_during, announce_after },
	{ "announce four", nothing, announce_during, announce_after },
	{ "sweep", sweep_before, sweep_during, sweep_after },
};

/* One run of a story in which one call fails, or all from one on. False: none was left to fail. */
static bool run(const struct story *story, const char *backend, enum ft_durability durability,
		const struct calls_plan *plan, unsigned *variants)
{
	static struct rig rig;
	struct runs_count before;
	bool hit;

	rig_prepare(&rig, backend, durability);
	before = runs_begin();
	rig_start(&rig);
	memset(&said, 0, sizeof said);
	story->before(&rig);
	calls_arm(plan);
	story->during(&rig);
	calls_disarm();
	hit = calls.hits > 0;
	*variants = calls.variants;
	story->after(&rig);
	rig_stop(&rig);
	runs_end(&before);
	tree_remove(rig.dir);
	return hit;
}

static void run_all(const char *backend, enum ft_durability durability)
{
	unsigned runs = 0, variants;

	runs_prepare();
	for (size_t s = 0; s < sizeof stories / sizeof *stories; s++) {
		for (int persistent = 0; persistent < 2; persistent++) {
			struct calls_plan plan = { .nth = 1, .persistent = persistent != 0 };

			while (run(&stories[s], backend, durability, &plan, &variants)) {
				runs++;
				if (++plan.variant >= variants) {
					plan.variant = 0;
					plan.nth++;
				}
			}
			ck_assert_msg(plan.nth > 1 || strcmp(backend, "fs") != 0,
				      "\"%s\" makes no calls", stories[s].name);
		}
	}
	printf("%s: %u runs\n", backend, runs);
}

START_TEST(test_store_calls__fs_durable)
{
	run_all("fs", FT_DURABILITY_FILE);
}
END_TEST

START_TEST(test_store_calls__fs)
{
	run_all("fs", FT_DURABILITY_NONE);
}
END_TEST

START_TEST(test_store_calls__memory)
{
	run_all("memory", FT_DURABILITY_FILE);
}
END_TEST

FT_SUITE_IN_MEMORY("store_calls",
	test_store_calls__fs_durable,
	test_store_calls__fs,
	test_store_calls__memory);
