/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The life of an engine, once for each call that it makes, with just that call failing,
 * once or from there on. A client that is told of an error sends the same again when the
 * fault is gone, and must then be told what it would have been told at first. Whatever
 * fails: every command is answered once and by the contract's table, what was told to be
 * done is done, nothing is half visible, and nothing leaks.
 */
#include "engine_client.h"

#include <limits.h>

#include "../suite.h"

/* f is abcdefghijklmno. */
#define SHA_OF_F "41c7760c50efde99bf574ed8fffc7a6dd3405d546d3da929b214c8945acf8a97"
#define SHA_OF_ABCDE "36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c"
#define SHA_OF_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOUR_MS ((int64_t)3600 * 1000)

/* --- the disk --- */

/* A path under the storage directory. Static storage. */
__attribute__((format(printf, 1, 2)))
static const char *under(const char *format, ...)
{
	static char path[1024];
	int len = snprintf(path, sizeof path, "%s/", rig.dir);
	va_list more;

	va_start(more, format);
	vsnprintf(path + len, sizeof path - (size_t)len, format, more);
	va_end(more);
	return path;
}

static bool exists(const char *path)
{
	return __real_access(path, F_OK) == 0;
}

/* files/c/<file>/<file>: all of it with its manifest, or not there. */
static void check_visible(const char *file, const char *content, bool must_be)
{
	char got[100] = "";
	FILE *in;

	calls_pause();
	in = fopen(under("files/c/%s/%s", file, file), "r");
	ck_assert_msg(in || !must_be, "%s: %s is not there", calls_text(), file);
	if (in) {
		ck_assert(fread(got, 1, sizeof got - 1, in) > 0);
		fclose(in);
		ck_assert_msg(strcmp(got, content) == 0, "%s: %s is '%s'", calls_text(), file, got);
		ck_assert_msg(exists(under("files/c/%s/%s.manifest.json", file, file)),
			      "%s: %s has no manifest", calls_text(), file);
	}
	calls_resume();
}

static bool is_fs(void)
{
	return strcmp(rig.backend, "fs") == 0;
}

static void check_files(bool f_done, bool h_done)
{
	if (!is_fs())
		return;
	check_visible("f", "abcdefghijklmno", f_done);
	check_visible("h", "helloworld", h_done);
}

/* --- the scenario --- */

static void upload_f(void)
{
	client_expect(FT_OK, "$file/f/init",
		      "{\"name\":\"f\",\"size\":15,\"user_data\":{\"k\":[1]}}");
	client_expect(FT_OK, "$file/f/5", "fghij");
	client_expect(FT_OK, "$file/f/10", "klmno");
	client_expect(FT_OK, "$file/f/5", "fghij");
	client_expect(FT_OK, "$file/f/0", "ABCDE");
	client_expect(FT_INCOMPLETE, "$file/f/fin/16", "");
	client_expect(FT_OK, "$file/f/0/" SHA_OF_ABCDE, "abcde");
	client_expect(FT_CHECKSUM_MISMATCH, "$file/f/0/" SHA_OF_ABCDE, "abcdE");
	client_expect(FT_OK, "$file/f/init",
		      "{\"name\":\"f\",\"size\":15,\"user_data\":{\"k\":[2]}}");
	if (!calls.hit_sync && !engine_may_have_lost)
		client_expect_member("received", "15");
	check_files(false, false);
	client_expect(FT_FILE_CHECKSUM_MISMATCH, "$file/f/fin/15/" SHA_OF_EMPTY, "");
	check_files(false, false);
	client_expect(FT_OK, "$file/f/fin/15/" SHA_OF_F, "");
	check_files(true, false);
}

static void ask_for_finished_f(void)
{
	client_expect(FT_OK, "$file/f/fin/15", "");
	client_expect(FT_ALREADY_COMPLETE, "$file/f/fin/14", "");
	client_expect(FT_OK, "$file/f/3", "de");
	client_expect(FT_ALREADY_COMPLETE, "$file/f/3", "xy");
	client_expect(FT_OK, "$file/f/init", "{\"name\":\"f\"}");
	client_expect_member("state", "\"complete\"");
	client_expect(FT_OK, "$file/f/status", "");
	client_expect(FT_ALREADY_COMPLETE, "$file/f/abort", "");
}

