/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "addresses.h"

/* In OpenSSL 3 an error of the system has this bit, and its errno in the others. */
#ifndef ERR_SYSTEM_FLAG
#define ERR_SYSTEM_FLAG 0x80000000UL
#define ERR_SYSTEM_MASK 0x7fffffffUL
#endif

struct tls {
	const struct link_options *options;
	SSL_CTX *context;
	enum tls_progress progress;
	int system_error;
	char trouble[TLS_WHY_ROOM];
};

/* The first reason counts; what follows is a consequence. */
__attribute__((format(printf, 2, 3)))
static void tls_note(struct tls *tls, const char *format, ...)
{
	va_list args;

	if (tls->trouble[0])
		return;
	va_start(args, format);
	vsnprintf(tls->trouble, sizeof(tls->trouble), format, args);
	va_end(args);
}

const char *tls_trouble(const struct tls *tls)
{
	return tls->trouble;
}

enum tls_progress tls_progress(const struct tls *tls)
{
	return tls->progress;
}

int tls_system_error(const struct tls *tls)
{
	return tls->system_error;
}

void *tls_context(struct tls *tls)
{
	return tls->context;
}

/* --- what goes wrong in a handshake --- */

static const char *tls_authorities(const struct tls *tls)
{
	return tls->options->cafile ? tls->options->cafile : tls->options->capath
	       ? tls->options->capath : "this system";
}

static void tls_note_certificate(struct tls *tls, int error)
{
	switch (error) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		tls_note(tls, "the broker's certificate is for another host, not for \"%s\"",
			 tls->options->host);
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
		tls_note(tls, "the broker's certificate is not to be trusted: no authority of %s "
			 "has signed it", tls_authorities(tls));
		break;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		tls_note(tls, "the broker's certificate %s, by this machine's clock",
			 error == X509_V_ERR_CERT_HAS_EXPIRED ? "has expired" : "is not valid yet");
		break;
	default:
		tls_note(tls, "the broker's certificate is not to be trusted: %s",
			 X509_verify_cert_error_string(error));
	}
}

static struct tls *tls_of(const SSL *ssl)
{
	return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

static int tls_on_certificate(int ok, X509_STORE_CTX *store)
{
	const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	int error = X509_STORE_CTX_get_error(store);

	if (ok)
		return 1;
	tls_note_certificate(tls_of(ssl), error);
	return 0;
}

/* It wants somebody else, or cannot tell who we are. */
static void tls_note_refusal(struct tls *tls, const char *word)
{
	if (tls->options->cert)
		tls_note(tls, "the broker does not accept --cert %s (%s)", tls->options->cert, word);
	else if (tls->options->psk)
		tls_note(tls, "the broker does not accept --psk (%s)", word);
	else
		tls_note(tls, "the broker ends the TLS handshake (%s); does it want a certificate "
			 "of ours (--cert)?", word);
}

/* The broker's last word (RFC 8446, section 6.2). */
static void tls_note_alert(struct tls *tls, int alert)
{
	const char *word = SSL_alert_desc_string_long(alert);

	switch (alert & 0xff) {
	case SSL_AD_CLOSE_NOTIFY:
	case SSL_AD_USER_CANCELLED:
		break;
	case TLS1_AD_UNKNOWN_PSK_IDENTITY:
		tls_note(tls, "the broker does not know this --psk-identity");
		break;
	case SSL_AD_HANDSHAKE_FAILURE:
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_ACCESS_DENIED:
	case TLS13_AD_CERTIFICATE_REQUIRED:
		tls_note_refusal(tls, word);
		break;
	default:
		tls_note(tls, "the broker ends the TLS handshake (%s)%s", word,
			 tls->options->psk ? "; is --psk right?" : "");
	}
}

static void tls_on_info(const SSL *ssl, int where, int value)
{
	int error = errno;
	struct tls *tls = tls_of(ssl);

	/* Libmosquitto 2.0.21 keeps it to itself that the connection is refused. */
	if ((where & SSL_CB_EXIT) && value < 0 && SSL_get_wbio(ssl) &&
	    !BIO_should_retry(SSL_get_wbio(ssl)))
		tls->system_error = error;

	if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT)
		tls_note_alert(tls, value);
	if (SSL_get_rbio(ssl) && BIO_number_read(SSL_get_rbio(ssl)) && tls->progress == TLS_SILENT)
		tls->progress = TLS_ANSWERED;
	if (where & SSL_CB_HANDSHAKE_DONE)
		tls->progress = TLS_DONE;
	/* libmosquitto has put the address there that it dials. RFC 6066 wants names only. */
	if (where & SSL_CB_HANDSHAKE_START)
		SSL_set_tlsext_host_name((SSL *)(uintptr_t)ssl, addresses_is_one(tls->options->host)
					 ? NULL : (char *)(uintptr_t)tls->options->host);
}

