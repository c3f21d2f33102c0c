/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * ft-put: uploads one file to a broker with the file transfer plugin, resuming
 * where an earlier run, or an earlier connection, has left off.
 *
 * ft-put/upload.h decides, ft-put/link.h talks MQTT, ft-put/source.h reads the file;
 * here they are put together. Everything runs on one thread.
 */
#include <cjson/cJSON.h>
#include <inttypes.h>
#include <libgen.h>
#include <mosquitto.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ft-put/link.h"
#include "ft-put/options.h"
#include "ft-put/progress.h"
#include "ft-put/source.h"
#include "ft-put/upload.h"

#define STEP_MS 100
#define RECONNECT_MAX_MS 30000
#define PACKET_OVERHEAD 512		/* topic and headers of a segment */

struct put {
	const struct settings *settings;
	const char *name;
	struct source source;
	struct upload upload;
	struct link link;
	struct progress progress;
	void *buffer;			/* one segment */
	enum upload_phase shown;
	bool was_ready;			/* on some link */
	bool file_failed;		/* it cannot be read as it was at first */
	int64_t told_pause_ms;
};

static int64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* --- sending --- */

static bool publish_init(struct put *put, const char *topic, int *mid)
{
	char size[24];
	cJSON *init = cJSON_CreateObject();
	char *text = NULL;

	/* Raw, since JSON numbers go through a double, which prints as 1e+15. */
	snprintf(size, sizeof(size), "%" PRIu64, put->source.size);
	if (cJSON_AddStringToObject(init, "name", put->name) &&
	    cJSON_AddRawToObject(init, "size", size) &&
	    cJSON_AddStringToObject(init, "checksum", put->source.checksum))
		text = cJSON_PrintUnformatted(init);
	cJSON_Delete(init);
	if (!text)
		put->upload.verdict = UPLOAD_NO_MEMORY;
	bool ok = text && link_publish(&put->link, topic, text, strlen(text), mid);
	cJSON_free(text);
	return ok;
}

static bool publish_segment(struct put *put, const struct span *piece, int *mid)
{
	char topic[512];
	char checksum[SHA256_HEX_ROOM] = "";
	size_t len = (size_t)piece->len;

	if (!source_read(&put->source, piece->offset, put->buffer, len)) {
		put->file_failed = true;
		return false;
	}
	if (put->settings->segment_checksums && !sha256_hex(checksum, put->buffer, len)) {
		put->upload.verdict = UPLOAD_NO_MEMORY;
		return false;
	}
	snprintf(topic, sizeof(topic), "$file/%s/%" PRIu64 "%s%s", put->upload.job.file_id,
		 piece->offset, checksum[0] ? "/" : "", checksum);
	return link_publish(&put->link, topic, put->buffer, len, mid);
}

static bool publish_command(struct put *put, const struct upload_command *command, int *mid)
{
	const char *id = put->upload.job.file_id;
	char topic[512];

	switch (command->kind) {
	case COMMAND_INIT:
		snprintf(topic, sizeof(topic), "$file/%s/init", id);
		return publish_init(put, topic, mid);
	case COMMAND_SEGMENT:
		return publish_segment(put, &command->piece, mid);
	case COMMAND_FIN:
		snprintf(topic, sizeof(topic), "$file/%s/fin/%" PRIu64, id, put->upload.job.size);
		break;
	case COMMAND_ABORT:
		snprintf(topic, sizeof(topic), "$file/%s/abort", id);
		break;
	case COMMAND_STATUS:
		snprintf(topic, sizeof(topic), "$file/%s/status", id);
		break;
	}
	return link_publish(&put->link, topic, NULL, 0, mid);
}

static void pump(struct put *put)
{
	struct upload_command command;
	int mid = 0;

	while (put->link.state == LINK_READY &&
	       upload_next(&put->upload, clock_ms(), &command) &&
	       publish_command(put, &command, &mid))
		upload_sent(&put->upload, &command, mid, clock_ms());
}

