/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/guard_download.h"

#include <check.h>

#include "../suite.h"

struct row {
	const char *topic;
	enum ft_guard_verdict verdict;
};

static void assert_rows(enum ft_guard_access access, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(ft_guard_check_download(access, rows[i].topic, "me", "joe")
			      == rows[i].verdict, "%s", rows[i].topic);
}

START_TEST(test_guard__lets_clients_read_what_is_for_them)
{
	static const struct row rows[] = {
		{ "$file-get/0/1/x", FT_GUARD_DENY }, { "$file-get/#", FT_GUARD_DENY },
		{ "$file-data/me/0/x", FT_GUARD_ALLOW }, { "$file-data/me/#", FT_GUARD_ALLOW },
		{ "$file-data/me", FT_GUARD_ALLOW }, { "$file-data/mee/0/x", FT_GUARD_DENY },
		{ "$file-data/you/0/x", FT_GUARD_DENY }, { "$file-data/#", FT_GUARD_DENY },
		{ "$file-data/+/0/x", FT_GUARD_DENY },
		{ "$file-offer/all/x", FT_GUARD_FOREIGN }, { "$file-offer/all/#", FT_GUARD_FOREIGN },
		{ "$file-offer/client/me/x", FT_GUARD_ALLOW },
		{ "$file-offer/client/you/x", FT_GUARD_DENY },
		{ "$file-offer/client/joe/x", FT_GUARD_DENY },
		{ "$file-offer/client/+/x", FT_GUARD_DENY }, { "$file-offer/client/#", FT_GUARD_DENY },
		{ "$file-offer/user/joe/x", FT_GUARD_ALLOW },
		{ "$file-offer/user/me/x", FT_GUARD_DENY },
		{ "$file-offer/group/g/x", FT_GUARD_MEMBERS },
		{ "$file-offer/group/+/x", FT_GUARD_DENY }, { "$file-offer/group/#", FT_GUARD_DENY },
		{ "$file-offer/#", FT_GUARD_DENY }, { "$file-offer/+/x", FT_GUARD_DENY },
		{ "$file-report/you/x", FT_GUARD_FOREIGN }, { "$file/f/init", FT_GUARD_FOREIGN },
		{ "$file-get", FT_GUARD_FOREIGN }, { "x/$file-get/", FT_GUARD_FOREIGN },
	};

	assert_rows(FT_GUARD_READ, rows, sizeof rows / sizeof rows[0]);
	assert_rows(FT_GUARD_SUBSCRIBE, rows, sizeof rows / sizeof rows[0]);
}
END_TEST

START_TEST(test_guard__lets_nobody_share_what_is_for_one)
{
	static const struct row rows[] = {
		{ "$share/g/$file-data/me/#", FT_GUARD_DENY },
		{ "$share/g/$file-offer/client/me/#", FT_GUARD_DENY },
		{ "$share/g/$file-offer/group/g/#", FT_GUARD_DENY },
		{ "$share/g/$file-offer/all/#", FT_GUARD_FOREIGN },
		{ "$share/g/x", FT_GUARD_FOREIGN }, { "$share/g", FT_GUARD_FOREIGN },
	};

	assert_rows(FT_GUARD_SUBSCRIBE, rows, sizeof rows / sizeof rows[0]);
}
END_TEST

START_TEST(test_guard__lets_clients_ask_and_not_answer)
{
	static const struct row rows[] = {
		{ "$file-get/0/1/x", FT_GUARD_FOREIGN }, { "$file-data/me/0/x", FT_GUARD_DENY },
		{ "$file-offer/all/x", FT_GUARD_DENY }, { "$file-report/me/x", FT_GUARD_DENY },
		{ "$file-reports/x", FT_GUARD_FOREIGN },
	};

	assert_rows(FT_GUARD_WRITE, rows, sizeof rows / sizeof rows[0]);
}
END_TEST

START_TEST(test_guard__takes_no_id_for_a_wildcard_or_for_nobody)
{
	static const char *const ids[] = { "#", "+", "", NULL };

	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		ck_assert_int_eq(ft_guard_check_download(FT_GUARD_SUBSCRIBE, "$file-data/#", ids[i],
							 ids[i]), FT_GUARD_DENY);
		ck_assert_int_eq(ft_guard_check_download(FT_GUARD_SUBSCRIBE, "$file-offer/user/+/x",
							 ids[i], ids[i]), FT_GUARD_DENY);
		ck_assert_int_eq(ft_guard_check_download(FT_GUARD_READ, "$file-data//x", ids[i],
							 ids[i]), FT_GUARD_DENY);
	}
}
END_TEST

FT_SUITE("guard_download",
	 test_guard__lets_clients_read_what_is_for_them,
	 test_guard__lets_nobody_share_what_is_for_one,
	 test_guard__lets_clients_ask_and_not_answer,
	 test_guard__takes_no_id_for_a_wildcard_or_for_nobody);
