/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "rig.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "catalog_url.h"

#define RIG_WORDS ((size_t)3000)

/* Any thread. */
static void rig_log(void *context, enum ft_log_level level, const char *line)
{
	struct rig *rig = context;
	size_t len = strlen(line), at = atomic_fetch_add(&rig->log_len, len + 1);

	(void)level;
	if (getenv("RIG_LOG"))
		fprintf(stderr, "log %d: %s\n", (int)level, line);
	if (at + len + 2 > sizeof rig->log)
		return;
	memcpy(rig->log + at, line, len);
	rig->log[at + len] = '\n';
}

static bool rig_respond(void *context, const struct ft_request *request,
			const struct ft_reply *reply)
{
	struct rig *rig = context;
	struct rig_response *response;
	size_t room = ft_reply_room(reply);
	char *text = malloc(room);
	struct ft_buf buf = ft_buf_on(text, room);

	ft_reply_write(&buf, reply);
	ck_assert(ft_buf_ok(&buf));
	ck_assert_str_eq(reply->topic, request->topic);
	if (!rig->respond) {
		rig->unpublished++;
		free(text);
		return false;
	}
	if (rig->responses == rig->response_room) {
		rig->response_room = rig->response_room ? 2 * rig->response_room : 64;
		rig->response = realloc(rig->response, rig->response_room * sizeof *response);
		ck_assert_ptr_nonnull(rig->response);
	}
	response = &rig->response[rig->responses++];
	response->client = strdup(request->client_id);
	response->topic = strdup(request->topic);
	response->status = reply->status;
	response->json = cJSON_Parse(text);
	ck_assert_msg(response->json != NULL, "%s", text);
	free(text);
	return true;
}

static bool rig_publish(void *context, const struct ft_message *message)
{
	struct rig *rig = context;
	struct rig_message *kept;

	if (!rig->respond)
		return false;
	rig->message = realloc(rig->message, (rig->messages + 1) * sizeof *kept);
	ck_assert_ptr_nonnull(rig->message);
	kept = &rig->message[rig->messages++];
	*kept = (struct rig_message){
		.topic = strdup(message->topic), .payload = strndup(message->payload, message->len),
		.json = message->json, .retain = message->retain, .qos = message->qos,
	};
	ck_assert_uint_eq(strlen(kept->payload), message->len);
	return true;
}

static void *rig_block_new(void *context, size_t len)
{
	struct rig *rig = context;

	rig->blocks_open++;
	return malloc(len);
}

static void rig_block_free(void *context, void *block)
{
	struct rig *rig = context;

	if (block)
		rig->blocks_open--;
	free(block);
}

static void rig_block_send(void *context, const char *client_id, const char *topic, void **block,
			   size_t len)
{
	struct rig *rig = context;
	struct rig_block *kept;

	rig->block = realloc(rig->block, (rig->blocks + 1) * sizeof *kept);
	ck_assert_ptr_nonnull(rig->block);
	kept = &rig->block[rig->blocks++];
	*kept = (struct rig_block){
		.client = strdup(client_id), .topic = strdup(topic), .bytes = *block, .len = len,
	};
	if (*block)
		rig->blocks_open--;
	*block = NULL;
}

const char *rig_said(const struct rig *rig, const char *topic)
{
	for (size_t i = rig->messages; i-- > 0;)
		if (strcmp(rig->message[i].topic, topic) == 0)
			return rig->message[i].payload;
	return NULL;
}

static void rig_tell_operator(void *context, const char *client_id, const char *text, size_t len)
{
	struct rig *rig = context;

	ck_assert_uint_eq(strlen(text), len);
	free(rig->told);
	rig->told = strdup(text);
	snprintf(rig->told_to, sizeof rig->told_to, "%s", client_id);
	rig->told_count++;
}

/* Any thread. */
static void rig_notify(void *context)
{
	struct rig *rig = context;

	if (!atomic_load(&rig->stopped))
		sem_post(&rig->notified);
}

