/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/v20/doorbell.h"

#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <mosquitto.h>
#include <mosquitto_plugin.h>

#include "base/system.h"
#include "mosquitto/compat.h"
#include "mosquitto/v20/mqtt_line.h"

#define METHOD "file-transfer-bell"
#define CLIENT_PREFIX "file-transfer-bell-"
#define CLIENT_ROOM (sizeof CLIENT_PREFIX + FT_UUID_ROOM)
#define SECRET_LEN 32

/* Connect flags, section 3.1.2.3. */
#define FLAG_CLEAN_START 0x02
#define FLAG_USERNAME 0x80

#define HANG_MS 500
#define ANSWER_MS 50
#define HANG_AGAIN_MS 10000

struct ft_doorbell {
	mosquitto_plugin_id_t *id;
	ft_doorbell_rung *rung;
	void *context;
	uint8_t secret[SECRET_LEN];
	char client_id[CLIENT_ROOM];
	int stop_fd;

	/* The helper's. */
	struct ft_mqtt_line line;
	bool hung;
	bool unanswered;
	int64_t hang_again_ms;
};

/* 2.0 names the method at the start only. The time it takes does not tell how much was right. */
static bool doorbell_is_our_visitor(const struct ft_doorbell *bell,
				    const struct mosquitto_evt_extended_auth *auth)
{
	const uint8_t *data = auth->data_in;
	uint8_t difference = 0;

	if (!data || auth->data_in_len != SECRET_LEN ||
	    (auth->auth_method && strcmp(auth->auth_method, METHOD) != 0))
		return false;
	for (size_t i = 0; i < SECRET_LEN; i++)
		difference = (uint8_t)(difference | (data[i] ^ bell->secret[i]));
	return difference == 0;
}

/* Other methods and other clients are as if these callbacks were not there. */
static int doorbell_answer(const struct ft_doorbell *bell,
			   const struct mosquitto_evt_extended_auth *auth)
{
	if (!doorbell_is_our_visitor(bell, auth))
		return MOSQ_ERR_PLUGIN_DEFER;
	bell->rung(bell->context);
	return MOSQ_ERR_AUTH_CONTINUE;
}

static int doorbell_on_start(int event, void *event_data, void *userdata)
{
	(void)event;
	return doorbell_answer(userdata, event_data);
}

static int doorbell_on_continue(int event, void *event_data, void *userdata)
{
	(void)event;
	return doorbell_answer(userdata, event_data);
}

static const struct {
	int event;
	MOSQ_FUNC_generic_callback callback;
} callbacks[] = {
	{ MOSQ_EVT_EXT_AUTH_START, doorbell_on_start },
	{ MOSQ_EVT_EXT_AUTH_CONTINUE, doorbell_on_continue },
};

#define CALLBACKS (sizeof callbacks / sizeof callbacks[0])

static void doorbell_put_auth_properties(const struct ft_doorbell *bell, struct ft_buf *body)
{
	char room[FT_MQTT_PACKET_ROOM];
	struct ft_buf properties = ft_buf_on(room, sizeof room);

	ft_buf_char(&properties, FT_MQTT_AUTH_METHOD);
	ft_mqtt_put_field(&properties, METHOD, strlen(METHOD));
	ft_buf_char(&properties, FT_MQTT_AUTH_DATA);
	ft_mqtt_put_field(&properties, bell->secret, SECRET_LEN);
	ft_mqtt_put_with_length(body, &properties);
}

/* Keep alive 0: the broker does not end a connection that is silent for days. */
static enum ft_line_result doorbell_send_connect(struct ft_doorbell *bell)
{
	char room[FT_MQTT_PACKET_ROOM];
	struct ft_buf body = ft_buf_on(room, sizeof room);
	size_t id_len = strlen(bell->client_id);

	ft_mqtt_put_field(&body, "MQTT", 4);
	ft_buf_char(&body, 5);
	ft_buf_char(&body, (char)(FLAG_CLEAN_START | FLAG_USERNAME));
	ft_mqtt_put_u16(&body, 0);
	doorbell_put_auth_properties(bell, &body);
	ft_mqtt_put_field(&body, bell->client_id, id_len);
	ft_mqtt_put_field(&body, bell->client_id, id_len);
	return ft_mqtt_line_send(&bell->line, FT_MQTT_CONNECT, &body);
}

static enum ft_line_result doorbell_send_auth(struct ft_doorbell *bell)
{
	char room[FT_MQTT_PACKET_ROOM];
	struct ft_buf body = ft_buf_on(room, sizeof room);

	ft_buf_char(&body, FT_MQTT_CONTINUE_AUTH);
	doorbell_put_auth_properties(bell, &body);
	return ft_mqtt_line_send(&bell->line, FT_MQTT_AUTH, &body);
}

/* Each ring is answered by a request to go on, after on_continue() has returned. */
static enum ft_line_result doorbell_await_answer(struct ft_doorbell *bell)
{
	struct ft_mqtt_packet packet;
	uint8_t type;
	enum ft_line_result result = ft_mqtt_line_peek(&bell->line, &type);