static void abort_g(void)
{
	client_expect(FT_OK, "$file/g/init", "{\"name\":\"g\"}");
	client_expect(FT_OK, "$file/g/0", "x");
	client_expect(FT_OK, "$file/g/abort", "");
	client_expect(FT_OK, "$file/g/status", "");
	client_expect_member("state", "\"none\"");
	must(!exists(under("incoming/c/g/data")));
	client_expect(FT_NO_SUCH_TRANSFER, "$file/g/0", "x");
}

/* Only where that tells something new: it takes most of the time. */
static bool e_is_long(void)
{
	return !calls.plan.persistent && is_fs();
}

static const char *fin_of_e(void)
{
	return e_is_long() ? "$file/e/fin/1048583" : "$file/e/fin/0";
}

/* Long enough to be synced before the point of no return, and to get blocks ahead. */
static void upload_e(void)
{
	const struct client_segment *each;

	client_expect(FT_OK, "$file/e/init", "{\"name\":\"e\"}");
	for (each = client_segments('e'); e_is_long() && each->topic; each++)
		client_expect(FT_OK, each->topic, each->payload);
	client_expect(FT_OK, fin_of_e(), "");
}

/* Half of it, and the checkpoint of what is six seconds old. */
static void begin_h(void)
{
	client_expect(FT_OK, "$file/h/init", "{\"name\":\"h\",\"segments_ttl\":86400}");
	client_expect(FT_OK, "$file/h/5", "world");
	rig.now_ms += 6000;
	ft_engine_run(rig.engine, rig.now_ms);
	/* A job for the same thread comes after the checkpoint. */
	upload_e();
	client_expect(FT_OK, "$file/x/init", "{\"name\":\"x\"}");
	check_files(true, false);
}

static void resume_h(void)
{
	client_expect(FT_OK, "$file/h/init", "{\"name\":\"h\"}");
	if (is_fs() && !calls.hit_sync && !engine_may_have_lost)
		client_expect_member("received", "5");
	client_expect(FT_OK, "$file/h/0", "hello");
	if (!is_fs())
		client_expect(FT_OK, "$file/h/5", "world");
	client_expect(FT_OK, "$file/h/fin/10", "");
	check_files(true, true);
}

/*
 * What the start did not find is known once it was asked for; what could not be thrown
 * away is next time.
 */
static void let_x_expire(void)
{
	for (int day = 0; day < 10; day++) {
		rig.now_ms += 25 * HOUR_MS;
		for (int i = 0; i < 3; i++) {
			ft_engine_run(rig.engine, rig.now_ms);
			rig.now_ms += 61000;
		}
		client_expect(FT_OK, "$file/x/status", "");
		if (client_was_told("state", "\"none\""))
			return;
		if (day > 3)	/* nobody is told, so nobody sees to it */
			engine_excuse();
	}
	calls_disarm();
	ck_abort_msg("%s: x does not expire", calls_text());
}

static void scenario(void)
{
	engine_start();
	upload_f();
	ask_for_finished_f();
	abort_g();
	begin_h();
	engine_restart();
	resume_h();
	if (is_fs())
		client_expect(FT_OK, "$file/f/fin/15/" SHA_OF_F, "");
	let_x_expire();
	engine_stop();
}

/* It clears up, and would be cut short by the end. */
static void wait_for_the_scan(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (int ms = 0; is_fs() && tree_entries(under("trash")) + tree_entries(under("incoming")) > 0; ms++) {
		must(ms < RIG_DEADLINE_S * 1000);
		nanosleep(&pause, NULL);
	}
}

/* Without a fault: a start clears up what was left, and all is as it should be. */
static void check_afterwards(void)
{
	engine_start();
	if (is_fs()) {
		ask_for_finished_f();
		client_expect(FT_OK, "$file/h/fin/10", "");
		client_expect(FT_OK, fin_of_e(), "");
	}
	let_x_expire();
	wait_for_the_scan();
	engine_stop();
	if (!is_fs())
		return;
	must(tree_entries(under("files/c")) == 3);
	must(tree_entries(under("files/c/f")) == 2);
	must(tree_entries(under("files/c/h")) == 2);
	must(tree_entries(under("damaged")) == 0);
	must(tree_entries(under("trash")) == 0);
	must(tree_entries(under("incoming")) == 0);
}

