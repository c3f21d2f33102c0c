/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/pool.h"

#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../suite.h"

struct job {
	struct ft_job job;
	atomic_int *counter;
	bool stopped;
	bool committed;
	bool signals_blocked;
	int niceness;
};

static atomic_int notified;
static atomic_bool hold;	/* jobs of spin() run until it is false */

static void notify(void *context)
{
	atomic_fetch_add((atomic_int *)context, 1);
}

static void count(struct ft_job *base)
{
	struct job *job = FT_CONTAINER(base, struct job, job);
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, &set);
	job->signals_blocked = sigismember(&set, SIGURG) && sigismember(&set, SIGTERM);
	job->niceness = getpriority(PRIO_PROCESS, (id_t)gettid());
	atomic_fetch_add(job->counter, 1);
}

static void spin(struct ft_job *base)
{
	struct job *job = FT_CONTAINER(base, struct job, job);

	atomic_fetch_add(job->counter, 1);
	while (atomic_load(&hold) && !ft_job_stopped(base))
		sched_yield();
	job->stopped = ft_job_stopped(base);
	job->committed = ft_job_commit(base);
}

static void init(struct job *job, void (*run)(struct ft_job *), atomic_int *counter)
{
	ft_job_init(&job->job, run);
	job->counter = counter;
}

static struct job *wait_done(struct ft_pool *pool)
{
	struct ft_job *job;

	while (!(job = ft_pool_done(pool)))
		sched_yield();
	return FT_CONTAINER(job, struct job, job);
}

static void wait_for(atomic_int *counter, int value)
{
	while (atomic_load(counter) < value)
		sched_yield();
}

START_TEST(test_pool__runs_every_job_once_with_signals_blocked)
{
	enum { COUNT = 1000 };
	struct ft_pool *pool = ft_pool_new(4, notify, &notified);
	struct job *jobs = calloc(COUNT, sizeof *jobs);
	atomic_int ran = 0;

	for (int i = 0; i < COUNT; i++) {
		init(&jobs[i], count, &ran);
		ft_pool_submit(pool, &jobs[i].job);
	}
	for (int i = 0; i < COUNT; i++)
		ck_assert(wait_done(pool)->job.ran);
	ck_assert_ptr_null(ft_pool_done(pool));
	ck_assert_int_eq(atomic_load(&ran), COUNT);
	for (int i = 0; i < COUNT; i++)
		ck_assert(jobs[i].signals_blocked);
	ft_pool_stop(pool);
	ft_pool_free(&pool);
	ck_assert_int_eq(atomic_load(&notified), COUNT);
	free(jobs);
}
END_TEST

START_TEST(test_pool__stops_a_running_job_and_gives_the_others_back_unrun)
{
	struct ft_pool *pool = ft_pool_new(1, notify, &notified);
	struct job running, waiting;
	atomic_int ran = 0;
	struct job *back;

	atomic_store(&hold, true);
	init(&running, spin, &ran);
	init(&waiting, spin, &ran);
	ft_pool_submit(pool, &running.job);
	ft_pool_submit(pool, &waiting.job);
	wait_for(&ran, 1);
	ft_pool_stop(pool);
	back = wait_done(pool);
	ck_assert_ptr_eq(back, &running);
	ck_assert(back->job.ran && back->stopped);
	back = wait_done(pool);
	ck_assert_ptr_eq(back, &waiting);
	ck_assert(!back->job.ran);
	ck_assert_int_eq(atomic_load(&ran), 1);
	ft_pool_free(&pool);
}
END_TEST

START_TEST(test_pool__lets_either_cancel_or_commit_win)
{
	struct ft_pool *pool = ft_pool_new(1, notify, &notified);
	atomic_int ran = 0;
	struct job job;

	atomic_store(&hold, true);
	init(&job, spin, &ran);
	ft_pool_submit(pool, &job.job);
	wait_for(&ran, 1);
	ck_assert(ft_job_cancel(&job.job));
	ck_assert(ft_job_cancel(&job.job));
	ck_assert(!wait_done(pool)->committed);

	atomic_store(&hold, false);
	init(&job, spin, &ran);
	ft_pool_submit(pool, &job.job);
	ck_assert(wait_done(pool)->committed);
	ck_assert(!ft_job_cancel(&job.job));
	ft_pool_stop(pool);
	ft_pool_free(&pool);
}
END_TEST

