/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The acknowledgement sink's visit to a listener, with all that a listener may answer:
 * it is MQTT, TLS, something else, or nobody.
 */
#include "mosquitto/v20/ack_sink_20.h"

#include <check.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "../suite.h"

#define STEPS_MAX 6
#define STAY NULL		/* no more answers, but the connection stays until the other side ends it */

/* What is sent after the first, second ... packet that came; then it is closed. */
struct answer {
	const char *bytes;
	size_t len;
};

#define ANSWER(text) { text, sizeof text - 1 }
#define CONNACK ANSWER("\x20\x03\0\0\0")
#define SUBACK ANSWER("\x90\x04\0\x01\0\0")

struct server {
	int listener;
	const struct answer *answers;
	size_t count;
	pthread_t thread;
	unsigned char first[FT_MQTT_PACKET_ROOM];	/* the body of the first packet */
};

/* A packet of less than 16 KiB, its body to a room of FT_MQTT_PACKET_ROOM bytes. */
static bool receive_packet(int fd, unsigned char *body)
{
	unsigned char head[3] = { 0 };
	size_t len;

	if (recv(fd, head, 2, MSG_WAITALL) != 2)
		return false;
	len = head[1] & 0x7f;
	if (head[1] >= 0x80) {
		if (recv(fd, head + 2, 1, MSG_WAITALL) != 1)
			return false;
		len |= (size_t)head[2] << 7;
	}
	ck_assert_uint_le(len, FT_MQTT_PACKET_ROOM);
	return len == 0 || recv(fd, body, len, MSG_WAITALL) == (ssize_t)len;
}

static void serve_one(struct server *server, int fd)
{
	unsigned char body[FT_MQTT_PACKET_ROOM];

	for (size_t i = 0; i < server->count && receive_packet(fd, i ? body : server->first); i++) {
		if (server->answers[i].bytes == STAY) {
			while (receive_packet(fd, body))
				;
			break;
		}
		if (send(fd, server->answers[i].bytes, server->answers[i].len, MSG_NOSIGNAL) < 0)
			break;
	}
	close(fd);
}

static void *serve(void *argument)
{
	struct server *server = argument;

	serve_one(server, accept(server->listener, NULL, NULL));
	return NULL;
}

/* One after the other, until the listener is shut down. */
static void *serve_all(void *argument)
{
	struct server *server = argument;
	int fd;

	while ((fd = accept(server->listener, NULL, NULL)) >= 0)
		serve_one(server, fd);
	return NULL;
}

static int listen_at(struct ft_listener *where)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	where->address_len = sizeof where->address;
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&where->address, &where->address_len), 0);
	return fd;
}

static struct ft_sink_visit visit_of(const struct ft_listener *where, int stop_fd)
{
	static const uint8_t secret[FT_SINK_SECRET_LEN] = { 1, 2, 3 };

	return (struct ft_sink_visit){
		.listener = where, .client_id = "sink", .topic = "$topic",
		.secret = secret, .stop_fd = stop_fd, .timeout_ms = 10000,
	};
}

/* The outcome of a visit to a listener that answers like that. */
static enum ft_line_result visited(const struct answer *answers, size_t count, size_t *drained)
{
	struct server server = { .answers = answers, .count = count };
	struct ft_listener where = { .address_len = 0 };
	int stop_fd = eventfd(0, EFD_CLOEXEC);
	struct ft_sink_visit visit = visit_of(&where, stop_fd);
	enum ft_line_result result;

	server.listener = listen_at(&where);
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, &server), 0);
	result = ft_sink_visit(&visit, drained);
	pthread_join(server.thread, NULL);
	close(server.listener);
	close(stop_fd);
	return result;
}

