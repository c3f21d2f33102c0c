/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The life of an engine, once for each call that it makes, with just that call failing,
 * once or from there on. A client that is told of an error sends the same again when the
 * fault is gone, and must then be told what it would have been told at first. Whatever
 * fails: every command is answered once and by the contract's table, what was told to be
 * done is done, nothing is half visible, and nothing leaks.
 */
#include "calls.h"

#include <limits.h>

#include "../rig.h"
#include "../suite.h"

#define SHA_OF_F "41c7760c50efde99bf574ed8fffc7a6dd3405d546d3da929b214c8945acf8a97"	/* abcdefghijklmno */
#define SHA_OF_ABCDE "36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c"
#define SHA_OF_EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HOUR_MS ((int64_t)3600 * 1000)

static struct rig rig;
static bool may_have_lost;	/* bytes that were acknowledged */

/* Check notes down each assertion, also those that hold: a system call. */
#define must(condition) \
	do { \
		if (!(condition)) { \
			calls_disarm(); \
			ck_abort_msg("%s: " #condition, calls_text()); \
		} \
	} while (0)

/* --- what the engine calls: the test's, so nothing fails there --- */

static void count_log(void *context, enum ft_log_level level, const char *line)
{
	(void)context;
	calls_pause();
	if (getenv("FT_CALLS_LOG"))
		fprintf(stderr, "%s: log %d: %s\n", calls_text(), (int)level, line);
	calls_resume();
}

static void respond(void *context, const struct ft_request *request, const struct ft_reply *reply)
{
	calls_pause();
	rig_respond(context, request, reply);
	calls_resume();
}

/* --- start and end --- */

/* As plugin.c starts it; after an error nothing is left. */
static enum ft_status try_start(void)
{
	const struct ft_engine_hooks hooks = { &rig, respond, rig_notify };
	struct ft_store_config config = {
		.dir = rig.dir, .durability = (enum ft_durability)rig.options.durability,
		.boot_id = rig.boot_id, .max_open = 8,
	};
	struct ft_store *store = NULL;
	enum ft_status st;

	if (!(rig.log = config.log = ft_log_new(count_log, NULL)))
		return FT_NO_MEMORY;
	st = ft_store_backend(rig.backend)->open(&config, &store);
	if (st == FT_OK)
		st = ft_engine_new(&rig.options, &store, rig.log, &hooks, &rig.engine);
	if (st == FT_OK) {
		ft_engine_run(rig.engine, rig.now_ms);
		return st;
	}
	must(!store && !rig.engine);
	ft_log_free(rig.log);
	rig.log = NULL;
	return st;
}

/* The fault is over where it lasts: somebody has seen to the disk. */
static void excuse(void)
{
	must(calls.hits > 0);
	if (calls.plan.persistent) {
		/* Where more fails than one call, what was written over may not be put back. */
		may_have_lost = true;
		calls_disarm();
	}
}

static void start(void)
{
	if (try_start() == FT_OK)
		return;
	excuse();
	must(try_start() == FT_OK);
}

static void stop(void)
{
	ft_engine_free(&rig.engine);
	ft_log_free(rig.log);
	rig.log = NULL;
	must(!rig.engine);
}

/* --- a client --- */

/* What is sent for a file, to send it again. */
struct segment {
	const char *topic;
	const char *payload;
};

static const struct segment f_segments[] = {
	{ "$file/f/5", "fghij" }, { "$file/f/10", "klmno" }, { "$file/f/0", "abcde" }, { NULL, NULL },
};
static char long_payload[(1 << 20) + 1];
static const struct segment e_segments[] = {
	{ "$file/e/0", long_payload }, { "$file/e/1048576", "the end" }, { NULL, NULL },
};
static const struct segment h_segments[] = {
	{ "$file/h/0", "hello" }, { "$file/h/5", "world" }, { NULL, NULL },
};

/* As rig_wait(), but that asserting allocates memory. */
static void wait_for_response(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += RIG_DEADLINE_S;
	while (rig.responses == 0) {
		must(sem_timedwait(&rig.notified, &deadline) == 0);
		ft_engine_run(rig.engine, rig.now_ms);
	}
}

/* Sends, waits, and checks that there is one answer, which says what the PUBACK said. */
static enum ft_status ask(const char *topic, const char *payload)
{
	enum ft_status known, told;
	struct rig_response *response;

	calls_pause();
	rig_forget(&rig);
	calls_resume();
	known = rig_send(&rig, "c", topic, payload, strlen(payload));
	if (rig.responses == 0)
		wait_for_response();
	else if (known != FT_OK || !strstr(topic, "/fin/"))	/* of a fin it says that it was accepted */
		must(rig.response[0].status == known);
	ft_engine_run(rig.engine, rig.now_ms);
	must(rig.responses == 1);
	response = &rig.response[0];
	told = response->status;
	may_have_lost = may_have_lost || told == FT_IO_ERROR;
	must(strcmp(response->topic, topic) == 0);
	must(told != FT_CANCELLED && told != FT_DAMAGED);
	return told;
}

static void restart(void)
{
	stop();
	start();
}

/*
 * A published file whose directory could not be synced is taken back; where not even that
 * can be done, on a disk that went read-only, it is neither finished nor unfinished until
 * the next start, which finds it finished.
 */
static bool stranded(void)
{
	return calls.plan.persistent && calls.plan.workers && may_have_lost;
}

/* Where a failure gave a right to it. */
static bool is_passing(enum ft_status st)
{
	switch (st) {
	case FT_IO_ERROR:
	case FT_INTERNAL_ERROR:
	case FT_NO_MEMORY:
	case FT_DISK_FULL:
	case FT_BUSY:
		return true;
	case FT_FILE_TOO_LARGE:
		return calls.error == EFBIG;
	case FT_INCOMPLETE:
		/* What may not have got through an fsync is not held any more. */
		return calls.hit_sync || may_have_lost;
	case FT_NO_SUCH_TRANSFER:
		return stranded();
	default:
		return false;
	}
}

static void must_be(enum ft_status wanted, enum ft_status told, const char *topic)
{
	if (told == wanted)
		return;
	calls_disarm();
	ck_abort_msg("%s: %s is told %s", calls_text(), topic, ft_status_word(told));
}

static void send_again(const char *topic)
{
	const struct segment *each = topic[6] == 'f' ? f_segments : topic[6] == 'e' ? e_segments : h_segments;

	for (; each->topic; each++) {
		enum ft_status st = ask(each->topic, each->payload);

		if (st == FT_NO_SUCH_TRANSFER && stranded()) {
			restart();
			return;
		}
		must_be(FT_OK, st, each->topic);
	}
}

/* Asks until it is told what it must be told: at once, or once more after an error. */
static void expect(enum ft_status wanted, const char *topic, const char *payload)
{
	enum ft_status st = ask(topic, payload);

	for (int again = 0; st != wanted && again < 3; again++) {
		if (!is_passing(st))
			must_be(wanted, st, topic);
		excuse();
		if (st == FT_INCOMPLETE)
			send_again(topic);
		if (st == FT_NO_SUCH_TRANSFER)
			restart();
		st = ask(topic, payload);
	}
	must_be(wanted, st, topic);
}

static bool is_member(const char *key, const char *value)
{
	bool is;

	calls_pause();
	is = strcmp(rig_member(&rig, key), value) == 0;
	calls_resume();
	return is;
}

static void expect_member(const char *key, const char *value)
{
	if (!is_member(key, value)) {
		calls_disarm();
		ck_abort_msg("%s: %s is %s, not %s", calls_text(), key, rig_member(&rig, key), value);
	}
}

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

static size_t entries(const char *path)
{
	DIR *dir = __real_opendir(path);
	size_t count = 0;

	if (!dir)
		return 0;
	while (__real_readdir64(dir))
		count++;
	closedir(dir);
	return count - 2;
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
	expect(FT_OK, "$file/f/init", "{\"name\":\"f\",\"size\":15,\"user_data\":{\"k\":[1]}}");
	expect(FT_OK, "$file/f/5", "fghij");
	expect(FT_OK, "$file/f/10", "klmno");
	expect(FT_OK, "$file/f/5", "fghij");
	expect(FT_OK, "$file/f/0", "ABCDE");
	expect(FT_INCOMPLETE, "$file/f/fin/16", "");
	expect(FT_OK, "$file/f/0/" SHA_OF_ABCDE, "abcde");
	expect(FT_CHECKSUM_MISMATCH, "$file/f/0/" SHA_OF_ABCDE, "abcdE");
	expect(FT_OK, "$file/f/init", "{\"name\":\"f\",\"size\":15,\"user_data\":{\"k\":[2]}}");
	if (!calls.hit_sync && !may_have_lost)
		expect_member("received", "15");
	check_files(false, false);
	expect(FT_FILE_CHECKSUM_MISMATCH, "$file/f/fin/15/" SHA_OF_EMPTY, "");
	check_files(false, false);
	expect(FT_OK, "$file/f/fin/15/" SHA_OF_F, "");
	check_files(true, false);
}

static void ask_for_finished_f(void)
{
	expect(FT_OK, "$file/f/fin/15", "");
	expect(FT_ALREADY_COMPLETE, "$file/f/fin/14", "");
	expect(FT_OK, "$file/f/3", "de");
	expect(FT_ALREADY_COMPLETE, "$file/f/3", "xy");
	expect(FT_OK, "$file/f/init", "{\"name\":\"f\"}");
	expect_member("state", "\"complete\"");
	expect(FT_OK, "$file/f/status", "");
	expect(FT_ALREADY_COMPLETE, "$file/f/abort", "");
}

static void abort_g(void)
{
	expect(FT_OK, "$file/g/init", "{\"name\":\"g\"}");
	expect(FT_OK, "$file/g/0", "x");
	expect(FT_OK, "$file/g/abort", "");
	expect(FT_OK, "$file/g/status", "");
	expect_member("state", "\"none\"");
	must(!exists(under("incoming/c/g/data")));
	expect(FT_NO_SUCH_TRANSFER, "$file/g/0", "x");
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
	expect(FT_OK, "$file/e/init", "{\"name\":\"e\"}");
	for (const struct segment *each = e_segments; e_is_long() && each->topic; each++)
		expect(FT_OK, each->topic, each->payload);
	expect(FT_OK, fin_of_e(), "");
}

/* Half of it, and the checkpoint of what is six seconds old. */
static void begin_h(void)
{
	expect(FT_OK, "$file/h/init", "{\"name\":\"h\",\"segments_ttl\":86400}");
	expect(FT_OK, "$file/h/5", "world");
	rig.now_ms += 6000;
	ft_engine_run(rig.engine, rig.now_ms);
	/* A job for the same thread comes after the checkpoint. */
	upload_e();
	expect(FT_OK, "$file/x/init", "{\"name\":\"x\"}");
	check_files(true, false);
}

static void resume_h(void)
{
	expect(FT_OK, "$file/h/init", "{\"name\":\"h\"}");
	if (is_fs() && !calls.hit_sync && !may_have_lost)
		expect_member("received", "5");
	expect(FT_OK, "$file/h/0", "hello");
	if (!is_fs())
		expect(FT_OK, "$file/h/5", "world");
	expect(FT_OK, "$file/h/fin/10", "");
	check_files(true, true);
}

/* What the start did not find is known once it was asked for; what could not be thrown away is next time. */
static void let_x_expire(void)
{
	for (int day = 0; day < 10; day++) {
		rig.now_ms += 25 * HOUR_MS;
		for (int i = 0; i < 3; i++) {
			ft_engine_run(rig.engine, rig.now_ms);
			rig.now_ms += 61000;
		}
		expect(FT_OK, "$file/x/status", "");
		if (is_member("state", "\"none\""))
			return;
		if (day > 3)	/* nobody is told, so nobody sees to it */
			excuse();
	}
	calls_disarm();
	ck_abort_msg("%s: x does not expire", calls_text());
}

static void scenario(void)
{
	start();
	upload_f();
	ask_for_finished_f();
	abort_g();
	begin_h();
	restart();
	resume_h();
	if (is_fs())
		expect(FT_OK, "$file/f/fin/15/" SHA_OF_F, "");
	let_x_expire();
	stop();
}

/* It clears up, and would be cut short by the end. */
static void wait_for_the_scan(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (int ms = 0; is_fs() && entries(under("trash")) + entries(under("incoming")) > 0; ms++) {
		must(ms < RIG_DEADLINE_S * 1000);
		nanosleep(&pause, NULL);
	}
}

/* Without a fault: a start clears up what was left, and all is as it should be. */
static void check_afterwards(void)
{
	start();
	if (is_fs()) {
		ask_for_finished_f();
		expect(FT_OK, "$file/h/fin/10", "");
		expect(FT_OK, fin_of_e(), "");
	}
	let_x_expire();
	wait_for_the_scan();
	stop();
	if (!is_fs())
		return;
	must(entries(under("files/c")) == 3);
	must(entries(under("files/c/f")) == 2);
	must(entries(under("files/c/h")) == 2);
	must(entries(under("damaged")) == 0);
	must(entries(under("trash")) == 0);
	must(entries(under("incoming")) == 0);
}

/* --- one run, all runs --- */

/* A thread that was joined may still be listed for an instant. */
static bool settles(const char *path, size_t wanted)
{
	const struct timespec pause = { .tv_nsec = 100000 };

	for (int i = 0; i < RIG_DEADLINE_S * 10000; i++) {
		if (entries(path) <= wanted)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static void *no_thread(void *unused)
{
	return unused;
}

/* ThreadSanitizer starts one of its own with the first. */
static void start_first_thread(void)
{
	pthread_t first;

	ck_assert_int_eq(__real_pthread_create(&first, NULL, no_thread, NULL), 0);
	pthread_join(first, NULL);
}

static void play(const struct calls_plan *plan, const char *backend, int durability)
{
	size_t descriptors = entries("/proc/self/fd"), threads = entries("/proc/self/task");
	long live = calls.live;

	rig_setup(&rig, backend);
	rig.options.durability = durability;
	rig.options.min_free_space = 1;

	may_have_lost = false;
	calls_arm(plan);
	scenario();
	calls_disarm();
	check_afterwards();
	rig_forget(&rig);
	ft_options_release(&rig.options);
	sem_destroy(&rig.notified);
	tree_remove(rig.dir);
	must(entries("/proc/self/fd") == descriptors);
	must(settles("/proc/self/task", threads));
	must(calls.live == live);
}

/* Every call, with every error that it may have, until a run has no hit. */
static void play_all(struct calls_plan plan, const char *backend, int durability)
{
	/* Where all calls fail it makes little difference how. */
	unsigned most = plan.persistent ? 2 : UINT_MAX;

	memset(long_payload, 'x', sizeof long_payload - 1);
	calls_take_cjson();
	start_first_thread();
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
