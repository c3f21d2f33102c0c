/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What a connection needs for TLS, and in plain words why a handshake failed.
 *
 *	struct tls *tls = tls_new(&options, why, sizeof(why));
 *	mosquitto_void_option(mosq, MOSQ_OPT_SSL_CTX, tls_context(tls));
 *	... tls_trouble(tls) ...
 *	tls_free(&tls);		after mosquitto_destroy()
 *
 * The context is ours and not libmosquitto's, since that tells the same "TLS error" for
 * everything, and compares the certificate with the address that is dialled instead of the
 * name that was given. One thread at a time; one handshake for each struct.
 */
#ifndef EXAMPLES_TLS_H
#define EXAMPLES_TLS_H

#include <stddef.h>

#include "link.h"

#define TLS_WHY_ROOM 400

struct tls;

/* NULL: `why` names the option that is wrong. Borrows the strings of `options`. */
struct tls *tls_new(const struct link_options *options, char *why, size_t room);
void tls_free(struct tls **tls);

/* SSL_CTX */
void *tls_context(struct tls *tls);

/* Why the peers do not trust, or not understand, each other; "": nothing is known. */
const char *tls_trouble(const struct tls *tls);

/* How far the handshake has come. */
enum tls_progress {
	TLS_SILENT,		/* no answer yet */
	TLS_ANSWERED,
	TLS_DONE,
};

enum tls_progress tls_progress(const struct tls *tls);

/* An errno that OpenSSL has met, and libmosquitto has kept to itself; 0: none. */
int tls_system_error(const struct tls *tls);

/* A line of libmosquitto's log, which is the only place where it tells OpenSSL's reasons. */
void tls_take_log(struct tls *tls, const char *line);

#endif