static const struct {
	enum ft_line_result outcome;
	struct answer answers[STEPS_MAX];
	size_t count;
} cases[] = {
	/* at CONNECT */
	{ FT_LINE_CLOSED, { ANSWER("") }, 0 },
	{ FT_LINE_CLOSED, { ANSWER("\x20") }, 1 },
	{ FT_LINE_CLOSED, { ANSWER("\x20\x03\0") }, 1 },
	{ FT_LINE_NOT_MQTT, { ANSWER("HTTP/1.1 400 Bad Request") }, 1 },
	{ FT_LINE_NOT_MQTT, { ANSWER("\x20\x01\0") }, 1 },
	{ FT_LINE_NOT_MQTT, { ANSWER("\x20\xff\xff\xff\xff\xff") }, 1 },
	{ FT_LINE_LOGIN_REFUSED, { ANSWER("\x20\x03\0\x87\0") }, 1 },
	/* at SUBSCRIBE */
	{ FT_LINE_CLOSED, { CONNACK }, 1 },
	{ FT_LINE_SUBSCRIBE_REFUSED, { CONNACK, ANSWER("\x90\x04\0\x01\0\x87"), ANSWER("") }, 3 },
	{ FT_LINE_SUBSCRIBE_REFUSED, { CONNACK, ANSWER("\x90\x03\0\x01\0"), ANSWER("") }, 3 },
	/* at DISCONNECT */
	{ FT_LINE_OK, { CONNACK, SUBACK }, 2 },
	{ FT_LINE_OK, { CONNACK, SUBACK, ANSWER("") }, 3 },
};

START_TEST(test_visit__understands_every_answer)
{
	size_t drained;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		enum ft_line_result got = visited(cases[i].answers, cases[i].count, &drained);

		ck_assert_msg(got == cases[i].outcome, "case %zu: %d, not %d", i, (int)got,
			      (int)cases[i].outcome);
	}
}
END_TEST

/* Section 3.1 of MQTT 5. */
START_TEST(test_visit__comes_with_name_password_and_extended_authentication)
{
	static const char head[] = "\0\4MQTT\5\xc0\0\x3c" "\x3c" "\x11\xff\xff\xff\xff"
				   "\x15\0\x11" FT_SINK_AUTH_METHOD "\x16\0\x20\1\2\3";
	static const char tail[] = "\0\4sink\0\4sink\0\4sink";
	static const struct answer answers[] = { CONNACK, SUBACK };
	struct server server = { .answers = answers, .count = 2 };
	struct ft_listener where = { .address_len = 0 };
	struct ft_sink_visit visit = visit_of(&where, -1);
	size_t drained;

	server.listener = listen_at(&where);
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, &server), 0);
	ck_assert_int_eq(ft_sink_visit(&visit, &drained), FT_LINE_OK);
	pthread_join(server.thread, NULL);
	close(server.listener);
	ck_assert_mem_eq(server.first, head, sizeof head - 1);
	ck_assert_mem_eq(server.first + 11 + 0x3c, tail, sizeof tail - 1);
}
END_TEST

static enum ft_line_result tried(const struct answer *answers, size_t count, struct server *server)
{
	struct ft_listener where = { .address_len = 0 };
	struct ft_sink_visit visit = { .listener = &where, .stop_fd = -1, .timeout_ms = 10000 };
	enum ft_line_result result;

	*server = (struct server){ .answers = answers, .count = count };
	server->listener = listen_at(&where);
	ck_assert_int_eq(pthread_create(&server->thread, NULL, serve, server), 0);
	result = ft_sink_try_as_stranger(&visit);
	pthread_join(server->thread, NULL);
	close(server->listener);
	return result;
}

/* Clean Start, no session expiry, and names that nobody else has. */
START_TEST(test_visit__as_a_stranger_is_as_any_client_with_a_made_up_password)
{
	static const struct answer welcome[] = { CONNACK, ANSWER("") };
	static const struct answer refused[] = { ANSWER("\x20\x03\0\x87\0") };
	struct server first, second;

	ck_assert_int_eq(tried(welcome, 2, &first), FT_LINE_OK);
	ck_assert_mem_eq(first.first, "\0\4MQTT\5\xc2\0\x3c\0\0\x10", 13);
	ck_assert_int_eq(tried(refused, 1, &second), FT_LINE_LOGIN_REFUSED);
	ck_assert_mem_ne(first.first + 13, second.first + 13, 16);
	ck_assert_int_eq(tried(NULL, 0, &first), FT_LINE_CLOSED);
}
END_TEST