enum ft_status rig_try_start(struct rig *rig)
{
	const struct ft_engine_config config = {
		.options = &rig->options, .logger = rig->logger, .ops = rig->ops,
		.log_places = &rig->log_place, .log_place_count = 1, .identity = rig->identity,
		.hooks = { .context = rig, .respond = rig_respond, .publish = rig_publish,
			   .block_new = rig_block_new, .block_free = rig_block_free,
			   .block_send = rig_block_send, .notify = rig_notify,
			   .tell_operator = rig_tell_operator },
	};
	enum ft_status st;

	atomic_store(&rig->stopped, false);
	st = ft_engine_new(&config, &rig->engine);
	/* The engine's time begins with the clock's. */
	if (st == FT_OK) {
		if (rig->now_ms < rig->engine->now_ms)
			rig->now_ms = rig->engine->now_ms;
		ft_engine_pass(rig->engine);
		ft_engine_run(rig->engine, rig->now_ms);
	}
	return st;
}

void rig_start(struct rig *rig)
{
	enum ft_status st = rig_try_start(rig);

	ck_assert_msg(st == FT_OK, "the engine does not start: %s\n%s", ft_status_word(st), rig->log);
}

void rig_stop(struct rig *rig)
{
	/* Else a thread hangs, and may go on at any time. */
	rig->abandoned = ft_engine_free(&rig->engine) != FT_OK;
	atomic_store(&rig->stopped, true);
	rig->now_ms = 0;
}

void rig_restart(struct rig *rig)
{
	rig_stop(rig);
	rig_start(rig);
}

void rig_setup(struct rig *rig, const char *backend)
{
	char url[CATALOG_URL_ROOM];

	memset(rig, 0, sizeof *rig);
	ck_assert(tree_make(rig->dir, sizeof rig->dir, "ft-rig"));
	rig->ops = ft_store_backend(backend);
	ck_assert_ptr_nonnull(rig->ops);
	sem_init(&rig->notified, 0, 0);
	snprintf(rig->identity, sizeof rig->identity, "boot=1 fsid=2 dev=8:1 ns=4 mnt=5");
	snprintf(rig->log_place.path, sizeof rig->log_place.path, "%s/log", rig->dir);
	rig->log_place.medium = FT_LOG_ON_DISK;
	rig->respond = true;
	rig->logger = ft_logger_new(rig_log, rig);
	ck_assert_ptr_nonnull(rig->logger);
	ft_options_init(&rig->options);
	rig->options.storage_dir = strdup(rig->dir);
	catalog_url_next(url);
	if (url[0] && strcmp(rig->ops->name, "fs") == 0)
		rig->options.catalog = strdup(url);
	rig->options.min_free_space = 0;
	rig->options.gc_interval = 1;
	rig->options.sys_interval = 0;
	rig->options.log_size = (uint64_t)4 * 1024 * 1024;
	rig->options.limits.max_segment_size = (uint64_t)2 * 1024 * 1024;
}

void rig_teardown(struct rig *rig)
{
	if (!rig->abandoned)
		rig_stop(rig);
	tree_remove(rig->dir);
	if (rig->abandoned)
		return;
	rig_forget(rig);
	free(rig->response);
	free(rig->message);
	free(rig->block);
	ck_assert_uint_eq(rig->blocks_open, 0);
	free(rig->told);
	ft_options_release(&rig->options);
	ft_logger_free(rig->logger);
	sem_destroy(&rig->notified);
}

void rig_act_and_be_killed(struct rig *rig, void (*act)(void))
{
	pid_t child;
	int status;

	ck_assert_ptr_null(rig->engine);
	fflush(NULL);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		rig_start(rig);
		act();
		kill(getpid(), SIGKILL);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "the child has failed: status %x", (unsigned)status);
}

void rig_cut_power(struct rig *rig)
{
	rig->identity[5]++;
}

static void rig_release(struct rig_response *response)
{
	cJSON_Delete(response->json);
	free(response->client);
	free(response->topic);
}

void rig_forget(struct rig *rig)
{
	for (size_t i = 0; i < rig->responses; i++)
		rig_release(&rig->response[i]);
	rig->responses = 0;
	for (size_t i = 0; i < rig->messages; i++) {
		free(rig->message[i].topic);
		free(rig->message[i].payload);
	}
	rig->messages = 0;
	for (size_t i = 0; i < rig->blocks; i++) {
		free(rig->block[i].client);
		free(rig->block[i].topic);
		free(rig->block[i].bytes);
	}
	rig->blocks = 0;
}

