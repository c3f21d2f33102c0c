/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Files in segments, by one client or many: as plain messages on up/{client}/{file}/{offset}
 * or as file transfer. A client sends its files one after the other and has up to
 * `window` messages unacknowledged; `parallel` says how many files may be begun and not
 * finished.
 *
 * With --put a file is one message.
 *
 * A file is finished by its last PUBACK (plain), by the subscriber's word on
 * done/{client}/{file} (plain, --confirm) or by the success response to `fin`. An MQTT 5
 * client sees from the PUBACKs that init and segments were taken; so unless --responses
 * is given it subscribes to its responses only ahead of its first `fin`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load_link.h"

#define SECOND_NS UINT64_C(1000000000)
#define TOPIC_ROOM 160
#define INIT_ROOM 256
#define MAX_WINDOW 4096

struct file {
	uint64_t unacked;		/* messages, among them those not sent yet */
	uint64_t fin_ns;		/* when fin was sent; then how long it took */
};

/* A message on its way. PUBACKs come in the order of the messages. */
struct sent {
	int mid;
	uint64_t file;
};

struct client {
	struct link link;
	struct upload *upload;
	unsigned int number;
	struct file *files;
	uint64_t file;			/* that is being sent */
	uint64_t step;			/* its next message: init, segments, fin */
	uint64_t begun, finished;
	struct sent *sent;		/* ring of `window` */
	uint64_t in_flight, oldest;
	bool sees_responses;
};

struct upload {
	const struct load_options *options;
	struct load_data data;
	struct load_clock clock;
	struct client *clients;
	struct link **links;
	uint64_t *fin_ns;		/* of each file */
	uint64_t fins, messages, responses, finished, bytes;
};

static uint64_t segment_len(const struct upload *up, uint64_t segment)
{
	uint64_t left = up->options->size - segment * up->options->chunk;

	return left < up->options->chunk ? left : up->options->chunk;
}

static void file_finished(struct client *client)
{
	client->finished++;
	client->upload->finished++;
}

/* --- what comes back --- */

/* 0x10 to a plain message: nobody is subscribed. To a command: not ours, or no sink. */
static bool is_good(const struct upload *up, int reason)
{
	return reason == 0 || (up->options->plain && reason == 0x10);
}

static void acked(void *context, int mid, int reason)
{
	struct client *client = context;
	const struct load_options *options = client->upload->options;
	struct sent *sent = &client->sent[client->oldest % options->window];

	if (client->in_flight == 0 || sent->mid != mid)
		load_die("message %d is acknowledged out of order", mid);
	if (!is_good(client->upload, reason))
		load_die("message %d of file %llu is refused: 0x%02x", mid,
			 (unsigned long long)sent->file, (unsigned int)reason);
	client->oldest++;
	client->in_flight--;
	if (--client->files[sent->file].unacked > 0)
		return;
	if (options->leave || (options->plain && !options->confirm))
		file_finished(client);
}

static void check_file(const struct client *client, unsigned long long file)
{
	if (file >= client->begun)
		load_die("an answer for file %llu, which was never begun", file);
}

/* {"vsn":"0.1","topic":"$file/f7/fin/1000…","reason_code":0,… */
static void response_arrived(struct client *client, const char *text)
{
	struct upload *up = client->upload;
	unsigned long long number;
	const char *topic = strstr(text, "\"topic\":\"$file/f");
	char word[4] = "";
	struct file *file;

	up->responses++;
	if (!topic || !strstr(text, "\"reason_code\":0,"))
		load_die("a bad response: %s", text);
	if (sscanf(topic, "\"topic\":\"$file/f%llu/%3[a-z]", &number, word) != 2
	    || (strcmp(word, "fin") != 0 && strcmp(word, "put") != 0))
		return;
	check_file(client, number);
	file = &client->files[number];
	up->fin_ns[up->fins++] = load_now_ns() - file->fin_ns;
	file_finished(client);
}

static void arrived(void *context, const struct mosquitto_message *message)
{
	struct client *client = context;
	unsigned long long file;
	char text[2048];

	if (client->upload->options->confirm) {
		if (sscanf(message->topic, "done/%*u/%llu", &file) != 1)
			load_die("an unknown message on %s", message->topic);
		check_file(client, file);
		file_finished(client);
		return;
	}
	snprintf(text, sizeof text, "%.*s", message->payloadlen, (const char *)message->payload);
	response_arrived(client, text);
}

