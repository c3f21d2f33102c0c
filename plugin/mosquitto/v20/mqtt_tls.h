/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * TLS to the broker's own listener, with the TLS library the broker itself has loaded.
 *
 * The library is looked up in the process, not linked: a broker without it has no TLS
 * listeners. The certificate is not verified. The other end is a socket of this very
 * process, and all it learns is a secret that is good for this connection only.
 *
 * Threads: any; a connection belongs to one.
 */
#ifndef FT_MOSQUITTO_MQTT_TLS_H
#define FT_MOSQUITTO_MQTT_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct ft_mqtt_tls;

/* What a call that could not finish is waiting for, or that it failed for good. */
#define FT_MQTT_TLS_WANTS_READ (-1)
#define FT_MQTT_TLS_WANTS_WRITE (-2)
#define FT_MQTT_TLS_FAILED (-3)

/* A client on the non-blocking descriptor, which stays the caller's. NULL: no TLS here. */
struct ft_mqtt_tls *ft_mqtt_tls_new(int fd);
void ft_mqtt_tls_free(struct ft_mqtt_tls **tls);

/* 1 when connected, or one of the above. */
int ft_mqtt_tls_handshake(struct ft_mqtt_tls *tls);

/* Whether the other end ever said anything. */
bool ft_mqtt_tls_heard(struct ft_mqtt_tls *tls);

/* Bytes read or written (> 0), 0 at the end of the stream, or one of the above. */
ssize_t ft_mqtt_tls_read(struct ft_mqtt_tls *tls, void *buffer, size_t len);
ssize_t ft_mqtt_tls_write(struct ft_mqtt_tls *tls, const void *bytes, size_t len);

#endif