static void on_acked(void *context, int mid, int reason)
{
	struct put *put = context;

	upload_acked(&put->upload, mid, reason, clock_ms());
}

static void on_answered(void *context, const void *payload, size_t len)
{
	struct put *put = context;

	upload_answered(&put->upload, payload, len, clock_ms());
}

/* --- what the user sees --- */

static void show(struct put *put, int64_t now)
{
	const struct upload *upload = &put->upload;
	uint64_t done = upload_done_bytes(upload);

	if (upload->not_before_ms > now && upload->not_before_ms != put->told_pause_ms) {
		put->told_pause_ms = upload->not_before_ms;
		progress_note(&put->progress, "%s; pausing for %" PRId64 " s", upload->why,
			      (upload->not_before_ms - now + 999) / 1000);
	}
	if (upload->phase == PHASE_SEND && put->shown != PHASE_SEND && done)
		progress_note(&put->progress, "the broker holds %" PRIu64 " of %" PRIu64
			      " bytes already", done, upload->job.size);
	if (upload->phase == PHASE_SEND || upload->phase == PHASE_FIN)
		progress_show(&put->progress, done, now);
	put->shown = upload->phase;
}

static enum exit_code report_done(struct put *put)
{
	char total[100];

	progress_total(&put->progress, put->source.size, clock_ms(), total, sizeof(total));
	progress_note(&put->progress, "%s: complete, %" PRIu64 " bytes, SHA-256 %s, %s", put->name,
		      put->source.size, put->source.checksum, total);
	return EXIT_DONE;
}

static enum exit_code report(struct put *put)
{
	struct upload *upload = &put->upload;

	if (upload->verdict == UPLOAD_DONE)
		return report_done(put);
	if (put->progress.drawn)
		putchar('\n');
	fflush(stdout);
	if (put->file_failed)
		return complain(EXIT_FILE, "%s has changed while it was being sent, "
				"or cannot be read any more", put->settings->path);
	switch (upload->verdict) {
	case UPLOAD_REFUSED:
		return complain(EXIT_REFUSED, "the broker refuses: %s%s", upload->why,
				strncmp(upload->why, "segment_too_large", 17) == 0
				? "; use a smaller --segment-size" : "");
	case UPLOAD_NOT_SERVED:
		return complain(EXIT_DENIED, "%s", upload->why);
	case UPLOAD_GAVE_UP:
		if (upload->phase == PHASE_OFFLINE)
			return complain(EXIT_LINK, "gave up: %s", put->link.why);
		return complain(EXIT_GAVE_UP, "gave up: %s",
				upload->why[0] ? upload->why : "no headway");
	case UPLOAD_NO_MEMORY:
		return complain(EXIT_INTERNAL, "out of memory");
	case UPLOAD_RUNNING:
	case UPLOAD_DONE:
		break;
	}
	return complain(put->link.state == LINK_REFUSED ? EXIT_DENIED : EXIT_LINK, "%s",
			put->link.why);
}

/* --- the course of things --- */

static bool goes_on(const struct put *put)
{
	return put->upload.verdict == UPLOAD_RUNNING && !put->file_failed;
}

static void begin(struct put *put, int64_t now)
{
	uint32_t max = put->link.max_packet_bytes;

	if (max > PACKET_OVERHEAD)
		upload_limit_segment(&put->upload, max - PACKET_OVERHEAD);
	put->was_ready = true;
	upload_link_up(&put->upload, now);
}

