/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Two threads meet at every possible moment: one does something, and before its 1st,
 * 2nd, 3rd ... system call the other does all of something else. Where the lock of
 * a name is held at that moment the other would have to wait: that moment is left out.
 */
#include "store_faults.h"

#include "../contract/store_rig.h"
#include "../suite.h"

static const struct ft_key KEY = {"c/1", 3, "f1", 2};

/* One meeting. */
struct meeting {
	struct rig rig;
	struct ft_upload *upload;
	struct ft_upload *second;	/* begun under the same key after the detach */
	enum ft_status detached;
	bool met;
	bool removed;			/* the directory that the file was to go to */
};

static void begin(struct meeting *meeting)
{
	*meeting = (struct meeting){.detached = FT_CANCELLED};
	rig_open(&meeting->rig, "fs", FT_DURABILITY_FILE);
	meeting->upload = rig_create(&meeting->rig, &KEY);
	rig_put_text(&meeting->rig, meeting->upload, 0, "content");
}

static void end(struct meeting *meeting)
{
	if (meeting->upload)
		meeting->rig.ops->release(&meeting->upload);
	if (meeting->second)
		meeting->rig.ops->release(&meeting->second);
	ck_assert_uint_eq(tree_entries(rig_path(&meeting->rig, "damaged")), 0);
	rig_close(&meeting->rig);
}

/* --- what the other thread does --- */

/* The broker's: the client aborts and begins again. */
static void abort_and_begin(void *context)
{
	struct meeting *meeting = context;
	struct ft_trash *trash = NULL;

	if (!fault_names_are_free(fs_of(meeting->rig.store)))
		return;
	meeting->met = true;
	meeting->detached = meeting->rig.ops->detach(&meeting->upload, &trash);
	if (meeting->detached != FT_OK)
		return;
	ck_assert_int_eq(rig_try_load(&meeting->rig, &KEY), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_try_find(&meeting->rig, &KEY), FT_NO_SUCH_TRANSFER);
	meeting->second = rig_create(&meeting->rig, &KEY);
	rig_put_text(&meeting->rig, meeting->second, 0, "new");
	ck_assert_int_eq(meeting->rig.ops->purge(&trash), FT_OK);
}

/* Another worker's. */
static void enumerate(void *context)
{
	struct meeting *meeting = context;

	if (!fault_names_are_free(fs_of(meeting->rig.store)))
		return;
	meeting->met = true;
	rig_walk(&meeting->rig);
}

/* A consumer's: it has fetched the files there were, and removes directories that are empty. */
static void remove_empty_dirs(void *context)
{
	struct meeting *meeting = context;

	meeting->met = true;
	meeting->removed = rmdir(rig_path(&meeting->rig, "files/c%%2F1/f1")) == 0;
	(void)rmdir(rig_path(&meeting->rig, "files/c%%2F1"));
}

/* Meets at the nth call; false when there was no such call. */
typedef bool meeting_test(struct fault_plan *plan);

static void meet_everywhere(meeting_test *meet, void (*action)(void *), bool fail_last_sync)
{
	struct fault_plan plan = {
		.kind = FAULT_ACTION,
		.action = action,
		.fail_last_sync = fail_last_sync,
	};

	for (plan.nth = 1; meet(&plan); plan.nth++)
		;
	ck_assert_uint_gt(plan.nth, 3);
}

/* The new transfer is what the client made of it. */
static void expect_second(struct meeting *meeting)
{
	rig_expect(&meeting->rig, meeting->second, 0, "new", 3);
	meeting->rig.ops->release(&meeting->second);
	meeting->second = rig_load(&meeting->rig, &KEY);
	ck_assert_str_eq(rig_held(meeting->second), "0-3");
	ck_assert_int_eq(rig_try_find(&meeting->rig, &KEY), FT_NO_SUCH_TRANSFER);
	ck_assert_int_eq(rig_publish(&meeting->rig, meeting->second, "other", 3), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&meeting->rig, "files/c%%2F1/f1")), 2);
}

/* --- publish --- */

static bool meet_publish(struct fault_plan *plan)
{
	struct meeting meeting;
	struct ft_work *work;
	enum ft_status st;
	bool hit;

	begin(&meeting);
	work = rig_work(&meeting.rig, meeting.upload);
	plan->context = &meeting;
	fault_arm(plan);
	st = rig_publish_work(&meeting.rig, work, "name", 7);
	fault_disarm();
	hit = fault.hits > 0;
	meeting.rig.ops->work_close(&work);
	if (meeting.detached == FT_OK) {
		ck_assert_int_eq(st, FT_NO_SUCH_TRANSFER);
		expect_second(&meeting);
	} else if (plan->fail_last_sync || (st == FT_BUSY && meeting.removed)) {
		ck_assert_int_eq(st, plan->fail_last_sync ? FT_IO_ERROR : FT_BUSY);
		ck_assert_int_eq(rig_try_find(&meeting.rig, &KEY), FT_NO_SUCH_TRANSFER);
		rig_expect(&meeting.rig, meeting.upload, 0, "content", 7);
		ck_assert_int_eq(rig_publish(&meeting.rig, meeting.upload, "name", 7), FT_OK);
	} else {
		ck_assert_int_eq(st, FT_OK);
		ck_assert_int_eq(rig_try_find(&meeting.rig, &KEY), FT_OK);
		ck_assert_uint_eq(tree_entries(rig_path(&meeting.rig, "files/c%%2F1/f1")), 2);
	}
	end(&meeting);
	return hit;
}