void rig_forget_topic(struct rig *rig, const char *topic)
{
	size_t kept = 0;

	for (size_t i = 0; i < rig->responses; i++) {
		if (strcmp(rig->response[i].topic, topic) == 0)
			rig_release(&rig->response[i]);
		else
			rig->response[kept++] = rig->response[i];
	}
	rig->responses = kept;
}

enum ft_status rig_send(struct rig *rig, const char *client, const char *topic,
			const void *payload, size_t len)
{
	const struct ft_request request = {
		.client_id = client, .owner = client, .owner_len = strlen(client), .topic = topic,
		.user = rig->user,
	};

	return ft_engine_command(rig->engine, &request, payload, len, rig->now_ms);
}

enum ft_status rig_send_text(struct rig *rig, const char *client, const char *topic,
			     const char *text)
{
	return rig_send(rig, client, topic, text, strlen(text));
}

static struct rig_response *rig_find(const struct rig *rig, const char *topic)
{
	for (size_t i = rig->responses; i > 0; i--)
		if (strcmp(rig->response[i - 1].topic, topic) == 0)
			return &rig->response[i - 1];
	return NULL;
}

struct rig_response *rig_response(struct rig *rig, const char *topic)
{
	struct rig_response *response = rig_find(rig, topic);

	ck_assert_msg(response != NULL, "no response to %s", topic);
	return response;
}

size_t rig_count(const struct rig *rig, const char *topic)
{
	size_t count = 0;

	for (size_t i = 0; i < rig->responses; i++)
		count += strcmp(rig->response[i].topic, topic) == 0;
	return count;
}

void rig_run(struct rig *rig)
{
	ft_engine_pass(rig->engine);
	ft_engine_pass(rig->engine);
	while (ft_engine_run(rig->engine, rig->now_ms))
		;
}

void rig_pass(struct rig *rig, int64_t ms)
{
	rig->now_ms += ms;
	rig_run(rig);
}

int rig_slowness(void)
{
	const char *text = getenv("FT_TIMEOUT_SCALE");
	int slowness = text ? (int)strtol(text, NULL, 10) : 1;

	return slowness > 1 ? slowness : 1;
}

static int rig_deadline_s(void)
{
	return RIG_DEADLINE_S * rig_slowness();
}

/* The end of the log: libcheck ends a test that fails with more words than it has room for. */
static const char *rig_last_words(const struct rig *rig)
{
	size_t len = strlen(rig->log);

	return rig->log + (len > RIG_WORDS ? len - RIG_WORDS : 0);
}

static struct timespec rig_deadline(void)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += rig_deadline_s();
	return deadline;
}

/* Until somebody has something for the broker's thread. */
static void rig_sleep(struct rig *rig, const struct timespec *deadline, const char *what)
{
	int got;

	do
		got = sem_timedwait(&rig->notified, deadline);
	while (got != 0 && errno == EINTR);
	ck_assert_msg(got == 0, "waited %d s for %s\n%s", rig_deadline_s(), what,
		      rig_last_words(rig));
	rig_run(rig);
}

void rig_wait(struct rig *rig, size_t count)
{
	struct timespec deadline = rig_deadline();

	rig_run(rig);
	while (rig->responses < count)
		rig_sleep(rig, &deadline, "responses");
}

enum ft_status rig_wait_for(struct rig *rig, const char *topic)
{
	struct timespec deadline = rig_deadline();

	rig_run(rig);
	while (!rig_find(rig, topic))
		rig_sleep(rig, &deadline, topic);
	return rig_response(rig, topic)->status;
}

void rig_wait_until(struct rig *rig, bool (*holds)(void))
{
	int64_t deadline_ms = ft_clock_ms() + rig_deadline_s() * 1000;

	while (!holds()) {
		ck_assert_msg(ft_clock_ms() < deadline_ms, "waited %d s\n%s", rig_deadline_s(),
			      rig_last_words(rig));
		usleep(1000);
		rig_run(rig);
	}
}