	if (result != FT_LINE_OK)
		return result;
	if (type == FT_MQTT_CONNACK)
		return FT_LINE_LOGIN_REFUSED;
	if (type != FT_MQTT_AUTH)
		return FT_LINE_NOT_MQTT;
	return ft_mqtt_line_read(&bell->line, &packet);
}

static enum ft_line_result doorbell_hang_at(struct ft_doorbell *bell, const struct ft_listener *listener,
					    bool tls)
{
	enum ft_line_result result = ft_mqtt_line_open(&bell->line, listener, tls, bell->stop_fd,
						       HANG_MS);

	if (result == FT_LINE_OK)
		result = doorbell_send_connect(bell);
	if (result == FT_LINE_OK)
		result = doorbell_await_answer(bell);
	if (result != FT_LINE_OK)
		ft_mqtt_line_close(&bell->line);
	return result;
}

/* Only a listener of our own plugin line lets the bell in. */
static bool doorbell_hang(struct ft_doorbell *bell)
{
	struct ft_listener listeners[FT_LISTENERS_MAX];
	size_t count = ft_listeners_find(listeners, FT_LISTENERS_MAX);
	enum ft_line_result result = FT_LINE_FAILED;

	if (ft_clock_ms() < bell->hang_again_ms)
		return false;
	for (size_t i = 0; i < count && result != FT_LINE_OK && result != FT_LINE_STOPPED; i++) {
		result = doorbell_hang_at(bell, &listeners[i], false);
		if (result == FT_LINE_NOT_MQTT || result == FT_LINE_CLOSED)
			result = doorbell_hang_at(bell, &listeners[i], true);
	}
	bell->hung = result == FT_LINE_OK;
	bell->unanswered = false;
	bell->hang_again_ms = ft_clock_ms() + HANG_AGAIN_MS;
	return bell->hung;
}

/* One ring at a time: a broker that is slow to answer has heard it when it does. */
static bool doorbell_ring(void *context)
{
	struct ft_doorbell *bell = context;
	enum ft_line_result result = FT_LINE_OK;

	if (!bell->hung)
		return doorbell_hang(bell);
	ft_mqtt_line_within(&bell->line, ANSWER_MS);
	if (!bell->unanswered)
		result = doorbell_send_auth(bell);
	bell->unanswered = true;
	if (result == FT_LINE_OK)
		result = doorbell_await_answer(bell);
	if (result == FT_LINE_FAILED || result == FT_LINE_STOPPED)
		return true;
	bell->unanswered = false;
	if (result == FT_LINE_OK)
		return true;
	ft_mqtt_line_close(&bell->line);
	return doorbell_hang(bell);
}

static void doorbell_stop(void *context)
{
	const struct ft_doorbell *bell = context;
	const uint64_t one = 1;

	/* Full is as good as written. */
	if (write(bell->stop_fd, &one, sizeof one) < 0)
		return;
}

static void doorbell_unregister(struct ft_doorbell *bell, size_t count)
{
	for (size_t i = 0; i < count; i++)
		mosquitto_callback_unregister(bell->id, callbacks[i].event, callbacks[i].callback, NULL);
}

static bool doorbell_register_all(struct ft_doorbell *bell)
{
	for (size_t i = 0; i < CALLBACKS; i++) {
		if (mosquitto_callback_register(bell->id, callbacks[i].event, callbacks[i].callback,
						NULL, bell) != MOSQ_ERR_SUCCESS) {
			doorbell_unregister(bell, i);
			return false;
		}
	}
	return true;
}

static void doorbell_destroy(struct ft_doorbell *bell)
{
	ft_mqtt_line_close(&bell->line);
	if (bell->stop_fd >= 0)
		close(bell->stop_fd);
	explicit_bzero(bell->secret, sizeof bell->secret);
	free(bell);
}

static void doorbell_make_names(struct ft_doorbell *bell)
{
	struct ft_buf client = ft_buf_on(bell->client_id, sizeof bell->client_id);
	char uuid[FT_UUID_ROOM];

	ft_uuid(uuid);
	ft_buf_str(&client, CLIENT_PREFIX);
	ft_buf_str(&client, uuid);
}

struct ft_doorbell *ft_doorbell_new(mosquitto_plugin_id_t *id, struct ft_wake *wake,
				    ft_doorbell_rung *rung, void *context)
{
	struct ft_doorbell *bell;

	if (ft_compat_is_21() || !(bell = calloc(1, sizeof *bell)))
		return NULL;
	bell->id = id;
	bell->rung = rung;
	bell->context = context;
	bell->line.fd = -1;
	bell->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	doorbell_make_names(bell);
	if (bell->stop_fd < 0 ||
	    getrandom(bell->secret, sizeof bell->secret, 0) != (ssize_t)sizeof bell->secret ||
	    !doorbell_register_all(bell)) {
		doorbell_destroy(bell);
		return NULL;
	}
	ft_wake_set_bell(wake, &(struct ft_wake_bell){ .ring = doorbell_ring, .stop = doorbell_stop,
						       .bell = bell });
	return bell;
}

void ft_doorbell_free(struct ft_doorbell **bell)
{
	struct ft_doorbell *gone = *bell;

	*bell = NULL;
	if (!gone)
		return;
	doorbell_unregister(gone, CALLBACKS);
	doorbell_destroy(gone);
}
