/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Option `deduplicate`: what its owner has finished already need not be sent again. */
#include <check.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/rig.h"
#include "../suite.h"

#define SHA_OF_HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define INIT(name) "{\"name\":\"" name "\",\"size\":5,\"checksum\":\"" SHA_OF_HELLO "\"}"

static struct rig rig;

static enum ft_status say(const char *topic, const char *text)
{
	return rig_ask_text(&rig, "c", topic, text);
}

static void check_state(const char *state)
{
	ck_assert_str_eq(rig_member(&rig, "state"), state);
}

static uint64_t inode_of(const char *below)
{
	struct stat info;

	ck_assert_int_eq(stat(rig_path(&rig, below), &info), 0);
	return info.st_ino;
}

/* c/f is finished as "n" with "hello". */
static void set_up(void)
{
	rig_setup(&rig, "fs");
	rig.options.deduplicate = FT_DEDUPLICATE_ON;
	rig_start(&rig);
	ck_assert_int_eq(say("$file/f/put/n", "hello"), FT_OK);
	rig_settle(&rig);
	rig_forget(&rig);
}

static void tear_down(void)
{
	rig_teardown(&rig);
}

/* Nothing is left aside, and all goes on. */
static void check_clean(void)
{
	rig_settle(&rig);
	ck_assert_uint_eq(tree_entries(rig_path(&rig, "tmp")), 0);
	ck_assert_uint_eq(rig.engine->charged, 0);
}

START_TEST(test_same__is_complete_without_a_byte)
{
	ck_assert_int_eq(say("$file/g/init", INIT("m")), FT_OK);
	check_state("\"complete\"");
	ck_assert_str_eq(rig_member(&rig, "received"), "5");
	rig_check_file(&rig, "files/c/g/m", "hello", 5);
	ck_assert(rig_has_file(&rig, "files/c/g/m.manifest.json"));
	ck_assert_uint_eq(inode_of("files/c/g/m"), inode_of("files/c/f/n"));
	ck_assert_uint_eq(rig.engine->metrics.skipped, 1);
	ck_assert_uint_eq(rig.engine->metrics.completed, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(say("$file/g/init", INIT("m")), FT_OK);
		check_state("\"complete\"");
		ck_assert_int_eq(say("$file/g/fin/5", ""), FT_OK);
		ck_assert_int_eq(say("$file/g/0", "jello"), FT_ALREADY_COMPLETE);
		check_clean();
		rig_restart(&rig);
	}
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
}
END_TEST

START_TEST(test_same__is_never_another_owners)
{
	ck_assert_int_eq(rig_ask_text(&rig, "d", "$file/g/init", INIT("m")), FT_OK);
	check_state("\"receiving\"");
	ck_assert(!rig_has_file(&rig, "files/d"));
}
END_TEST

/* Whatever the catalog says, the bytes that are there count. */
START_TEST(test_same__a_file_that_was_changed_counts_for_nothing)
{
	FILE *file = fopen(rig_path(&rig, "files/c/f/n"), "w");

	fputs("jello", file);
	fclose(file);
	ck_assert_int_eq(say("$file/g/init", INIT("m")), FT_OK);
	check_state("\"receiving\"");
	ck_assert_str_eq(rig_member(&rig, "have"), "[]");
	check_clean();
	ck_assert_int_eq(say("$file/g/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/g/fin/5", ""), FT_OK);
	rig_check_file(&rig, "files/c/g/m", "hello", 5);
	rig_check_file(&rig, "files/c/f/n", "jello", 5);	/* and is left alone */
}
END_TEST

START_TEST(test_same__a_file_that_was_taken_counts_for_nothing)
{
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n")), 0);
	ck_assert_int_eq(say("$file/g/init", INIT("m")), FT_OK);
	check_state("\"receiving\"");
	check_clean();
	ck_assert_int_eq(say("$file/g/0", "hello"), FT_OK);
	ck_assert_int_eq(say("$file/g/fin/5", ""), FT_OK);
}
END_TEST

START_TEST(test_same__segments_that_come_at_once_count)
{
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/g/init", INIT("m")), FT_OK);
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/g/0", "hel"), FT_OK);
	rig_wait(&rig, 2);
	ck_assert_str_eq(rig_member_of(&rig, "$file/g/init", "state"), "\"receiving\"");
	ck_assert_int_eq(say("$file/g/3", "lo"), FT_OK);
	ck_assert_int_eq(say("$file/g/fin/5", ""), FT_OK);
	ck_assert_uint_ne(inode_of("files/c/g/m"), inode_of("files/c/f/n"));
}
END_TEST