static const struct link_events events = { .acked = acked, .arrived = arrived };

/* --- what is sent --- */

static void publish(struct client *client, const char *topic, const void *payload, uint64_t len)
{
	const struct load_options *options = client->upload->options;
	struct sent *sent = &client->sent[(client->oldest + client->in_flight) % options->window];

	sent->file = client->file;
	sent->mid = link_publish(&client->link, topic, payload, (size_t)len);
	client->in_flight++;
	client->upload->messages++;
}

static void send_init(struct client *client)
{
	const struct upload *up = client->upload;
	char topic[TOPIC_ROOM], payload[INIT_ROOM];
	int len;

	snprintf(topic, sizeof topic, "$file/f%llu/init", (unsigned long long)client->file);
	len = snprintf(payload, sizeof payload,
		       "{\"name\":\"data-%llu.bin\",\"size\":%llu%s%s%s%s}",
		       (unsigned long long)client->file, (unsigned long long)up->options->size,
		       up->data.sum[0] ? ",\"checksum\":\"" : "", up->data.sum,
		       up->data.sum[0] ? "\"" : "",
		       up->options->errors ? ",\"responses\":\"errors\"" : "");
	publish(client, topic, payload, (uint64_t)len);
}

static void send_segment(struct client *client, uint64_t segment)
{
	struct upload *up = client->upload;
	unsigned long long file = client->file, offset = segment * up->options->chunk;
	char topic[TOPIC_ROOM];

	if (up->options->plain)
		snprintf(topic, sizeof topic, "up/%u/%llu/%llu", client->number, file, offset);
	else if (up->data.segment_sums)
		snprintf(topic, sizeof topic, "$file/f%llu/%llu/%s", file, offset,
			 up->data.segment_sums[segment]);
	else
		snprintf(topic, sizeof topic, "$file/f%llu/%llu", file, offset);
	up->bytes += segment_len(up, segment);
	publish(client, topic, up->data.bytes + offset, segment_len(up, segment));
}

static void see_responses(struct client *client, const struct load_options *options)
{
	char filter[TOPIC_ROOM];

	if (client->sees_responses)
		return;
	snprintf(filter, sizeof filter, "$file-response/%s-%u", options->id, client->number);
	link_subscribe(&client->link, filter);
	client->sees_responses = true;
}

static void send_fin(struct client *client)
{
	const struct load_options *options = client->upload->options;
	char topic[TOPIC_ROOM];

	see_responses(client, options);
	snprintf(topic, sizeof topic, "$file/f%llu/fin/%llu", (unsigned long long)client->file,
		 (unsigned long long)options->size);
	client->files[client->file].fin_ns = load_now_ns();
	publish(client, topic, NULL, 0);
}

static void send_put(struct client *client)
{
	struct upload *up = client->upload;
	unsigned long long file = client->file;
	char topic[TOPIC_ROOM];

	see_responses(client, up->options);
	snprintf(topic, sizeof topic, "$file/f%llu/put/data-%llu.bin%s%s", file, file,
		 up->data.sum[0] ? "/" : "", up->data.sum);
	up->bytes += up->options->size;
	client->files[client->file].fin_ns = load_now_ns();
	publish(client, topic, up->data.bytes, up->options->size);
}

/* Messages of a file. */
static uint64_t steps(const struct upload *up)
{
	if (up->options->put)
		return 1;
	if (up->options->plain)
		return up->data.segments;
	return up->data.segments + (up->options->leave ? 1 : 2);
}

static bool may_send(const struct client *client)
{
	const struct upload *up = client->upload;
	const struct load_options *options = up->options;

	if (client->file >= options->files || client->in_flight >= options->window)
		return false;
	if (client->step == 0)
		return client->begun - client->finished < options->parallel;
	if (options->settle && !options->put && client->step == up->data.segments + 1)
		return client->in_flight == 0;
	return true;
}