void rig_settle(struct rig *rig)
{
	int64_t deadline_ms = ft_clock_ms() + rig_deadline_s() * 1000;

	for (;;) {
		rig_run(rig);
		if (ft_log_fill(rig->engine->core.log) == 0
		    && ft_queue_count(&rig->engine->core.to_writer) == 0
		    && atomic_load(&rig->engine->core.outstanding) == 0
		    && ft_queue_count(&rig->engine->core.to_broker) == 0)
			return;
		ck_assert_msg(ft_clock_ms() < deadline_ms, "the log is not emptied\n%s",
			      rig_last_words(rig));
		ft_log_wake(rig->engine->core.log);
		usleep(1000);
	}
}

enum ft_status rig_ask(struct rig *rig, const char *client, const char *topic,
		       const void *payload, size_t len)
{
	rig_forget(rig);
	(void)rig_send(rig, client, topic, payload, len);
	return rig_wait_for(rig, topic);
}

enum ft_status rig_ask_text(struct rig *rig, const char *client, const char *topic,
			    const char *text)
{
	return rig_ask(rig, client, topic, text, strlen(text));
}

cJSON *rig_control(struct rig *rig, const char *commands)
{
	struct timespec deadline = rig_deadline();
	size_t told = rig->told_count, room = strlen(commands) + 32;
	char *text = malloc(room);
	cJSON *answer;

	ck_assert_ptr_nonnull(text);
	snprintf(text, room, "{\"commands\":[%s]}", commands);
	ft_engine_control(rig->engine, "operator", rig->user, text, strlen(text), rig->now_ms);
	free(text);
	while (rig->told_count == told)
		rig_sleep(rig, &deadline, commands);
	ck_assert_str_eq(rig->told_to, "operator");
	answer = cJSON_Parse(rig->told);
	ck_assert_msg(answer != NULL, "%s", rig->told);
	return answer;
}

void rig_control_says(struct rig *rig, const char *command, const char *expected)
{
	cJSON *answer = rig_control(rig, command);
	cJSON *first = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "responses"), 0);
	char *text;

	cJSON_DeleteItemFromObject(first, "command");
	cJSON_DeleteItemFromObject(first, "detail");
	text = cJSON_PrintUnformatted(first);
	ck_assert_str_eq(text, expected);
	free(text);
	cJSON_Delete(answer);
}

static const char *rig_print(const cJSON *json, const char *key)
{
	static char text[8192];
	cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
	char *printed = item ? cJSON_PrintUnformatted(item) : NULL;

	snprintf(text, sizeof text, "%s", printed ? printed : "absent");
	free(printed);
	return text;
}

const char *rig_member_of(struct rig *rig, const char *topic, const char *key)
{
	return rig_print(rig_response(rig, topic)->json, key);
}

const char *rig_member(struct rig *rig, const char *key)
{
	ck_assert_uint_gt(rig->responses, 0);
	return rig_print(rig->response[rig->responses - 1].json, key);
}

const char *rig_path(const struct rig *rig, const char *below)
{
	static char path[1024];

	snprintf(path, sizeof path, "%s/%s", rig->dir, below);
	return path;
}

void rig_check_file(const struct rig *rig, const char *below, const void *bytes, size_t len)
{
	const char *path = rig_path(rig, below);
	FILE *file = fopen(path, "r");
	char *content = malloc(len + 1);
	size_t got;

	ck_assert_ptr_nonnull(content);
	ck_assert_msg(file != NULL, "%s is not there", path);
	got = fread(content, 1, len + 1, file);
	fclose(file);
	ck_assert_msg(got == len && memcmp(content, bytes, len) == 0, "%s has other bytes", path);
	free(content);
}

bool rig_has_file(const struct rig *rig, const char *below)
{
	struct stat info;

	return lstat(rig_path(rig, below), &info) == 0;
}

bool rig_logged(const struct rig *rig, const char *text)
{
	ft_logger_drain(rig->logger);	/* lines of workers */
	return strstr(rig->log, text) != NULL;
}
