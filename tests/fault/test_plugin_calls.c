/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The plugin in a broker that is a test (tests/fuzz/broker.h), once for each call that it
 * makes, with that call failing. A broker that cannot start the plugin is told so and why,
 * nothing of the plugin stays in it, and the next start succeeds; one that runs goes on,
 * and once the fault is gone a client's upload succeeds.
 */
#include "../lib/runs.h"

#include <limits.h>
#include <semaphore.h>
#include <time.h>

#define BROKER_OWN_BEGINS() calls_pause()
#define BROKER_OWN_ENDS() calls_resume()
#define BROKER_GOT_FROM_LIBRARY() ((void)calls.live++)
#include "../fuzz/broker.h"
#include "base/system.h"
#include "../suite.h"

/* The helpers look for listeners again and again: as many of their calls. */
#define WORKER_CALLS_MAX 80

static struct mosquitto client = { "c", "u", 5, mp_mqtt };
static char dir[64];
static void *userdata;
static int identity;		/* what an address is needed of */

/* --- libmosquitto's memory --- */

CALLS_WRAP(CALLS_MEMORY, int, MOSQ_ERR_NOMEM, mosquitto_property_add_byte,
	   (mosquitto_property **list, int identifier, uint8_t value), (list, identifier, value),
	   CALLS_ERRORS(ENOMEM))
CALLS_WRAP(CALLS_MEMORY, int, MOSQ_ERR_NOMEM, mosquitto_property_add_string,
	   (mosquitto_property **list, int identifier, const char *value),
	   (list, identifier, value), CALLS_ERRORS(ENOMEM))
CALLS_WRAP(CALLS_MEMORY, int, MOSQ_ERR_NOMEM, mosquitto_property_add_binary,
	   (mosquitto_property **list, int identifier, const void *value, uint16_t len),
	   (list, identifier, value, len), CALLS_ERRORS(ENOMEM))

/* --- the broker --- */

#define DOWNLOAD_WAIT_MS 200
#define DOWNLOAD_STRIDE 31	/* a run takes as long as twenty others */

static bool downloads;		/* the option, with a file that is offered */

static int try_start(void)
{
	/* In a place of its own: elsewhere a start looks at logs that others have left. */
	struct mosquitto_opt options[] = {
		{ "log_dir", dir },
		{ "downloads", downloads ? "native" : "off" },
		{ "events", downloads ? "on" : "off" },
		{ "storage_dir", dir },
		{ "log_size", "1M" },
		{ "store", "fs" },
		{ "acl", "guard-and-allow" },
		{ "response_topics", "r/%c" },
		{ "tune_malloc", "false" },
		{ "min_free_space", "1" },
	};

	return mosquitto_plugin_init((mosquitto_plugin_id_t *)&identity, &userdata, options,
				     (int)(sizeof options / sizeof options[0]));
}

static void excuse(void)
{
	must(calls.hits > 0 || broker.register_fails_at > 0);
	if (calls.plan.persistent)
		calls_disarm();
}

static void start(void)
{
	broker.errors = 0;
	if (try_start() == MOSQ_ERR_SUCCESS)
		return;
	excuse();
	must(broker.errors > 0);
	must(!userdata);
	must(broker_callbacks_left() == 0);
	/* 2.0 cleans up all the same. */
	must(mosquitto_plugin_cleanup(NULL, NULL, 0) == MOSQ_ERR_SUCCESS);
	must(try_start() == MOSQ_ERR_SUCCESS);
}

static void stop(void)
{
	broker.cleaning_up = true;
	must(mosquitto_plugin_cleanup(userdata, NULL, 0) == MOSQ_ERR_SUCCESS);
	broker.cleaning_up = false;
	userdata = NULL;
	must(broker_callbacks_left() == 0);
}

static void tick(void)
{
	struct mosquitto_evt_tick event = { 0 };

	must(broker_raise(MOSQ_EVT_TICK, &event) == MOSQ_ERR_SUCCESS);
}

static int send_to(const char *prefix, const char *command, const char *payload,
		   bool answer_elsewhere)
{
	char topic[64], bytes[64];
	struct mosquitto_evt_message message = {
		.client = &client, .topic = topic, .payload = bytes,
		.payloadlen = (uint32_t)strlen(payload), .qos = 1,
	};
	mosquitto_property *properties = NULL;
	int rc;

	snprintf(topic, sizeof topic, "%s%s", prefix, command);
	snprintf(bytes, sizeof bytes, "%s", payload);
	calls_pause();
	mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA, "data", 4);
	if (answer_elsewhere)
		mosquitto_property_add_string(&properties, MQTT_PROP_RESPONSE_TOPIC, "r/c");
	calls_resume();
	message.properties = properties;
	rc = broker_raise(MOSQ_EVT_MESSAGE, &message);
	mosquitto_property_free_all(&properties);
	return rc;
}