START_TEST(test_visit__counts_what_was_queued)
{
	static const struct answer answers[] = {
		CONNACK, ANSWER("\x30\x04\0\x01x\0\x31\x04\0\x01x\0\x90\x04\0\x01\0\0"), ANSWER(""),
	};
	size_t drained;

	ck_assert_int_eq(visited(answers, 3, &drained), FT_LINE_OK);
	ck_assert_uint_eq(drained, 2);
}
END_TEST

START_TEST(test_visit__does_not_wait_for_ever)
{
	static const struct answer answers[] = { { STAY, 0 } };
	struct server server = { .answers = answers, .count = 1 };
	struct ft_listener where = { .address_len = 0 };
	struct ft_sink_visit visit = visit_of(&where, -1);
	size_t drained;

	visit.timeout_ms = 50;
	server.listener = listen_at(&where);
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, &server), 0);
	ck_assert_int_eq(ft_sink_visit(&visit, &drained), FT_LINE_FAILED);
	pthread_join(server.thread, NULL);
	visit.timeout_ms = 0;
	ck_assert_int_eq(ft_sink_visit(&visit, &drained), FT_LINE_FAILED);
	close(server.listener);
}
END_TEST

START_TEST(test_visit__ends_when_it_is_told_to)
{
	struct ft_listener where = { .address_len = 0 };
	int listener = listen_at(&where), stop_fd = eventfd(1, EFD_CLOEXEC);
	struct ft_sink_visit visit = visit_of(&where, stop_fd);
	size_t drained;

	ck_assert_int_eq(ft_sink_visit(&visit, &drained), FT_LINE_STOPPED);
	close(stop_fd);
	close(listener);
}
END_TEST

START_TEST(test_visit__finds_nobody_where_nobody_is)
{
	struct ft_listener where = { .address_len = 0 };
	struct ft_sink_visit visit = visit_of(&where, -1);
	struct sockaddr_un local = { .sun_family = AF_UNIX, .sun_path = "/nowhere/at/all" };
	size_t drained;

	close(listen_at(&where));
	ck_assert_int_eq(ft_sink_visit(&visit, &drained), FT_LINE_FAILED);
	memcpy(&where.address, &local, sizeof local);
	where.address_len = sizeof local;
	ck_assert_int_eq(ft_sink_visit(&visit, &drained), FT_LINE_FAILED);
	where.address.ss_family = AF_MAX;
	ck_assert_int_eq(ft_sink_visit(&visit, &drained), FT_LINE_FAILED);
}
END_TEST

/* This program needs no libssl, nor does a broker without TLS. */
START_TEST(test_visit__takes_tls_for_something_else_where_there_is_no_libssl)
{
	struct ft_listener where = { .address_len = 0 };
	int listener = listen_at(&where);
	struct ft_sink_visit visit = visit_of(&where, -1);
	size_t drained;

	visit.tls = true;
	if (dlsym(RTLD_DEFAULT, "TLS_client_method")) {	/* by way of libmosquitto, on some linkers */
		close(listener);
		return;
	}
	ck_assert_int_eq(ft_sink_visit(&visit, &drained), FT_LINE_NOT_MQTT);
	close(listener);
}
END_TEST

START_TEST(test_visit__sends_nothing_that_does_not_fit)
{
	static const struct answer answers[] = { { STAY, 0 } };
	struct server server = { .answers = answers, .count = 1 };
	struct ft_listener where = { .address_len = 0 };
	struct ft_sink_visit visit = visit_of(&where, -1);
	char id[FT_MQTT_PACKET_ROOM + 1];
	size_t drained;

	memset(id, 'c', sizeof id - 1);
	id[sizeof id - 1] = '\0';
	visit.client_id = id;
	server.listener = listen_at(&where);
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, &server), 0);
	ck_assert_int_eq(ft_sink_visit(&visit, &drained), FT_LINE_FAILED);
	pthread_join(server.thread, NULL);
	close(server.listener);
}
END_TEST

/* --- the helper --- */

struct helped {
	struct ft_sink_20 sink;
	bool told;
	bool ready_when_told;
};

