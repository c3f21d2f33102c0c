/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Every call that the log makes fails, one in each run, with each of its errors; then from
 * one on all. What could not be opened says why and leaves nothing behind, what was in it is
 * still there, and what was not acknowledged does not count.
 */
#include "../lib/runs.h"
#include "../lib/log_rig.h"
#include "../suite.h"

#define SIZE ((uint64_t)16384)
#define HERE "boot=1 dev=8:1"
#define AFTER_BOOT "boot=2 dev=8:1"

/* What is done while calls fail, and what has to be so before and after. */
struct story {
	const char *name;
	void (*before)(void);
	void (*during)(void);
	void (*after)(void);
};

static enum ft_status said;
static struct ft_log_config ready;	/* as each run begins with */

static void open_log(void)
{
	said = log_rig_open();
}

static void open_former(void)
{
	said = ft_log_open_former(&config, &ring, id);
}

static enum ft_status append(uint64_t number)
{
	struct ft_log_entry entry = { .kind = FT_RECORD_BYTES, .number = number, .bytes = "bytes",
				      .bytes_len = 5 };

	return ft_log_append(ring, &entry);
}

static bool take(uint64_t number)
{
	struct ft_log_record record;

	return ft_log_take(ring, &record) && record.number == number && record.bytes_len == 5
	       && memcmp(record.bytes, "bytes", 5) == 0;
}

static bool take_none(void)
{
	struct ft_log_record record;

	return !ft_log_take(ring, &record);
}

static void reopen(enum ft_log_past expected)
{
	ft_log_close(&ring);
	open_log();
	must(said == FT_OK && past == expected);
}

/* --- opening --- */

static void nothing(void)
{
}

/* One that failed has left nothing, has said why, and the next one has no trouble. */
static void open_again(enum ft_log_past expected)
{
	must((said == FT_OK) == (ring != NULL));
	must(said != FT_OK || !calls.hit_sync || calls.error == EINTR);
	must(said == FT_OK || said == FT_DISK_FULL || said == FT_NO_MEMORY || said == FT_IO_ERROR
	     || said == FT_BUSY);
	must(said == FT_OK || said == FT_NO_MEMORY || lines[0]);
	if (said == FT_OK)
		must(past == expected);
	if (said != FT_OK)
		open_log();
	/* A new one may have been made, though in the end it could not be used: its id tells. */
	must(said == FT_OK && (expected != FT_LOG_CONTINUED || past == FT_LOG_CONTINUED));
}

static void new_after(void)
{
	open_again(FT_LOG_NEW);
	must(take_none());
	must(append(1) == FT_OK && take(1));
}

/* Two records, not released. */
static void records_before(void)
{
	open_log();
	must(said == FT_OK && append(1) == FT_OK && append(2) == FT_OK);
	ft_log_close(&ring);
}

static void records_after(void)
{
	open_again(FT_LOG_CONTINUED);
	must(past == FT_LOG_CONTINUED);
	must(take(1) && take(2) && take_none());
}

static void cut_before(void)
{
	records_before();
	config.identity = AFTER_BOOT;
}

static void cut_after(void)
{
	open_again(FT_LOG_DROPPED);
	must(take_none());
	must(append(3) == FT_OK);
	reopen(FT_LOG_CONTINUED);
	must(take(3) && take_none());
}

static void size_before(void)
{
	open_log();
	must(said == FT_OK);
	ft_log_close(&ring);
	config.size = 2 * SIZE;
}

static void synced_before(void)
{
	config.sync = FT_LOG_SYNCED;
	records_before();
	config.identity = AFTER_BOOT;
}

/* Whatever was cut short: all is there, before another power cut and after it. */
static void synced_after(void)
{
	records_after();
	config.identity = HERE;
	reopen(FT_LOG_CONTINUED);
	must(take(1) && take(2) && take_none());
}

static void to_synced_before(void)
{
	records_before();
	config.sync = FT_LOG_SYNCED;
}

static void to_synced_after(void)
{
	records_after();
	config.identity = AFTER_BOOT;
	reopen(FT_LOG_CONTINUED);
	must(take(1) && take(2) && take_none());
}

static void former_after(void)
{
	must(said == FT_OK || !ring);
	must(said == FT_OK || said == FT_NO_MEMORY || lines[0]);
	if (said != FT_OK)
		open_former();
	must(said == FT_OK && ring);
	must(take(1) && take(2) && take_none());
}

