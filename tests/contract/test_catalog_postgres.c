/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What only a catalog in PostgreSQL can meet: connections that are lost, a server that is killed, a
 * commit whose answer never comes, another broker. With FT_CATALOG_URL and FT_CATALOG_SERVER, a
 * command that controls that server: tests/engines/postgresql.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "../lib/catalog_rig.h"
#include "../suite.h"

#define SERVER "FT_CATALOG_SERVER"
#define SOCKET ".s.PGSQL.5432"

static struct catalog_rig rig;

#define NEEDS_SERVER() \
	do \
		if (!getenv(SERVER)) \
			FT_SKIP("needs a server: make test-engines ENGINES=postgresql"); \
	while (0)

static void set_up(void)
{
	catalog_rig_init(&rig);
}

static void tear_down(void)
{
	catalog_rig_release(&rig);
}

/* Tells the server to do something. */
__attribute__((format(printf, 1, 2)))
static void server(const char *format, ...)
{
	char command[1024];
	int len = snprintf(command, sizeof command, "%s ", getenv(SERVER));
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(command + len, sizeof command - (size_t)len, format, arguments);
	va_end(arguments);
	ck_assert_msg(system(command) == 0, "%s", command);
}

/* Which schema the rig's is. */
static const char *schema(void)
{
	return strstr(rig.url, "%3D") + 3;
}

static void opens(void)
{
	ck_assert_msg(catalog_rig_reopen(&rig) == FT_OK, "%s", rig.log);
}

static enum ft_status put(uint64_t number)
{
	struct ft_facts facts = catalog_rig_facts(number, "cam", "f");

	return ft_catalog_put_transfer(rig.catalog, &facts, FT_CATALOG_RECEIVING, 0);
}

static bool has(uint64_t number)
{
	struct ft_key key = { "cam", 3, "f", 1 };
	uint64_t found;
	enum ft_status st = ft_catalog_find_number(rig.catalog, &key, &found);

	ck_assert_msg(st == FT_OK, "%s\n%s", ft_status_word(st), rig.log);
	return found == number;
}

static void said(const char *words)
{
	ck_assert_msg(strstr(rig.log, words) != NULL, "not: %s\nin: %s", words, rig.log);
}

/* What is in the test's password, escaped or not. */
static void tells_no_password(void)
{
	ck_assert_msg(!strstr(rig.log, "cr%t") && !strstr(rig.log, "p@ss") && !strstr(rig.log, "cr%25t")
		      && !strstr(rig.log, "p%40ss"), "%s", rig.log);
}

/* --- connections --- */

START_TEST(test_postgres__connects_again_before_a_transaction)
{
	NEEDS_SERVER();
	opens();
	server("restart");
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(put(1), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	ck_assert(has(1));
	ck_assert_str_eq(rig.log, "");
}
END_TEST

START_TEST(test_postgres__connects_again_to_read)
{
	NEEDS_SERVER();
	opens();
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(put(1), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	server("restart");
	ck_assert(has(1));
	ck_assert_str_eq(rig.log, "");
}
END_TEST

/* kill -9 behind a commit takes nothing away. */
START_TEST(test_postgres__keeps_what_was_committed_when_the_server_is_killed)
{
	NEEDS_SERVER();
	opens();
	for (uint64_t i = 1; i <= 20; i++) {
		ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
		ck_assert_int_eq(put(i), FT_OK);
		ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	}
	server("restart");
	ck_assert(has(20));
}
END_TEST

START_TEST(test_postgres__fails_a_transaction_that_lost_its_connection)
{
	NEEDS_SERVER();
	opens();
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(put(1), FT_OK);
	server("restart");
	ck_assert_int_eq(put(2), FT_BUSY);
	/* Nothing that follows is committed on its own. */
	ck_assert_int_eq(put(3), FT_BUSY);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_BUSY);
	ft_catalog_rollback(rig.catalog);
	ck_assert(has(0));
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(put(4), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	ck_assert(has(4));
}
END_TEST

START_TEST(test_postgres__says_once_that_the_server_is_away_and_once_that_it_is_back)
{
	NEEDS_SERVER();
	opens();
	server("kill");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_BUSY);
	said("look whether the server runs");
	ck_assert_ptr_eq(strchr(rig.log, '\n'), rig.log + rig.log_len - 1);
	server("start");
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ft_catalog_rollback(rig.catalog);
	said("the database answers again");
	tells_no_password();
}
END_TEST

START_TEST(test_postgres__goes_on_when_a_connection_is_ended)
{
	struct ft_catalog *mine;
	size_t count;

	NEEDS_SERVER();
	opens();
	ck_assert_int_eq(ft_catalog_join(rig.catalog, &mine), FT_OK);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(ft_catalog_count_finished(mine, &count), FT_OK);
		server("sql \"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
		       " WHERE application_name = 'mosquitto-file-transfer'\" >/dev/null");
	}
	ft_catalog_close(&mine);
	ck_assert(has(0));
}
END_TEST