/* The line that says it works, on the helper's thread, which is the test's here. */
static void note_line(void *context, enum ft_log_level level, const char *line)
{
	struct helped *helped = context;
	const uint64_t one = 1;

	(void)level;
	if (!strstr(line, "acknowledged with 0x00"))
		return;
	helped->told = true;
	helped->ready_when_told = atomic_load(&helped->sink.ready);
	ck_assert_int_eq(write(helped->sink.stop_fd, &one, sizeof one), sizeof one);
}

START_TEST(test_visit__is_told_when_its_session_is_in_use_and_not_before)
{
	static const struct answer answers[] = { CONNACK, SUBACK, ANSWER("") };
	static const struct ft_sink_identity identity = { .client_id = "si\tk", .topic = "$topic" };
	struct helped helped = { .sink = { .identity = &identity, .spoken = "si-k" } };
	struct server server = { .answers = answers, .count = 3 };
	struct ft_listener where;

	helped.sink.log = ft_logger_new(note_line, &helped);
	helped.sink.stop_fd = eventfd(0, EFD_CLOEXEC);
	helped.sink.visit_fd = eventfd(0, EFD_CLOEXEC);
	server.listener = listen_at(&where);
	/* On a machine that is very busy the first visit may be too late. */
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve_all, &server), 0);
	ft_sink_20_help(&helped.sink);
	ck_assert_int_eq(shutdown(server.listener, SHUT_RDWR), 0);
	pthread_join(server.thread, NULL);
	ck_assert(helped.told);
	ck_assert(helped.ready_when_told);
	ft_logger_free(helped.sink.log);
	close(server.listener);
	close(helped.sink.stop_fd);
	close(helped.sink.visit_fd);
}
END_TEST

/* --- listeners --- */

static void expect_text(const void *address, size_t len, const char *expected)
{
	struct ft_listener listener = { .address_len = (socklen_t)len };
	char text[FT_LISTENER_TEXT_ROOM];

	memcpy(&listener.address, address, len);
	ft_listener_text(&listener, text);
	ck_assert_str_eq(text, expected);
}

START_TEST(test_listeners__are_told_as_people_write_them)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(1883),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(8883),
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_un local = { .sun_family = AF_UNIX, .sun_path = "/run/mqtt.sock" };

	expect_text(&v4, sizeof v4, "127.0.0.1:1883");
	expect_text(&v6, sizeof v6, "[::1]:8883");
	expect_text(&local, sizeof local, "/run/mqtt.sock");
}
END_TEST

/* Who listens everywhere listens on loopback, too. */
START_TEST(test_listeners__are_found_where_they_can_be_reached)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT };
	struct ft_listener found[FT_LISTENERS_MAX], where;
	int fd = socket(AF_INET6, SOCK_STREAM, 0), v4 = listen_at(&where);
	struct sockaddr_in6 reached;
	size_t count;

	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) != 0) {
		close(v4);	/* no IPv6 here */
		return;
	}
	ck_assert_int_eq(listen(fd, 5), 0);
	count = ft_listeners_find(found, FT_LISTENERS_MAX);
	ck_assert_uint_eq(count, 2);
	memcpy(&reached, &found[0].address, sizeof reached);
	ck_assert(IN6_IS_ADDR_LOOPBACK(&reached.sin6_addr));
	ck_assert_int_eq(memcmp(&found[1].address, &where.address, where.address_len), 0);
	ck_assert_uint_eq(ft_listeners_find(found, 1), 1);
	close(v4);
	close(fd);
}
END_TEST

FT_SUITE("visit",
	 test_visit__understands_every_answer,
	 test_visit__comes_with_name_password_and_extended_authentication,
	 test_visit__as_a_stranger_is_as_any_client_with_a_made_up_password,
	 test_visit__counts_what_was_queued,
	 test_visit__does_not_wait_for_ever,
	 test_visit__ends_when_it_is_told_to,
	 test_visit__finds_nobody_where_nobody_is,
	 test_visit__takes_tls_for_something_else_where_there_is_no_libssl,
	 test_visit__sends_nothing_that_does_not_fit,
	 test_visit__is_told_when_its_session_is_in_use_and_not_before,
	 test_listeners__are_told_as_people_write_them,
	 test_listeners__are_found_where_they_can_be_reached);
