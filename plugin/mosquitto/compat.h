/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Where brokers differ, decided at run time: one library serves 2.0 and 2.1.
 *
 * The library is built with the headers of 2.0. What 2.1 adds is looked up by
 * name in the running broker, and its structures are declared here.
 *
 * Threads: ft_compat_is_21() and ft_compat_property_free() any; the rest the broker's.
 */
#ifndef FT_MOSQUITTO_COMPAT_H
#define FT_MOSQUITTO_COMPAT_H

#include <stdbool.h>
#include <stdint.h>

/* MOSQ_ERR_QUOTA_EXCEEDED of 2.1: PUBACK 0x97. Broker 2.0 closes the connection on it. */
#define FT_COMPAT_QUOTA_EXCEEDED (-6)

/*
 * The connection of a session that stays has ended: 2.1 tells so, and not by MOSQ_EVT_DISCONNECT.
 * Its data are laid out as those of that event.
 */
#define FT_COMPAT_EVT_CLIENT_OFFLINE 28

/* Whether the broker is 2.1 or newer. Patch levels of 2.0 cannot be told apart. */
bool ft_compat_is_21(void);

typedef void ft_compat_free(void *memory);

/* What frees a string or binary that mosquitto_property_read_*() handed out. Look it up once. */
ft_compat_free *ft_compat_property_free(void);

/*
 * An offline session that exists without a connection. Broker 2.1 only.
 * Returns false where it could not be made; true where it is there, new or not.
 * It expires `expiry_s` seconds from now (UINT32_MAX: never), also where the broker has
 * a persistent_client_expiration; calling again does not prolong it.
 */
bool ft_compat_session_add(const char *client_id, uint32_t expiry_s);

/* Subscribes such a session at QoS 0; repeating it is harmless. Broker 2.1 only. */
bool ft_compat_session_subscribe(const char *client_id, const char *topic);

/* Drops what is queued for such a session. Broker 2.1 only. */
void ft_compat_session_clear(const char *client_id);

#endif
