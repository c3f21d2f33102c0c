/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/v20/mqtt_tls.h"

#include <dlfcn.h>
#include <stdbool.h>

#include <openssl/ssl.h>

/* X(function): all that is used of libssl and libcrypto. */
#define FUNCTIONS(X) \
	X(TLS_client_method) \
	X(SSL_CTX_new) \
	X(SSL_CTX_free) \
	X(SSL_CTX_set_security_level) \
	X(SSL_new) \
	X(SSL_free) \
	X(SSL_set_fd) \
	X(SSL_connect) \
	X(SSL_read) \
	X(SSL_write) \
	X(SSL_get_error) \
	X(SSL_get_rbio) \
	X(BIO_number_read)

struct ft_mqtt_tls {
#define X(function) __typeof__(function) *function;
	FUNCTIONS(X)
#undef X
	SSL_CTX *context;
	SSL *ssl;
};

static bool tls_look_up(void *function, const char *name)
{
	void *found = dlsym(RTLD_DEFAULT, name);

	/* POSIX: what dlsym() returns may be used as a function's address. */
	memcpy(function, &found, sizeof found);
	return found != NULL;
}

static bool tls_look_up_all(struct ft_mqtt_tls *tls)
{
	bool complete = true;

#define X(function) complete = tls_look_up(&tls->function, #function) && complete;
	FUNCTIONS(X)
#undef X
	return complete;
}

static bool tls_begin(struct ft_mqtt_tls *tls, int fd)
{
	tls->context = tls->SSL_CTX_new(tls->TLS_client_method());
	if (!tls->context)
		return false;
	/* Whatever the operator's certificate is like: it is not relied on. */
	tls->SSL_CTX_set_security_level(tls->context, 0);
	tls->ssl = tls->SSL_new(tls->context);
	return tls->ssl && tls->SSL_set_fd(tls->ssl, fd) == 1;
}

struct ft_mqtt_tls *ft_mqtt_tls_new(int fd)
{
	struct ft_mqtt_tls *tls = calloc(1, sizeof *tls);

	if (!tls)
		return NULL;
	if (!tls_look_up_all(tls)) {
		free(tls);
		return NULL;
	}
	if (!tls_begin(tls, fd))
		ft_mqtt_tls_free(&tls);
	return tls;
}

void ft_mqtt_tls_free(struct ft_mqtt_tls **tls)
{
	struct ft_mqtt_tls *gone = *tls;

	*tls = NULL;
	if (!gone)
		return;
	gone->SSL_free(gone->ssl);
	gone->SSL_CTX_free(gone->context);
	free(gone);
}

static int tls_outcome(struct ft_mqtt_tls *tls, int returned)
{
	if (returned > 0)
		return returned;
	switch (tls->SSL_get_error(tls->ssl, returned)) {
	case SSL_ERROR_WANT_READ:
		return FT_MQTT_TLS_WANTS_READ;
	case SSL_ERROR_WANT_WRITE:
		return FT_MQTT_TLS_WANTS_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return FT_MQTT_TLS_FAILED;
	}
}

int ft_mqtt_tls_handshake(struct ft_mqtt_tls *tls)
{
	return tls_outcome(tls, tls->SSL_connect(tls->ssl));
}

bool ft_mqtt_tls_heard(struct ft_mqtt_tls *tls)
{
	BIO *input = tls->SSL_get_rbio(tls->ssl);

	return input && tls->BIO_number_read(input) > 0;
}

ssize_t ft_mqtt_tls_read(struct ft_mqtt_tls *tls, void *buffer, size_t len)
{
	return tls_outcome(tls, tls->SSL_read(tls->ssl, buffer, (int)(len < INT32_MAX ? len : INT32_MAX)));
}

ssize_t ft_mqtt_tls_write(struct ft_mqtt_tls *tls, const void *bytes, size_t len)
{
	return tls_outcome(tls, tls->SSL_write(tls->ssl, bytes, (int)(len < INT32_MAX ? len : INT32_MAX)));
}