static int send(const char *command, const char *payload, bool answer_elsewhere)
{
	return send_to("$file/f/", command, payload, answer_elsewhere);
}

static void pause_briefly(void)
{
	const struct timespec pause = { .tv_nsec = 20000 };

	nanosleep(&pause, NULL);
}

/*
 * What was accepted waits for workers that have no memory, however long that takes, and the
 * log has said so.
 */
static bool must_wait_for_memory(void)
{
	return calls.plan.persistent && calls.plan.workers && calls.hits > 0 && broker.errors > 0;
}

/* Ticks until `count` responses were published, or one was lost and the log said so. */
static void await(unsigned count, unsigned errors)
{
	int64_t until_ms = ft_clock_ms() + RUNS_DEADLINE_MS;

	while (broker.published < count && broker.errors == errors && !must_wait_for_memory()) {
		must(ft_clock_ms() < until_ms);
		tick();
		pause_briefly();
	}
}

/* A small file; what goes wrong does, but the broker goes on. */
static void upload(void)
{
	static const struct {
		const char *command;
		const char *payload;
	} commands[] = {
		{ "init", "{\"name\":\"n\"}" }, { "0", "hello" }, { "status", "" }, { "nonsense", "" },
		{ "fin/5", "" },
	};

	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		unsigned before = broker.published, errors = broker.errors;
		int rc = send(commands[i].command, commands[i].payload, i == 2);

		must(rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_ACL_DENIED ||
		     (broker.is_21 && rc == BROKER_QUOTA_EXCEEDED));
		await(before + 1, errors);
	}
}

/* As a client does that is told to come back: an assembly may be under way. */
static void send_until_taken(const char *command, const char *payload)
{
	int64_t until_ms = ft_clock_ms() + RUNS_DEADLINE_MS;

	while (send(command, payload, false) != MOSQ_ERR_SUCCESS) {
		must(ft_clock_ms() < until_ms);
		tick();
		pause_briefly();
	}
}

/* Without a fault the same succeeds, whatever is there of it. */
static void upload_at_last(void)
{
	int64_t until_ms = ft_clock_ms() + RUNS_DEADLINE_MS;
	char path[128];

	snprintf(path, sizeof path, "%s/files/c/f/n", dir);
	do {
		must(ft_clock_ms() < until_ms);
		send_until_taken("init", "{\"name\":\"n\"}");
		send_until_taken("0", "hello");
		send_until_taken("fin/5", "");
		pause_briefly();
	} while (__real_access(path, F_OK) != 0);
}

/* A file that has rested. */
static void offer(void)
{
	static const char *const folders[] = { "offers", "offers/all" };
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char path[128];
	FILE *file;

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, folders[i]);
		must(mkdir(path, 0700) == 0);
	}
	snprintf(path, sizeof path, "%s/offers/all/x", dir);
	must((file = fopen(path, "w")) != NULL);
	fputs("hello", file);
	must(fflush(file) == 0 && futimens(fileno(file), times) == 0);
	fclose(file);
}

/* Asks until a block comes, for so long: what is new is hashed first. Whether it came. */
static bool await_block(int64_t ms)
{
	int64_t until_ms = ft_clock_ms() + ms;
	unsigned before = broker.blocks;

	while (broker.blocks == before && ft_clock_ms() < until_ms) {
		(void)send_to("$file-get/", "0/5/x", "", false);
		tick();
		pause_briefly();
	}
	return broker.blocks > before;
}

/* Asks for everything; what goes wrong does, but the broker goes on. */
static void download(void)
{
	static const struct {
		const char *command;
		const char *payload;
	} commands[] = {
		{ "info/x", "" }, { "0/5/x", "" }, { "1/4/x", "" }, { "list", "" },
		{ "report/x", "{\"state\":\"failed\"}" }, { "5/5/x", "" },
	};

	(void)await_block(DOWNLOAD_WAIT_MS);
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		unsigned before = broker.published, errors = broker.errors;

		(void)send_to("$file-get/", commands[i].command, commands[i].payload, i == 0);
		await(before + 1, errors);
	}
}