static void cut_former_after(void)
{
	must(!ring);
	if (said != FT_OK)
		open_former();
	must(said == FT_OK && !ring);
	must(tree_entries(dir) == 0);
}

static void remove_before(void)
{
	open_log();
	must(said == FT_OK);
}

static void remove_during(void)
{
	said = ft_log_remove(&ring);
}

static void remove_after(void)
{
	must(!ring && (said == FT_OK || lines[0]));
	must(tree_entries(dir) == (said != FT_OK));
}

/* --- a synced log at work --- */

static void work_before(void)
{
	config.sync = FT_LOG_SYNCED;
	open_log();
	must(said == FT_OK && append(1) == FT_OK);
}

static void append_during(void)
{
	said = append(2);
}

/* In the place of a record that was refused another one is written. */
static void append_after(void)
{
	enum ft_status second = said;

	must(second == FT_OK || (second == FT_IO_ERROR && lines[0]));
	must(take(1));
	must(second == FT_OK ? take(2) : take_none());
	reopen(FT_LOG_CONTINUED);
	must(take(1));
	must(second == FT_OK ? take(2) : take_none());
	must(append(3) == FT_OK);
	config.identity = AFTER_BOOT;
	reopen(FT_LOG_CONTINUED);
	must(take(1));
	must(second != FT_OK || take(2));
	must(take(3) && take_none());
}

static void release_during(void)
{
	must(take(1));
	ft_log_release(ring, ft_log_taken(ring));
	said = ft_log_fill(ring) == 0 ? FT_OK : FT_IO_ERROR;
}

/* Room that a power cut could take back is not handed out. */
static void release_after(void)
{
	must(said == FT_OK || lines[0]);
	must((said == FT_OK) == (calls.hits == 0 || calls.error == EINTR));
	ft_log_release(ring, ft_log_taken(ring));
	must(ft_log_fill(ring) == 0);
	must(append(2) == FT_OK && take(2) && take_none());
}

static const struct story stories[] = {
	{ "open a new one", nothing, open_log, new_after },
	{ "open one with records", records_before, open_log, records_after },
	{ "open one after a power cut", cut_before, open_log, cut_after },
	{ "open one of another size", size_before, open_log, new_after },
	{ "open a synced one after a power cut", synced_before, open_log, synced_after },
	{ "open one that is to be synced", to_synced_before, open_log, to_synced_after },
	{ "open a former one", records_before, open_former, former_after },
	{ "open a former one after a power cut", cut_before, open_former, cut_former_after },
	{ "remove", remove_before, remove_during, remove_after },
	{ "append", work_before, append_during, append_after },
	{ "release", work_before, release_during, release_after },
};

/* One run of a story in which one call fails, or all from one on. False: none was left to fail. */
static bool run(const struct story *story, const struct calls_plan *plan, unsigned *variants)
{
	struct runs_count before;
	bool hit;

	before = runs_begin();
	config = ready;
	story->before();
	lines[0] = '\0';
	calls_arm(plan);
	story->during();
	calls_disarm();
	hit = calls.hits > 0;
	*variants = calls.variants;
	story->after();
	ft_log_close(&ring);
	runs_end(&before);
	tree_remove(path);
	return hit;
}

static void run_all(const struct story *story)
{
	for (int persistent = 0; persistent < 2; persistent++) {
		struct calls_plan plan = { .nth = 1, .persistent = persistent != 0 };
		unsigned variants;

		while (run(story, &plan, &variants)) {
			if (++plan.variant >= variants) {
				plan.variant = 0;
				plan.nth++;
			}
		}
		ck_assert_msg(plan.nth > 1, "\"%s\" makes no calls", story->name);
	}
}

START_TEST(test_log__keeps_its_word_whatever_call_fails)
{
	log_rig_set_up(SIZE, HERE);
	ready = config;
	runs_prepare();
	run_all(&stories[_i]);
	log_rig_tear_down();
}
END_TEST

int main(void)
{
	ft_suite_use_memory();
	return ft_suite_run(&(struct ft_suite){
		.name = "log calls", .times = sizeof stories / sizeof stories[0],
		FT_TESTS(test_log__keeps_its_word_whatever_call_fails),
	});
}