/* --- a commit without an answer --- */

enum cut {
	CUT_NOTHING,
	CUT_BEFORE,		/* the server never sees it */
	CUT_AFTER,		/* it does, and its answer is lost */
};

struct link {
	int from, to;
};

static atomic_int cut;
static char proxy_dir[128], server_dir[256];

static int socket_in(const char *dir, struct sockaddr_un *address)
{
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	ck_assert_int_lt(snprintf(address->sun_path, sizeof address->sun_path, "%s/" SOCKET, dir),
			 (int)sizeof address->sun_path);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static bool send_all(int to, const char *bytes, ssize_t len)
{
	while (len > 0) {
		ssize_t sent = send(to, bytes, (size_t)len, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		bytes += sent;
		len -= sent;
	}
	return true;
}

/* One connection: until an end hangs up, or a COMMIT is to be lost. */
static void *proxy_pump(void *argument)
{
	struct link *link = argument;
	struct pollfd fds[] = { { .fd = link->from, .events = POLLIN }, { .fd = link->to, .events = POLLIN } };
	static const char commit[] = "COMMIT";
	char bytes[65536];
	bool goes_on = true;

	while (goes_on && poll(fds, 2, -1) > 0) {
		for (int i = 0; goes_on && i < 2; i++) {
			ssize_t len = fds[i].revents ? recv(fds[i].fd, bytes, sizeof bytes, 0) : -1;
			int what = CUT_NOTHING;

			if (!fds[i].revents)
				continue;
			if (i == 0 && len > 0 && memmem(bytes, (size_t)len, commit, sizeof commit))
				what = atomic_exchange(&cut, CUT_NOTHING);
			goes_on = len > 0 && what != CUT_BEFORE && send_all(fds[1 - i].fd, bytes, len);
			if (what == CUT_AFTER)
				goes_on = recv(link->to, bytes, sizeof bytes, 0) < 0;
		}
	}
	close(link->from);
	close(link->to);
	free(link);
	return NULL;
}

static void *proxy_accept(void *argument)
{
	int listener = *(int *)argument;
	int from;

	while ((from = accept(listener, NULL, NULL)) >= 0) {
		struct link *link = malloc(sizeof *link);
		struct sockaddr_un address;
		pthread_t thread;

		*link = (struct link){ from, socket_in(server_dir, &address) };
		ck_assert_int_eq(connect(link->to, (struct sockaddr *)&address, sizeof address), 0);
		ck_assert_int_eq(pthread_create(&thread, NULL, proxy_pump, link), 0);
		pthread_detach(thread);
	}
	return NULL;
}

/* The rig's URL leads through a proxy from now on, which lives as long as the test's process. */
static void use_proxy(void)
{
	static int listener;
	const char *host = strstr(rig.url, "host=") + 5;
	struct sockaddr_un address;
	char url[CATALOG_URL_ROOM];
	pthread_t thread;

	snprintf(server_dir, sizeof server_dir, "%.*s", (int)strcspn(host, "&"), host);
	snprintf(proxy_dir, sizeof proxy_dir, "%s", rig.dir);
	snprintf(url, sizeof url, "%.*s%s%s", (int)(host - rig.url), rig.url, proxy_dir,
		 host + strlen(server_dir));
	memcpy(rig.url, url, sizeof url);
	listener = socket_in(proxy_dir, &address);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(listen(listener, 8), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, proxy_accept, &listener), 0);
	pthread_detach(thread);
}

/* The connection is cut before or after the server sees the commit of transfer `number`. */
static void commit_is_cut(uint64_t number, int when, enum ft_status wanted)
{
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(put(number), FT_OK);
	atomic_store(&cut, when);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), wanted);
	ck_assert_int_eq(atomic_load(&cut), CUT_NOTHING);
}

