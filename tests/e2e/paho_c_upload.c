/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Uploads one file with Eclipse Paho's C client, waiting for each acknowledgement,
 * as the reference C client for EMQX does. Prints the response to fin.
 *
 *	paho_c_upload URI CLIENT FILE_ID PATH CHUNK INIT_JSON VERSION
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <MQTTClient.h>

enum { TIMEOUT_MS = 60000 };

struct upload {
	MQTTClient client;
	const char *file_id;
	int version;
};

static void die(const char *what, int code)
{
	fprintf(stderr, "%s: %d\n", what, code);
	exit(EXIT_FAILURE);
}

static void send_and_wait(const struct upload *upload, const char *tail, const void *bytes, int len)
{
	char topic[256];
	MQTTClient_deliveryToken token = 0;
	int rc;

	snprintf(topic, sizeof topic, "$file/%s/%s", upload->file_id, tail);
	if (upload->version == MQTTVERSION_5) {
		MQTTResponse response = MQTTClient_publish5(upload->client, topic, len, bytes, 1, 0,
							    NULL, &token);
		rc = (int)response.reasonCode;
		MQTTResponse_free(response);
	} else {
		rc = MQTTClient_publish(upload->client, topic, len, bytes, 1, 0, &token);
	}
	if (rc != 0)
		die(topic, rc);
	if ((rc = MQTTClient_waitForCompletion(upload->client, token, TIMEOUT_MS)) != 0)
		die(topic, rc);
}

static void connect_to(struct upload *upload, const char *uri, const char *client_id)
{
	MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
	MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
	MQTTClient_connectOptions options5 = MQTTClient_connectOptions_initializer5;
	int rc;

	create.MQTTVersion = upload->version;
	rc = MQTTClient_createWithOptions(&upload->client, uri, client_id,
					  MQTTCLIENT_PERSISTENCE_NONE, NULL, &create);
	if (rc != 0)
		die("create", rc);
	if (upload->version == MQTTVERSION_5) {
		MQTTResponse response = MQTTClient_connect5(upload->client, &options5, NULL, NULL);
		rc = (int)response.reasonCode;
		MQTTResponse_free(response);
	} else {
		options.MQTTVersion = upload->version;
		rc = MQTTClient_connect(upload->client, &options);
	}
	if (rc != 0)
		die("connect", rc);
}

static void subscribe_to(struct upload *upload, const char *topic)
{
	int rc;

	if (upload->version == MQTTVERSION_5) {
		MQTTResponse response = MQTTClient_subscribe5(upload->client, topic, 1, NULL, NULL);
		rc = response.reasonCode == 1 ? 0 : (int)response.reasonCode;
		MQTTResponse_free(response);
	} else {
		rc = MQTTClient_subscribe(upload->client, topic, 1);
	}
	if (rc != 0)
		die("subscribe", rc);
}

static void send_file(const struct upload *upload, const char *path, size_t chunk)
{
	char tail[64];
	size_t got;
	unsigned long long offset = 0;
	char *block = malloc(chunk);
	FILE *file = fopen(path, "rb");

	if (!file || !block)
		die(path, 0);
	while ((got = fread(block, 1, chunk, file)) > 0) {
		snprintf(tail, sizeof tail, "%llu", offset);
		send_and_wait(upload, tail, block, (int)got);
		offset += got;
	}
	fclose(file);
	free(block);
	snprintf(tail, sizeof tail, "fin/%llu", offset);
	send_and_wait(upload, tail, NULL, 0);
}

/* Prints responses until the one to fin. */
static void print_result(const struct upload *upload)
{
	for (;;) {
		char *topic = NULL;
		int topic_len, done;
		MQTTClient_message *message = NULL;
		int rc = MQTTClient_receive(upload->client, &topic, &topic_len, &message, TIMEOUT_MS);

		if (rc != 0 || !message)
			die("no response to fin", rc);
		char *text = strndup(message->payload, (size_t)message->payloadlen);
		done = text && strstr(text, "/fin/") != NULL;
		if (done)
			puts(text);
		free(text);
		MQTTClient_freeMessage(&message);
		MQTTClient_free(topic);
		if (done)
			return;
	}
}

int main(int argc, char **argv)
{
	struct upload upload = { 0 };
	char responses[256];

	if (argc != 8)
		die("usage: paho_c_upload URI CLIENT FILE_ID PATH CHUNK INIT_JSON VERSION", argc);
	upload.file_id = argv[3];
	upload.version = strcmp(argv[7], "5") == 0 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
	connect_to(&upload, argv[1], argv[2]);
	snprintf(responses, sizeof responses, "$file-response/%s", argv[2]);
	subscribe_to(&upload, responses);
	send_and_wait(&upload, "init", argv[6], (int)strlen(argv[6]));
	send_file(&upload, argv[4], strtoul(argv[5], NULL, 10));
	print_result(&upload);
	MQTTClient_disconnect(upload.client, 1000);
	MQTTClient_destroy(&upload.client);
	return EXIT_SUCCESS;
}
