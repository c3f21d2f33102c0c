/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What clients may use. */
#include <check.h>
#include <unistd.h>

#include "../lib/fake_store.h"
#include "../lib/rig.h"
#include "../suite.h"

static struct rig rig;

static void set_up(void)
{
	fake_reset("fs");
	rig_setup(&rig, "fs");
	rig.ops = &fake_store;
}

static void tear_down(void)
{
	fake_go_on();
	fake_unwatch();
	rig_teardown(&rig);
	fake_check();
}

static enum ft_status say(const char *client, const char *topic, const char *text)
{
	return rig_ask_text(&rig, client, topic, text);
}

/* --- names --- */

START_TEST(test_limits__refuse_names)
{
	rig.options.allow_names = strdup("*.jpg,*.png");
	rig.options.deny_names = strdup("secret*");
	rig_start(&rig);
	ck_assert_int_eq(say("c", "$file/f/init", "{\"name\":\"a.jpg\"}"), FT_OK);
	ck_assert_int_eq(say("c", "$file/g/init", "{\"name\":\"a.exe\"}"), FT_NAME_REFUSED);
	ck_assert_str_eq(rig_member(&rig, "detail"),
			 "\"the broker takes only names that fit its allow_names\"");
	ck_assert_int_eq(say("c", "$file/g/init", "{\"name\":\"secret.jpg\"}"), FT_NAME_REFUSED);
	ck_assert_str_eq(rig_member(&rig, "detail"), "\"the broker's deny_names refuse this name\"");
	ck_assert_int_eq(say("c", "$file/g/put/a.exe", "x"), FT_NAME_REFUSED);
	ck_assert_int_eq(say("c", "$file/g/put/a.png", "x"), FT_OK);
}
END_TEST

FT_SUITE_IN_MEMORY_WITH("engine limits", set_up, tear_down,
	test_limits__refuse_names);