START_TEST(test_postgres__finds_out_that_a_commit_has_taken_place)
{
	NEEDS_SERVER();
	use_proxy();
	opens();
	for (uint64_t i = 1; i <= 3; i++) {
		commit_is_cut(i, CUT_AFTER, FT_OK);
		ck_assert(has(i));
	}
}
END_TEST

START_TEST(test_postgres__finds_out_that_a_commit_has_not_taken_place)
{
	NEEDS_SERVER();
	use_proxy();
	opens();
	for (uint64_t i = 1; i <= 3; i++) {
		commit_is_cut(i, CUT_BEFORE, FT_BUSY);
		ft_catalog_rollback(rig.catalog);
		ck_assert(has(0));
	}
	/* And what follows is as ever. */
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(put(4), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	ck_assert(has(4));
}
END_TEST

/* --- another broker --- */

START_TEST(test_postgres__tells_a_second_broker_that_there_is_one)
{
	struct catalog_rig second;

	NEEDS_SERVER();
	opens();
	catalog_rig_init(&second);
	memcpy(second.url, rig.url, sizeof second.url);
	ck_assert_int_eq(catalog_rig_open(&second), FT_BUSY);
	ck_assert_msg(strstr(second.log, "another broker uses this schema") != NULL, "%s", second.log);
	catalog_rig_release(&second);
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ft_catalog_rollback(rig.catalog);
}
END_TEST

/* One that was cut off, or stopped for a while, must not write over what its successor has. */
START_TEST(test_postgres__refuses_whoever_was_replaced)
{
	struct catalog_rig second;

	NEEDS_SERVER();
	opens();
	catalog_rig_init(&second);
	memcpy(second.url, rig.url, sizeof second.url);
	server("sql \"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
	       " WHERE application_name = 'mosquitto-file-transfer'\" >/dev/null");
	ck_assert_msg(catalog_rig_open(&second) == FT_OK, "%s", second.log);
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_BUSY);
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_BUSY);
	said("another broker has taken this schema over");
	ck_assert_int_eq(ft_catalog_begin(second.catalog), FT_OK);
	ft_catalog_rollback(second.catalog);
	catalog_rig_release(&second);
}
END_TEST

/* --- at the start --- */

/* The rig's URL with a piece replaced. */
static void change_url(const char *from, const char *to)
{
	char url[CATALOG_URL_ROOM];
	char *at = strstr(rig.url, from);

	ck_assert_msg(at != NULL, "%s in %s", from, rig.url);
	snprintf(url, sizeof url, "%.*s%s%s", (int)(at - rig.url), rig.url, to, at + strlen(from));
	memcpy(rig.url, url, sizeof url);
}