/* "OpenSSL Error[0]: error:0A00010B:SSL routines::wrong version number" */
void tls_take_log(struct tls *tls, const char *line)
{
	static const char *const no_tls[] = {
		"wrong version number", "packet length too long", "http request",
		"unknown protocol", "unexpected message", "record layer failure",
	};
	const char *number = strstr(line, "error:");
	const char *reason = number ? strrchr(line, ':') + 1 : NULL;
	unsigned long code = number ? strtoul(number + strlen("error:"), NULL, 16) : 0;

	/* What the peer has closed is no reason of TLS. */
	if (!reason || strstr(reason, "unexpected eof"))
		return;
	if (code & ERR_SYSTEM_FLAG) {
		tls->system_error = (int)(code & ERR_SYSTEM_MASK);
		return;
	}
	for (size_t i = 0; i < sizeof(no_tls) / sizeof(no_tls[0]); i++) {
		if (strstr(reason, no_tls[i]))
			tls_note(tls, "what answers at port %d does not speak TLS (%s)",
				 tls->options->port, reason);
	}
	tls_note(tls, "TLS: %s", reason);
}

/* --- pre-shared keys --- */

#ifdef OPENSSL_NO_PSK	/* tls_set_psk() says so: then there are no ciphers for them */
#define SSL_CTX_set_psk_client_callback(context, give) ((void)(give))
#endif

static unsigned tls_give_psk(SSL *ssl, const char *hint, char *identity, unsigned identity_room,
			     unsigned char *key, unsigned key_room)
{
	const struct link_options *options = tls_of(ssl)->options;
	long len = 0;
	unsigned char *bytes = OPENSSL_hexstr2buf(options->psk, &len);
	unsigned given = 0;

	(void)hint;
	if (bytes && len > 0 && (unsigned long)len <= key_room &&
	    strlen(options->psk_identity) < identity_room) {
		memcpy(key, bytes, (size_t)len);
		snprintf(identity, identity_room, "%s", options->psk_identity);
		given = (unsigned)len;
	}
	OPENSSL_clear_free(bytes, (size_t)len);
	return given;
}

static const char *tls_set_psk(struct tls *tls)
{
	const char *psk = tls->options->psk;

	if (!psk)
		return NULL;
	if (!*psk || strlen(psk) % 2 || psk[strspn(psk, "0123456789abcdefABCDEF")])
		return "--psk: pairs of hexadecimal digits are wanted";
	SSL_CTX_set_psk_client_callback(tls->context, tls_give_psk);
	/* With 1.3 brokers before Mosquitto 2.1 know no keys of this kind. */
	if (!tls->options->tls_version)
		SSL_CTX_set_max_proto_version(tls->context, TLS1_2_VERSION);
	if (!tls->options->ciphers && !SSL_CTX_set_cipher_list(tls->context, "PSK"))
		return "--psk: this OpenSSL knows no cipher for it";
	return NULL;
}

/* --- setting up --- */

static const char *tls_set_version(struct tls *tls)
{
	static const struct {
		const char *word;
		int version;
	} versions[] = {
		{ "tlsv1.3", TLS1_3_VERSION }, { "tlsv1.2", TLS1_2_VERSION },
		{ "tlsv1.1", TLS1_1_VERSION },
	};
	const char *word = tls->options->tls_version;

	if (!word)
		return SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION)
		       ? NULL : "TLS 1.2 is not there";
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		if (strcmp(word, versions[i].word) == 0 &&
		    SSL_CTX_set_min_proto_version(tls->context, versions[i].version) &&
		    SSL_CTX_set_max_proto_version(tls->context, versions[i].version))
			return NULL;
	}
	return "--tls-version: tlsv1.3, tlsv1.2 or tlsv1.1 is wanted";
}

