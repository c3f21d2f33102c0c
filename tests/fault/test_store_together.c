/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Several files are published together, and any call fails on the way. */
#include "store_faults.h"

#include "../contract/store_rig.h"
#include "../suite.h"

#define COUNT 4		/* enough for one syncfs() to stand for all fsyncs */
#define CONTENT "content"
#define LEN (sizeof CONTENT - 1)

struct crowd {
	struct rig rig;
	char file[COUNT][4];
	struct ft_key key[COUNT];
	struct ft_upload *upload[COUNT];
	struct ft_publication publication[COUNT];
};

static void gather(struct crowd *crowd, enum ft_durability durability)
{
	rig_open(&crowd->rig, "fs", durability);
	for (size_t i = 0; i < COUNT; i++) {
		snprintf(crowd->file[i], sizeof crowd->file[i], "f%zu", i);
		crowd->key[i] = (struct ft_key){"c/1", 3, crowd->file[i], 2};
		crowd->upload[i] = rig_create(&crowd->rig, &crowd->key[i]);
		rig_put_text(&crowd->rig, crowd->upload[i], 0, CONTENT "-and-more");
		crowd->publication[i] = (struct ft_publication){
			.work = rig_work(&crowd->rig, crowd->upload[i]),
			.name = "name",
			.size = LEN,
			.manifest = "{\"finished\":1}",
			.manifest_len = 14,
			.status = FT_INTERNAL_ERROR,
		};
	}
}

static void publish(struct crowd *crowd)
{
	crowd->rig.ops->publish(crowd->publication, COUNT);
	for (size_t i = 0; i < COUNT; i++)
		crowd->rig.ops->work_close(&crowd->publication[i].work);
}

static void part(struct crowd *crowd)
{
	for (size_t i = 0; i < COUNT; i++)
		if (crowd->upload[i])
			crowd->rig.ops->release(&crowd->upload[i]);
	rig_close(&crowd->rig);
}

static const char *finished_name(struct crowd *crowd, size_t i, const char *leaf)
{
	char room[64];

	snprintf(room, sizeof room, "files/c%%2F1/%s/%s", crowd->file[i], leaf);
	/* The ids hold no other %. */
	return rig_path(&crowd->rig, "%s", room);
}