START_TEST(test_postgres__names_what_is_wrong_at_the_start)
{
	static const struct {
		const char *from, *to;
		enum ft_status status;
		const char *words;
	} rows[] = {
		{ "%25t", "%25u", FT_IO_ERROR, "look at user and password" },
		{ "ft:", "nobody:", FT_IO_ERROR, "look at user and password" },
		{ "/postgres?", "/nothing?", FT_IO_ERROR, "make that database" },
		{ "%40ss", "@ss", FT_IO_ERROR, "look at user and password" },
		{ "%40ss@/postgres?host=", "@ss@", FT_NAME_REFUSED, "@ is %40" },
		{ "cr%25t%2F", "cr%25t/", FT_NAME_REFUSED, "@ is %40" },
		{ "?host", "?hots", FT_NAME_REFUSED, "is no URL" },
	};

	NEEDS_SERVER();
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char url[CATALOG_URL_ROOM];

		rig.log[0] = '\0';
		rig.log_len = 0;
		memcpy(url, rig.url, sizeof url);
		change_url(rows[i].from, rows[i].to);
		ck_assert_msg(catalog_rig_open(&rig) == rows[i].status, "%s: %s", rows[i].to, rig.log);
		ck_assert_ptr_null(rig.catalog);
		said(rows[i].words);
		ck_assert_ptr_eq(strchr(rig.log, '\n'), rig.log + rig.log_len - 1);
		tells_no_password();
		memcpy(rig.url, url, sizeof url);
	}
}
END_TEST

START_TEST(test_postgres__refuses_another_version_and_other_tables)
{
	NEEDS_SERVER();
	opens();
	ft_catalog_close(&rig.catalog);
	server("sql 'UPDATE %s.progress SET version = 2'", schema());
	ck_assert_int_eq(catalog_rig_open(&rig), FT_IO_ERROR);
	said("another version");
	server("sql 'UPDATE %s.progress SET version = 1'", schema());
	opens();
	ft_catalog_close(&rig.catalog);
	server("sql 'DROP TABLE %s.answers'", schema());
	ck_assert_int_eq(catalog_rig_open(&rig), FT_IO_ERROR);
	said("answers");
	server("sql 'DROP TABLE %s.transfers CASCADE'", schema());
	ck_assert_int_eq(catalog_rig_open(&rig), FT_IO_ERROR);
	said("another program");
}
END_TEST

START_TEST(test_postgres__can_be_read_by_people)
{
	const struct ft_finished finished = catalog_rig_finished(2, "cam\xff", "b");
	char command[1024];

	NEEDS_SERVER();
	opens();
	ck_assert_int_eq(ft_catalog_begin(rig.catalog), FT_OK);
	ck_assert_int_eq(put(1), FT_OK);
	ck_assert_int_eq(ft_catalog_put_finished(rig.catalog, &finished, NULL), FT_OK);
	ck_assert_int_eq(ft_catalog_commit(rig.catalog), FT_OK);
	snprintf(command, sizeof command, "%s sql \"SET search_path = %s; SELECT owner, name, state FROM"
		 " unfinished; SELECT owner, file, name, size FROM files\" >%s/said", getenv(SERVER),
		 schema(), rig.dir);
	ck_assert_int_eq(system(command), 0);
	snprintf(command, sizeof command, "printf '%%s\\n' 'cam|photo-1.jpg|receiving'"
		 " 'cam\\377|b|photo-2.jpg|2000' | cmp - %s/said", rig.dir);
	ck_assert_int_eq(system(command), 0);
}
END_TEST

FT_SUITE_WITH("catalog_postgres", set_up, tear_down,
	      test_postgres__connects_again_before_a_transaction,
	      test_postgres__connects_again_to_read,
	      test_postgres__keeps_what_was_committed_when_the_server_is_killed,
	      test_postgres__fails_a_transaction_that_lost_its_connection,
	      test_postgres__says_once_that_the_server_is_away_and_once_that_it_is_back,
	      test_postgres__goes_on_when_a_connection_is_ended,
	      test_postgres__finds_out_that_a_commit_has_taken_place,
	      test_postgres__finds_out_that_a_commit_has_not_taken_place,
	      test_postgres__tells_a_second_broker_that_there_is_one,
	      test_postgres__refuses_whoever_was_replaced,
	      test_postgres__names_what_is_wrong_at_the_start,
	      test_postgres__refuses_another_version_and_other_tables,
	      test_postgres__can_be_read_by_people);