START_TEST(test_store__publish_meets_an_abort)
{
	meet_everywhere(meet_publish, abort_and_begin, false);
}
END_TEST

START_TEST(test_store__publish_meets_a_walk)
{
	meet_everywhere(meet_publish, enumerate, false);
}
END_TEST

START_TEST(test_store__publish_that_fails_at_the_end_meets_a_walk)
{
	meet_everywhere(meet_publish, enumerate, true);
}
END_TEST

START_TEST(test_store__publish_meets_a_consumer_that_removes_empty_directories)
{
	meet_everywhere(meet_publish, remove_empty_dirs, false);
}
END_TEST

/* --- checkpoint, manifest --- */

static bool meet_checkpoint(struct fault_plan *plan)
{
	struct ft_checkpoint *checkpoint = NULL;
	struct meeting meeting;
	enum ft_status ran;
	bool hit;

	begin(&meeting);
	ck_assert_int_eq(meeting.rig.ops->checkpoint_begin(meeting.upload, &checkpoint), FT_OK);
	plan->context = &meeting;
	fault_arm(plan);
	ran = meeting.rig.ops->checkpoint_run(checkpoint);
	fault_disarm();
	hit = fault.hits > 0;
	ck_assert_int_eq(meeting.rig.ops->checkpoint_end(meeting.upload, &checkpoint, ran), ran);
	if (meeting.detached == FT_OK) {
		expect_second(&meeting);
	} else {
		ck_assert_int_eq(ran, FT_OK);
		rig_expect(&meeting.rig, meeting.upload, 0, "content", 7);
	}
	end(&meeting);
	return hit;
}

START_TEST(test_store__checkpoint_meets_an_abort)
{
	meet_everywhere(meet_checkpoint, abort_and_begin, false);
}
END_TEST

START_TEST(test_store__checkpoint_meets_a_walk)
{
	meet_everywhere(meet_checkpoint, enumerate, false);
}
END_TEST

static bool meet_manifest(struct fault_plan *plan)
{
	char *manifest = NULL, *first = rig_manifest(&KEY, "begun");
	struct meeting meeting;
	struct ft_work *work;
	enum ft_status st;
	size_t len;
	bool hit;

	begin(&meeting);
	work = rig_work(&meeting.rig, meeting.upload);
	plan->context = &meeting;
	fault_arm(plan);
	st = meeting.rig.ops->manifest(work, &manifest, &len);
	fault_disarm();
	hit = fault.hits > 0;
	ck_assert(st == FT_OK || (meeting.detached == FT_OK && st == FT_NO_SUCH_TRANSFER));
	if (st == FT_OK)
		ck_assert_str_eq(manifest, first);
	free(manifest);
	free(first);
	meeting.rig.ops->work_close(&work);
	end(&meeting);
	return hit;
}

START_TEST(test_store__reading_the_manifest_meets_an_abort)
{
	meet_everywhere(meet_manifest, abort_and_begin, false);
}
END_TEST

/* --- create, detach, walk --- */

static bool meet_create_and_detach(struct fault_plan *plan)
{
	struct ft_key key = rig_key("c/1", "f2");
	struct ft_trash *trash = NULL;
	struct ft_upload *upload;
	struct meeting meeting;
	bool hit;

	begin(&meeting);
	plan->context = &meeting;
	fault_arm(plan);
	upload = rig_create(&meeting.rig, &key);
	rig_put_text(&meeting.rig, upload, 0, "bytes");
	meeting.rig.ops->release(&upload);
	upload = rig_load(&meeting.rig, &key);
	ck_assert_str_eq(rig_held(upload), "0-5");
	ck_assert_int_eq(meeting.rig.ops->detach(&upload, &trash), FT_OK);
	ck_assert_int_eq(meeting.rig.ops->purge(&trash), FT_OK);
	fault_disarm();
	hit = fault.hits > 0;
	ck_assert_int_eq(rig_try_load(&meeting.rig, &key), FT_NO_SUCH_TRANSFER);
	ck_assert_uint_eq(tree_entries(rig_path(&meeting.rig, "trash")), 0);
	end(&meeting);
	return hit;
}

START_TEST(test_store__a_short_life_meets_a_walk)
{
	meet_everywhere(meet_create_and_detach, enumerate, false);
}
END_TEST

static bool meet_walk(struct fault_plan *plan)
{
	struct meeting meeting;
	bool hit;

	begin(&meeting);
	plan->context = &meeting;
	fault_arm(plan);
	rig_walk(&meeting.rig);
	fault_disarm();
	hit = fault.hits > 0;
	if (meeting.met) {
		ck_assert_int_eq(meeting.detached, FT_OK);
		expect_second(&meeting);
	}
	end(&meeting);
	return hit;
}

START_TEST(test_store__a_walk_meets_an_abort)
{
	meet_everywhere(meet_walk, abort_and_begin, false);
}
END_TEST

FT_SUITE("store interleavings",
	 test_store__publish_meets_an_abort,
	 test_store__publish_meets_a_walk,
	 test_store__publish_that_fails_at_the_end_meets_a_walk,
	 test_store__publish_meets_a_consumer_that_removes_empty_directories,
	 test_store__checkpoint_meets_an_abort,
	 test_store__checkpoint_meets_a_walk,
	 test_store__reading_the_manifest_meets_an_abort,
	 test_store__a_short_life_meets_a_walk,
	 test_store__a_walk_meets_an_abort);