static void send_next(struct client *client)
{
	const struct upload *up = client->upload;
	uint64_t first_segment = up->options->plain ? 0 : 1;

	if (client->step == 0) {
		client->begun++;
		client->files[client->file].unacked = steps(up);
	}
	if (up->options->put)
		send_put(client);
	else if (client->step < first_segment)
		send_init(client);
	else if (client->step - first_segment < up->data.segments)
		send_segment(client, client->step - first_segment);
	else
		send_fin(client);
	if (++client->step < steps(up))
		return;
	client->step = 0;
	client->file++;
}

/* How long to wait before more may be sent at the wanted rate; 0: go on. */
static int wait_ms(const struct upload *up)
{
	double due_s, now_s;

	if (up->options->rate == 0)
		return 0;
	due_s = (double)up->bytes / (double)up->options->rate;
	now_s = (double)(load_now_ns() - up->clock.start_ns) / (double)SECOND_NS;
	return due_s > now_s ? 1 + (int)((due_s - now_s) * 1000) : 0;
}

static int pump(struct upload *up)
{
	int wait = 0;

	for (uint64_t i = 0; i < up->options->clients; i++)
		while ((wait = wait_ms(up)) == 0 && may_send(&up->clients[i]))
			send_next(&up->clients[i]);
	return wait;
}

/* --- the run --- */

static void open_client(struct upload *up, struct client *client, unsigned int number)
{
	const struct load_options *options = up->options;
	char id[TOPIC_ROOM];

	client->upload = up;
	client->number = number;
	client->files = load_alloc(options->files, sizeof client->files[0]);
	client->sent = load_alloc(options->window, sizeof client->sent[0]);
	snprintf(id, sizeof id, "%s-%u", options->id, number);
	link_open(&client->link, options, id, &events, client);
	up->links[number] = &client->link;
}

static void open_clients(struct upload *up)
{
	const struct load_options *options = up->options;
	char filter[TOPIC_ROOM];

	for (uint64_t i = 0; i < options->clients; i++)
		open_client(up, &up->clients[i], (unsigned int)i);
	link_settle(up->links, options->clients, options);
	for (uint64_t i = 0; i < options->clients; i++) {
		if (options->confirm) {
			snprintf(filter, sizeof filter, "done/%u/+", (unsigned int)i);
			link_subscribe(&up->clients[i].link, filter);
		} else if (options->responses) {
			see_responses(&up->clients[i], options);
		}
	}
	link_settle(up->links, options->clients, options);
}

static void run(struct upload *up)
{
	const struct load_options *options = up->options;
	uint64_t files = options->clients * options->files;

	load_clock_start(&up->clock);
	while (up->finished < files) {
		int wait = pump(up);

		link_loop(up->links, options->clients, wait > 0 ? wait : 1000);
		if (load_now_ns() - up->clock.start_ns > options->timeout * SECOND_NS)
			load_die("%llu of %llu files are done after %llu s",
				 (unsigned long long)up->finished, (unsigned long long)files,
				 (unsigned long long)options->timeout);
	}
	load_clock_stop(&up->clock);
}

static void report(struct upload *up)
{
	putchar('{');
	load_print_upload(up->options, &up->clock);
	printf(",\"messages\":%llu,\"responses\":%llu,", (unsigned long long)up->messages,
	       (unsigned long long)up->responses);
	load_print_spread("fin_ms", up->fin_ns, up->fins, 1e6);
	puts("}");
	fflush(stdout);
}

static void release(struct upload *up)
{
	for (uint64_t i = 0; i < up->options->clients; i++) {
		link_close(&up->clients[i].link);
		free(up->clients[i].files);
		free(up->clients[i].sent);
	}
	free(up->clients);
	free(up->links);
	free(up->fin_ns);
	load_data_release(&up->data);
}

int load_upload(const struct load_options *options)
{
	struct upload up = { .options = options };

	if (options->window == 0 || options->window > MAX_WINDOW)
		load_die("--window must be 1 to %d", MAX_WINDOW);
	up.clients = load_alloc(options->clients, sizeof up.clients[0]);
	up.links = load_alloc(options->clients, sizeof(struct link *));
	up.fin_ns = load_alloc(options->clients * options->files, sizeof up.fin_ns[0]);
	load_data_make(&up.data, options);
	open_clients(&up);
	load_ready(options);
	run(&up);
	report(&up);
	release(&up);
	return EXIT_SUCCESS;
}