static void other_events(void)
{
	struct mosquitto_evt_disconnect gone = { .client = &client };
	struct mosquitto_evt_reload reload = { 0 };
	struct mosquitto_evt_acl_check check = {
		.client = &client, .topic = "$file-response/other", .access = MOSQ_ACL_SUBSCRIBE,
	};

	must(broker_raise(MOSQ_EVT_DISCONNECT, &gone) == MOSQ_ERR_SUCCESS);
	must(broker_raise(MOSQ_EVT_RELOAD, &reload) == MOSQ_ERR_SUCCESS);
	must(broker_raise(MOSQ_EVT_ACL_CHECK, &check) == MOSQ_ERR_ACL_DENIED);
}

/* --- one run, all runs --- */

static bool sigurg_is_default(void)
{
	struct sigaction now;

	return __real_sigaction(SIGURG, NULL, &now) == 0 && now.sa_handler == SIG_DFL;
}

static void set_up(bool is_21)
{
	must(tree_make(dir, sizeof dir, "ft-calls"));
	memset(&broker, 0, sizeof broker);
	broker.thread = pthread_self();
	broker.is_21 = is_21;
	broker.response_topic = "r/";
	signal(SIGURG, SIG_DFL);
}

static void play(const struct calls_plan *plan, bool is_21, unsigned register_fails_at)
{
	const struct runs_count before = runs_begin();

	set_up(is_21);
	broker.register_fails_at = register_fails_at;
	if (downloads)
		offer();
	calls_arm(plan);
	start();
	if (downloads)
		download();
	else
		upload();
	other_events();
	calls_disarm();
	if (downloads)
		must(await_block(RUNS_DEADLINE_MS));	/* without a fault */
	else
		upload_at_last();
	stop();
	tree_remove(dir);
	runs_end(&before);
	/* Where nothing works, the handler cannot be put back either. */
	must(plan->persistent || sigurg_is_default());
}

static void play_all(struct calls_plan plan)
{
	runs_prepare();
	/* Of downloads nothing depends on the version. */
	for (int is_21 = downloads; is_21 < 2; is_21++) {
		for (plan.nth = 1; !plan.workers || plan.nth < WORKER_CALLS_MAX;
		     plan.nth += downloads ? DOWNLOAD_STRIDE : 1) {
			plan.variant = 0;
			do {
				play(&plan, is_21, 0);
			} while (++plan.variant < calls.variants && !plan.persistent);
			if (calls.hits == 0)
				break;
		}
		ck_assert_uint_gt(plan.nth, 10);
	}
}

#define CALLS_TEST(name, ...) \
	START_TEST(test_plugin__##name) \
	{ \
		play_all((struct calls_plan){ __VA_ARGS__ }); \
	} \
	END_TEST

CALLS_TEST(survives_any_call_that_fails, .persistent = false)
CALLS_TEST(survives_any_call_of_a_worker_that_fails, .workers = true)
CALLS_TEST(survives_when_memory_is_gone, .persistent = true, .kinds = CALLS_MEMORY)
CALLS_TEST(survives_when_everything_is_gone, .persistent = true)
CALLS_TEST(survives_when_everything_is_gone_for_workers, .persistent = true, .workers = true)

#define DOWNLOAD_TEST(name, ...) \
	START_TEST(test_downloads__##name) \
	{ \
		downloads = true; \
		play_all((struct calls_plan){ __VA_ARGS__ }); \
	} \
	END_TEST

DOWNLOAD_TEST(survive_any_call_that_fails, .persistent = false)
DOWNLOAD_TEST(survive_any_call_of_a_worker_that_fails, .workers = true)
DOWNLOAD_TEST(survive_when_memory_is_gone, .persistent = true, .kinds = CALLS_MEMORY)

/*
 * Callbacks of the helpers are wanted, but not needed; without those of the first table
 * it does not start.
 */
START_TEST(test_plugin__survives_a_broker_that_does_not_take_a_callback)
{
	runs_prepare();
	for (int is_21 = 0; is_21 < 2; is_21++)
		for (unsigned nth = 1; nth <= 10; nth++)
			play(&(struct calls_plan){ .nth = UINT_MAX }, is_21, nth);
}
END_TEST

FT_SUITE_IN_MEMORY("plugin calls",
	 test_plugin__survives_any_call_that_fails,
	 test_plugin__survives_any_call_of_a_worker_that_fails,
	 test_plugin__survives_when_memory_is_gone,
	 test_plugin__survives_when_everything_is_gone,
	 test_plugin__survives_when_everything_is_gone_for_workers,
	 test_downloads__survive_any_call_that_fails,
	 test_downloads__survive_any_call_of_a_worker_that_fails,
	 test_downloads__survive_when_memory_is_gone,
	 test_plugin__survives_a_broker_that_does_not_take_a_callback);