static void expect_finished(struct crowd *crowd, size_t i)
{
	struct stat file;

	ck_assert_int_eq(rig_try_find(&crowd->rig, &crowd->key[i]), FT_OK);
	ck_assert_int_eq(rig_try_load(&crowd->rig, &crowd->key[i]), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(stat(finished_name(crowd, i, "name"), &file), 0);
	ck_assert_int_eq(file.st_size, LEN);
	ck_assert(rig_exists(finished_name(crowd, i, "name.manifest.json")));
}

/* As before, but for what a failed fsync has cost; and a second try succeeds. */
static void expect_unfinished(struct crowd *crowd, size_t i, enum ft_durability durability)
{
	bool synced = crowd->publication[i].sync_failed;
	struct ft_upload *upload = crowd->upload[i];

	if (synced) {
		ck_assert_int_eq(crowd->publication[i].status, FT_IO_ERROR);
		ck_assert_int_ne(durability, FT_DURABILITY_NONE);
	}
	ck_assert(!rig_exists(finished_name(crowd, i, "name")));
	ck_assert_int_eq(rig_try_find(&crowd->rig, &crowd->key[i]), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(crowd->rig.ops->reassess(upload, synced), FT_OK);
	if (!ft_ranges_cover(&upload->held, 0, LEN)) {
		ck_assert(synced);
		rig_put_text(&crowd->rig, upload, 0, CONTENT);
	}
	rig_expect(&crowd->rig, upload, 0, CONTENT, LEN);
	ck_assert_int_eq(rig_publish(&crowd->rig, upload, "name", LEN), FT_OK);
	expect_finished(crowd, i);
}

/* Returns whether the plan's call was reached. */
static bool publish_with_fault(const struct fault_plan *plan, enum ft_durability durability)
{
	size_t failed = 0;
	struct crowd crowd;
	bool hit;

	gather(&crowd, durability);
	fault_arm(plan);
	publish(&crowd);
	fault_disarm();
	hit = fault.hits > 0;
	for (size_t i = 0; i < COUNT; i++) {
		failed += crowd.publication[i].status != FT_OK;
		/* Where nothing works any more a file that is there cannot be taken back. */
		if (crowd.publication[i].status == FT_OK ||
		    (plan->persistent && rig_exists(finished_name(&crowd, i, "name"))))
			expect_finished(&crowd, i);
		else
			expect_unfinished(&crowd, i, durability);
	}
	ck_assert(hit || failed == 0);
	/* A single error is nobody else's, but where there is no memory for any. */
	if (!plan->persistent && plan->kind == FAULT_ERROR)
		ck_assert_uint_le(failed, 1);
	/* What says that bytes were lost says it only once. */
	if (hit && !plan->persistent && plan->kind == FAULT_ERROR &&
	    strstr(fault.hit, "sync") && strcmp(fault.hit, "syncfs") != 0)
		ck_assert_uint_eq(failed, 1);
	part(&crowd);
	return hit;
}

static void fail_every_call(struct fault_plan plan, enum ft_durability durability)
{
	for (plan.nth = 1; publish_with_fault(&plan, durability); plan.nth++)
		;
	ck_assert_uint_gt(plan.nth, plan.kind == FAULT_MEMORY ? 1 : 20);
}

START_TEST(test_together__an_error_fails_the_file_it_meets_and_no_other)
{
	fail_every_call((struct fault_plan){.kind = FAULT_ERROR, .error = EIO},
			FT_DURABILITY_FILE);
}
END_TEST

START_TEST(test_together__a_disk_that_turns_full_leaves_files_whole_or_unfinished)
{
	const struct fault_plan plan = {.kind = FAULT_ERROR, .error = ENOSPC, .persistent = true};

	fail_every_call(plan, FT_DURABILITY_NONE);
	fail_every_call(plan, FT_DURABILITY_FILE);
}
END_TEST

START_TEST(test_together__no_memory_leaves_files_whole_or_unfinished)
{
	fail_every_call((struct fault_plan){.kind = FAULT_MEMORY}, FT_DURABILITY_FILE);
}
END_TEST

static struct crowd *meeting;

static void detach_one(void *context)
{
	struct ft_trash *trash = NULL;
	size_t i = *(const size_t *)context;

	if (!fault_names_are_free(fs_of(meeting->rig.store)))
		return;
	if (meeting->rig.ops->detach(&meeting->upload[i], &trash) == FT_OK)
		ck_assert_int_eq(meeting->rig.ops->purge(&trash), FT_OK);
}

/* Between any two calls one of them is aborted. */
START_TEST(test_together__one_that_is_detached_takes_no_other_with_it)
{
	size_t which = 2;
	struct fault_plan plan = {.kind = FAULT_ACTION, .action = detach_one, .context = &which};
	bool hit = true;

	for (plan.nth = 1; hit; plan.nth++) {
		struct crowd crowd;

		gather(&crowd, FT_DURABILITY_FILE);
		meeting = &crowd;
		fault_arm(&plan);
		publish(&crowd);
		fault_disarm();
		hit = fault.hits > 0;
		for (size_t i = 0; i < COUNT; i++) {
			if (crowd.upload[i]) {
				ck_assert_int_eq(crowd.publication[i].status, FT_OK);
				expect_finished(&crowd, i);
				continue;
			}
			ck_assert_uint_eq(i, which);
			ck_assert_int_eq(crowd.publication[i].status, FT_NO_SUCH_TRANSFER);
			ck_assert_int_eq(rig_try_find(&crowd.rig, &crowd.key[i]),
					 FT_NO_SUCH_TRANSFER);
		}
		part(&crowd);
	}
	ck_assert_uint_gt(plan.nth, 20);
}
END_TEST

START_TEST(test_together__waits_for_the_disk_three_times_however_many_they_are)
{
	struct fault_plan plan = {.kind = FAULT_ERROR, .error = EIO, .nth = 1u << 30};
	struct crowd crowd;

	gather(&crowd, FT_DURABILITY_FILE);
	fault_arm(&plan);
	publish(&crowd);
	fault_disarm();
	ck_assert_uint_eq(fault.waits, 3);
	part(&crowd);
}
END_TEST

FT_SUITE_IN_MEMORY("together",
	 test_together__an_error_fails_the_file_it_meets_and_no_other,
	 test_together__a_disk_that_turns_full_leaves_files_whole_or_unfinished,
	 test_together__no_memory_leaves_files_whole_or_unfinished,
	 test_together__one_that_is_detached_takes_no_other_with_it,
	 test_together__waits_for_the_disk_three_times_however_many_they_are);