static const char *tls_set_ciphers(struct tls *tls)
{
	const char *ciphers = tls->options->ciphers;

	return !ciphers || SSL_CTX_set_cipher_list(tls->context, ciphers)
	       ? NULL : "--ciphers: OpenSSL knows none of these";
}

/* Against the name that was given, whatever address is dialled. */
static const char *tls_set_host(struct tls *tls)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(tls->context);
	const char *host = tls->options->host;

	if (tls->options->insecure || tls->options->unix_path)
		return NULL;
	return (addresses_is_one(host) ? X509_VERIFY_PARAM_set1_ip_asc(param, host)
				       : X509_VERIFY_PARAM_set1_host(param, host, 0))
	       ? NULL : "--host: no certificate can be made out to that";
}

static const char *tls_set_verify(struct tls *tls)
{
	const struct link_options *options = tls->options;

	if (options->psk && !options->cafile && !options->capath)
		return NULL;
	if (!options->cafile && !options->capath &&
	    !SSL_CTX_set_default_verify_paths(tls->context))
		return "the system's authorities cannot be read; use --cafile";
	SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, tls_on_certificate);
	return tls_set_host(tls);
}

static int tls_load_cafile(SSL_CTX *context, const char *path)
{
	return SSL_CTX_load_verify_locations(context, path, NULL);
}

static int tls_load_capath(SSL_CTX *context, const char *path)
{
	return SSL_CTX_load_verify_locations(context, NULL, path);
}

static int tls_load_key(SSL_CTX *context, const char *path)
{
	return SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM);
}

/* One of the files that options name. What cannot be opened is told by its errno. */
static bool tls_load(struct tls *tls, const char *option, const char *path,
		     int (*load)(SSL_CTX *context, const char *path), char *why, size_t room)
{
	if (!path)
		return true;
	ERR_clear_error();
	if (access(path, R_OK) != 0)
		snprintf(why, room, "--%s %s: %s", option, path, strerror(errno));
	else if (load(tls->context, path) == 1)
		return true;
	else
		snprintf(why, room, "--%s %s: %s", option, path,
			 ERR_reason_error_string(ERR_peek_last_error())
			 ? ERR_reason_error_string(ERR_peek_last_error()) : "cannot be used");
	ERR_clear_error();
	return false;
}

static bool tls_load_all(struct tls *tls, char *why, size_t room)
{
	const struct link_options *options = tls->options;

	if (!tls_load(tls, "cafile", options->cafile, tls_load_cafile, why, room) ||
	    !tls_load(tls, "capath", options->capath, tls_load_capath, why, room) ||
	    !tls_load(tls, "cert", options->cert, SSL_CTX_use_certificate_chain_file, why, room) ||
	    !tls_load(tls, "key", options->key, tls_load_key, why, room))
		return false;
	if (!options->key || SSL_CTX_check_private_key(tls->context))
		return true;
	snprintf(why, room, "--key %s: it does not belong to --cert %s", options->key,
		 options->cert ? options->cert : "");
	return false;
}

static const char *tls_set_up(struct tls *tls)
{
	static const char *(*const steps[])(struct tls *) = {
		tls_set_version, tls_set_psk, tls_set_ciphers, tls_set_verify,
	};
	const char *wrong = NULL;

	tls->context = SSL_CTX_new(TLS_client_method());
	if (!tls->context)
		return "no TLS: OpenSSL fails";
	SSL_CTX_set_app_data(tls->context, tls);
	SSL_CTX_set_info_callback(tls->context, tls_on_info);
	SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !wrong; i++)
		wrong = steps[i](tls);
	return wrong;
}

struct tls *tls_new(const struct link_options *options, char *why, size_t room)
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (!tls) {
		snprintf(why, room, "out of memory");
		return NULL;
	}
	tls->options = options;
	const char *wrong = tls_set_up(tls);
	if (wrong)
		snprintf(why, room, "%s", wrong);
	if (wrong || !tls_load_all(tls, why, room))
		tls_free(&tls);
	return tls;
}

void tls_free(struct tls **tls)
{
	if (*tls)
		SSL_CTX_free((*tls)->context);
	free(*tls);
	*tls = NULL;
}