/* --- one run, all runs --- */

static void play(const struct calls_plan *plan, const char *backend, int durability)
{
	const struct runs_count before = runs_begin();

	rig_setup(&rig, backend);
	rig.options.durability = durability;
	rig.options.min_free_space = 1;

	engine_may_have_lost = false;
	calls_arm(plan);
	scenario();
	calls_disarm();
	check_afterwards();
	rig_forget(&rig);
	ft_options_release(&rig.options);
	sem_destroy(&rig.notified);
	tree_remove(rig.dir);
	runs_end(&before);
}

/* Every call, with every error that it may have, until a run has no hit. */
static void play_all(struct calls_plan plan, const char *backend, int durability)
{
	/* Where all calls fail it makes little difference how. */
	unsigned most = plan.persistent ? 2 : UINT_MAX;

	memset(client_long_payload, 'x', sizeof client_long_payload - 1);
	runs_prepare();
	for (plan.nth = 1; ; plan.nth++) {
		plan.variant = 0;
		do {
			play(&plan, backend, durability);
		} while (++plan.variant < calls.variants && plan.variant < most);
		if (calls.hits == 0)
			break;
	}
	ck_assert_uint_gt(plan.nth, 10);
}

#define CALLS_TEST(name, backend, durability, ...) \
	START_TEST(test_engine__##name) \
	{ \
		play_all((struct calls_plan){ __VA_ARGS__ }, backend, durability); \
	} \
	END_TEST

/* Each call by itself, with every error it may have. */
CALLS_TEST(survives_any_call_that_fails, "fs", FT_DURABILITY_FILE, .persistent = false)
CALLS_TEST(survives_any_call_that_fails_where_segments_are_durable, "fs", FT_DURABILITY_SEGMENT,
	   .kinds = CALLS_FILES)
CALLS_TEST(survives_any_call_that_fails_in_memory, "memory", FT_DURABILITY_NONE,
	   .persistent = false)
CALLS_TEST(survives_any_call_of_a_worker_that_fails, "fs", FT_DURABILITY_FILE, .workers = true)
CALLS_TEST(survives_any_call_of_a_worker_that_fails_in_memory, "memory", FT_DURABILITY_NONE,
	   .workers = true)

/* From one call on, until a client has been told of it. */
CALLS_TEST(survives_when_memory_is_gone, "fs", FT_DURABILITY_FILE, .persistent = true,
	   .kinds = CALLS_MEMORY)
CALLS_TEST(survives_when_memory_is_gone_for_workers, "fs", FT_DURABILITY_FILE, .persistent = true,
	   .kinds = CALLS_MEMORY, .workers = true)
CALLS_TEST(survives_when_the_disk_is_gone, "fs", FT_DURABILITY_FILE, .persistent = true,
	   .kinds = CALLS_FILES)
CALLS_TEST(survives_when_the_disk_is_gone_for_workers, "fs", FT_DURABILITY_FILE,
	   .persistent = true, .kinds = CALLS_FILES, .workers = true)
CALLS_TEST(survives_when_everything_is_gone, "fs", FT_DURABILITY_FILE, .persistent = true)
CALLS_TEST(survives_when_memory_is_gone_in_memory, "memory", FT_DURABILITY_NONE,
	   .persistent = true)

FT_SUITE_IN_MEMORY("engine calls",
	 test_engine__survives_any_call_that_fails,
	 test_engine__survives_any_call_that_fails_where_segments_are_durable,
	 test_engine__survives_any_call_that_fails_in_memory,
	 test_engine__survives_any_call_of_a_worker_that_fails,
	 test_engine__survives_any_call_of_a_worker_that_fails_in_memory,
	 test_engine__survives_when_memory_is_gone,
	 test_engine__survives_when_memory_is_gone_for_workers,
	 test_engine__survives_when_the_disk_is_gone,
	 test_engine__survives_when_the_disk_is_gone_for_workers,
	 test_engine__survives_when_everything_is_gone,
	 test_engine__survives_when_memory_is_gone_in_memory);