/* Whichever comes first, hurrying or the job's end: there is a notification after the hurry. */
START_TEST(test_pool__notifies_of_a_hurried_job_whenever_it_ends)
{
	struct ft_pool *pool = ft_pool_new(1, notify, &notified);
	atomic_int ran = 0;

	for (int i = 0; i < 2000; i++) {
		struct job job;

		atomic_store(&notified, 0);
		atomic_store(&hold, true);
		init(&job, spin, &ran);
		atomic_store(&job.job.urgent, false);
		ft_pool_submit(pool, &job.job);
		atomic_store(&hold, i % 2 == 0);
		ft_job_hurry(&job.job);
		atomic_store(&hold, false);
		wait_for(&notified, 1);
		wait_done(pool);
	}
	ft_pool_stop(pool);
	ft_pool_free(&pool);
}
END_TEST

START_TEST(test_pool__does_not_notify_of_jobs_that_can_wait)
{
	struct ft_pool *pool = ft_pool_new(1, notify, &notified);
	atomic_int ran = 0;
	struct job job;

	atomic_store(&notified, 0);
	init(&job, count, &ran);
	atomic_store(&job.job.urgent, false);
	ft_pool_submit(pool, &job.job);
	wait_done(pool);
	ft_pool_stop(pool);
	ft_pool_free(&pool);
	ck_assert_int_eq(atomic_load(&notified), 0);
}
END_TEST

START_TEST(test_pool__gives_way_to_the_thread_that_clients_wait_for)
{
	int before = getpriority(PRIO_PROCESS, 0);
	struct ft_pool *pool = ft_pool_new(1, notify, &notified);
	atomic_int ran = 0;
	struct job job;

	init(&job, count, &ran);
	ft_pool_submit(pool, &job.job);
	wait_done(pool);
	ck_assert_int_eq(job.niceness, before + 5 < 19 ? before + 5 : 19);
	ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), before);
	ft_pool_stop(pool);
	ft_pool_free(&pool);
}
END_TEST

/* --- who is waited for comes first --- */

static atomic_int order;

/* Leaves its place in the order of those that ran in its counter. */
static void note_place(struct ft_job *base)
{
	atomic_store(FT_CONTAINER(base, struct job, job)->counter, atomic_fetch_add(&order, 1));
}

/* A pool whose one worker is busy until `hold` is false. */
static struct ft_pool *busy_pool(struct job *blocker, atomic_int *ran)
{
	struct ft_pool *pool = ft_pool_new(1, notify, &notified);

	atomic_store(&order, 0);
	atomic_store(&hold, true);
	init(blocker, spin, ran);
	ft_pool_submit(pool, &blocker->job);
	wait_for(ran, 1);
	return pool;
}

static void submit_places(struct ft_pool *pool, struct job *jobs, atomic_int *places, int count,
			  bool urgent)
{
	for (int i = 0; i < count; i++) {
		init(&jobs[i], note_place, &places[i]);
		atomic_store(&jobs[i].job.urgent, urgent);
		ft_pool_submit(pool, &jobs[i].job);
	}
}

static void finish_pool(struct ft_pool *pool, int count)
{
	atomic_store(&hold, false);
	for (int i = 0; i < count; i++)
		(void)wait_done(pool);
	ft_pool_stop(pool);
	ft_pool_free(&pool);
}

START_TEST(test_pool__runs_jobs_that_somebody_waits_for_before_those_that_can_wait)
{
	struct job blocker, later[20], urgent[2];
	atomic_int later_places[20], urgent_places[2], ran = 0;
	struct ft_pool *pool = busy_pool(&blocker, &ran);

	submit_places(pool, later, later_places, 20, false);
	submit_places(pool, urgent, urgent_places, 2, true);
	finish_pool(pool, 23);
	for (int i = 0; i < 2; i++)
		ck_assert_int_le(atomic_load(&urgent_places[i]), 2);
}
END_TEST

START_TEST(test_pool__runs_a_hurried_job_before_those_that_can_wait)
{
	struct job blocker, later[20];
	atomic_int places[20], ran = 0;
	struct ft_pool *pool = busy_pool(&blocker, &ran);

	submit_places(pool, later, places, 20, false);
	ft_job_hurry(&later[19].job);
	finish_pool(pool, 21);
	ck_assert_int_le(atomic_load(&places[19]), 1);
}
END_TEST