START_TEST(test_same__a_fin_that_comes_at_once_is_answered)
{
	ck_assert_int_eq(rig_send_text(&rig, "c", "$file/g/init", INIT("m")), FT_OK);
	(void)rig_send_text(&rig, "c", "$file/g/fin/5", "");
	rig_wait(&rig, 2);
	/* Accepted while the verdict was awaited, nothing of it was held. */
	ck_assert(rig_response(&rig, "$file/g/fin/5")->status == FT_INCOMPLETE
		  || rig_response(&rig, "$file/g/fin/5")->status == FT_OK);
	check_clean();
}
END_TEST

START_TEST(test_same__needs_size_and_checksum)
{
	ck_assert_int_eq(say("$file/g/init", "{\"name\":\"m\",\"checksum\":\"" SHA_OF_HELLO "\"}"), FT_OK);
	check_state("\"receiving\"");
	ck_assert_int_eq(say("$file/h/init", "{\"name\":\"m\",\"size\":6,\"checksum\":\"" SHA_OF_HELLO "\"}"),
			 FT_OK);
	check_state("\"receiving\"");
}
END_TEST

START_TEST(test_same__one_of_the_names_may_go)
{
	ck_assert_int_eq(say("$file/g/init", INIT("m")), FT_OK);
	ck_assert_int_eq(unlink(rig_path(&rig, "files/c/f/n")), 0);
	rig_check_file(&rig, "files/c/g/m", "hello", 5);
	ck_assert_int_eq(say("$file/h/init", INIT("o")), FT_OK);
	check_clean();
	rig_check_file(&rig, "files/c/g/m", "hello", 5);
}
END_TEST

static void begin_and_die(void)
{
	(void)rig_send_text(&rig, "c", "$file/g/init", INIT("m"));
	for (int i = 0; i < 100 && rig.responses == 0; i++) {
		rig_run(&rig);
		usleep((useconds_t)(rand() % 300));
	}
}

/* Killed anywhere on the way: it is finished, or an ordinary transfer; what it was made of is whole. */
START_TEST(test_same__a_kill_leaves_both_whole)
{
	srand((unsigned)_i);
	rig_stop(&rig);
	rig_act_and_be_killed(&rig, begin_and_die);
	rig_start(&rig);
	rig_forget(&rig);
	ck_assert_int_eq(say("$file/g/init", INIT("m")), FT_OK);
	if (strcmp(rig_member(&rig, "state"), "\"receiving\"") == 0) {
		ck_assert_int_eq(say("$file/g/0", "hello"), FT_OK);
		ck_assert_int_eq(say("$file/g/fin/5", ""), FT_OK);
	}
	rig_check_file(&rig, "files/c/g/m", "hello", 5);
	rig_check_file(&rig, "files/c/f/n", "hello", 5);
	check_clean();
}
END_TEST

START_TEST(test_same__is_off_unless_asked_for)
{
	rig_stop(&rig);
	rig.options.deduplicate = FT_DEDUPLICATE_OFF;
	rig_start(&rig);
	ck_assert_int_eq(say("$file/g/init", INIT("m")), FT_OK);
	check_state("\"receiving\"");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		test_same__is_complete_without_a_byte,
		test_same__is_never_another_owners,
		test_same__a_file_that_was_changed_counts_for_nothing,
		test_same__a_file_that_was_taken_counts_for_nothing,
		test_same__segments_that_come_at_once_count,
		test_same__a_fin_that_comes_at_once_is_answered,
		test_same__needs_size_and_checksum,
		test_same__one_of_the_names_may_go,
		test_same__is_off_unless_asked_for,
	};
	Suite *suite;
	TCase *cases;

	ft_suite_use_memory();
	suite = suite_create("engine same");
	cases = ft_suite_cases("engine same");
	tcase_add_checked_fixture(cases, set_up, tear_down);
	for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
		tcase_add_test(cases, tests[i]);
	tcase_add_loop_test(cases, test_same__a_kill_leaves_both_whole, 0, 30);
	suite_add_tcase(suite, cases);
	return ft_suite_finish(suite);
}