/* One connection, from its beginning to its end. */
static void run_link(struct put *put)
{
	struct link_events events = { put, on_acked, on_answered };

	link_open(&put->link, &put->settings->link, &events);
	while (put->link.state < LINK_LOST && goes_on(put)) {
		int64_t now = clock_ms();
		if (put->link.state == LINK_READY && put->upload.phase == PHASE_OFFLINE)
			begin(put, now);
		pump(put);
		/* The broker does not find the checksum that was announced: see why. */
		if (put->upload.begun_again && !source_unchanged(&put->source))
			put->file_failed = true;
		if (put->link.state == LINK_READY)
			show(put, now);
		upload_tick(&put->upload, now);
		if (upload_wants_new_link(&put->upload, now))
			break;
		if (put->link.state < LINK_LOST)
			link_step(&put->link, STEP_MS);
	}
	link_close(&put->link);
}

static void wait_before_reconnect(struct put *put, unsigned attempt)
{
	int64_t pause = attempt < 6 ? (int64_t)500 << attempt : RECONNECT_MAX_MS;
	struct timespec time = { pause / 1000, pause % 1000 * 1000000 };

	progress_note(&put->progress, "%s; trying again in %.1f s",
		      put->link.why[0] ? put->link.why : "no answer", (double)pause / 1000);
	nanosleep(&time, NULL);
	upload_tick(&put->upload, clock_ms());
}

/* The first connection must work: a wrong host name should not cost five minutes. */
static void run(struct put *put)
{
	unsigned attempt = 0;

	while (goes_on(put)) {
		int64_t headway = put->upload.headway_ms;
		run_link(put);
		if (!goes_on(put) || put->link.state == LINK_REFUSED || !put->was_ready)
			return;
		attempt = put->upload.headway_ms > headway ? 0 : attempt + 1;
		if (attempt == 3 && put->upload.phase == PHASE_SEND)
			progress_note(&put->progress, "the connection breaks with the first segment "
				      "each time: try a smaller --segment-size");
		upload_link_down(&put->upload);
		wait_before_reconnect(put, attempt);
	}
}

static bool prepare(struct put *put, const struct upload_job *job)
{
	put->buffer = malloc(job->segment_bytes);
	return put->buffer && upload_init(&put->upload, job, clock_ms());
}

static enum exit_code put_file(struct settings *settings, struct put *put)
{
	char file_id[FILE_ID_ROOM], client_id[128], host[65] = "";

	if (!source_file_id(file_id, &put->source, put->name))
		return complain(EXIT_INTERNAL, "SHA-256 failed");
	gethostname(host, sizeof(host) - 1);
	snprintf(client_id, sizeof(client_id), "ft-put-%s-%.8s", host, file_id);
	if (!settings->link.client_id)
		settings->link.client_id = client_id;
	struct upload_job job = {
		.file_id = settings->file_id ? settings->file_id : file_id,
		.size = put->source.size,
		.segment_bytes = settings->segment_bytes,
		.window = settings->link.window,
		.pubacks_tell = settings->link.mqtt5,
		.patience_ms = (int64_t)settings->timeout_s * 1000,
	};
	if (!prepare(put, &job))
		return complain(EXIT_INTERNAL, "out of memory");
	progress_init(&put->progress, settings->quiet, put->source.size);
	progress_note(&put->progress, "%s: %" PRIu64 " bytes as client %s, file %s", put->name,
		      put->source.size, settings->link.client_id, job.file_id);
	run(put);
	return report(put);
}

int main(int argc, char **argv)
{
	struct settings settings;
	struct put put = { .settings = &settings };
	const char *why;
	enum exit_code code;

	if (!options_parse(&settings, argc, argv, &code))
		return (int)code;
	if (!source_open(&put.source, settings.path, &why))
		return (int)complain(EXIT_FILE, "%s: %s", settings.path, why);
	/* Writing to a connection that is gone must be an error, not the end. */
	signal(SIGPIPE, SIG_IGN);
	mosquitto_lib_init();
	char *path = strdup(settings.path);
	put.name = settings.name ? settings.name : path ? basename(path) : "";
	code = put_file(&settings, &put);
	upload_release(&put.upload);
	free(put.buffer);
	free(path);
	source_close(&put.source);
	mosquitto_lib_cleanup();
	return (int)code;
}