START_TEST(test_pool__lets_jobs_that_can_wait_not_wait_for_ever)
{
	struct job blocker, later, urgent[100];
	atomic_int later_place, urgent_places[100], ran = 0;
	struct ft_pool *pool = busy_pool(&blocker, &ran);

	submit_places(pool, urgent, urgent_places, 100, true);
	submit_places(pool, &later, &later_place, 1, false);
	finish_pool(pool, 102);
	ck_assert_int_le(atomic_load(&later_place), 20);
}
END_TEST

START_TEST(test_pool__gives_jobs_back_that_could_wait_when_it_stops)
{
	struct job blocker, later[5];
	atomic_int places[5], ran = 0;
	struct ft_pool *pool = busy_pool(&blocker, &ran);

	submit_places(pool, later, places, 5, false);
	ft_pool_stop(pool);
	for (int i = 0; i < 6; i++)
		ck_assert_ptr_nonnull(ft_pool_done(pool));
	ck_assert_ptr_null(ft_pool_done(pool));
	ft_pool_free(&pool);
}
END_TEST

/* --- together --- */

static atomic_int rows;		/* calls of finish() */
static atomic_int finished;

static void finish(struct ft_job *const *jobs, size_t jobs_count)
{
	atomic_fetch_add(&rows, 1);
	for (size_t i = 0; i < jobs_count; i++) {
		ck_assert(jobs[i]->held && jobs[i]->ran);
		atomic_fetch_add(&finished, 1);
	}
}

static void leave(struct ft_job *base)
{
	base->held = true;
}

static void init_held(struct job *job, bool brief)
{
	init(job, leave, NULL);
	job->job.finish = finish;
	job->job.brief = brief;
}

/* Runs these while the only worker is busy, so that they all wait in the queue. */
static void run_row(struct job *jobs, int jobs_count)
{
	atomic_int ran = 0;
	struct job blocker;
	struct ft_pool *pool = busy_pool(&blocker, &ran);

	atomic_store(&notified, 0);
	for (int i = 0; i < jobs_count; i++)
		ft_pool_submit(pool, &jobs[i].job);
	finish_pool(pool, 1 + jobs_count);
}

START_TEST(test_pool__finishes_brief_jobs_together_and_tells_it_once)
{
	struct job jobs[FT_JOBS_TOGETHER + 6];
	int jobs_count = sizeof jobs / sizeof jobs[0];

	for (int i = 0; i < jobs_count; i++)
		init_held(&jobs[i], true);
	run_row(jobs, jobs_count);
	ck_assert_int_eq(atomic_load(&finished), jobs_count);
	ck_assert_int_eq(atomic_load(&rows), 2);
	/* Of the busy job, and of each row. */
	ck_assert_int_eq(atomic_load(&notified), 3);
}
END_TEST

START_TEST(test_pool__lets_no_job_wait_for_the_long_work_of_another)
{
	struct job jobs[4];

	for (int i = 0; i < 4; i++)
		init_held(&jobs[i], i != 2);
	run_row(jobs, 4);
	ck_assert_int_eq(atomic_load(&finished), 4);
	/* 0 and 1; then the long one, which 3 may join. */
	ck_assert_int_eq(atomic_load(&rows), 2);
}
END_TEST

FT_SUITE("pool",
	 test_pool__runs_jobs_that_somebody_waits_for_before_those_that_can_wait,
	 test_pool__runs_a_hurried_job_before_those_that_can_wait,
	 test_pool__lets_jobs_that_can_wait_not_wait_for_ever,
	 test_pool__gives_jobs_back_that_could_wait_when_it_stops,
	 test_pool__runs_every_job_once_with_signals_blocked,
	 test_pool__stops_a_running_job_and_gives_the_others_back_unrun,
	 test_pool__lets_either_cancel_or_commit_win,
	 test_pool__notifies_of_a_hurried_job_whenever_it_ends,
	 test_pool__does_not_notify_of_jobs_that_can_wait,
	 test_pool__gives_way_to_the_thread_that_clients_wait_for,
	 test_pool__finishes_brief_jobs_together_and_tells_it_once,
	 test_pool__lets_no_job_wait_for_the_long_work_of_another);
