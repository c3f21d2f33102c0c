/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "connection.h"

#include <errno.h>
#include <mosquitto.h>
#include <stdlib.h>
#include <string.h>

#include "tls.h"

#define FIELD(type) ((type *)(void *)((char *)link + option->at))

static bool take_text(struct link_options *link, const struct connection_option *option,
		      const char *value)
{
	*FIELD(const char *) = value;
	return true;
}

static bool take_switch(struct link_options *link, const struct connection_option *option,
			const char *value)
{
	(void)value;
	*FIELD(bool) = true;
	return true;
}

static bool take_number(struct link_options *link, const struct connection_option *option,
			const char *value)
{
	char *end;
	long number;

	if (*value < '0' || *value > '9')
		return false;
	errno = 0;
	number = strtol(value, &end, 10);
	if (errno || *end || number < option->min || number > option->max)
		return false;
	*FIELD(int) = (int)number;
	return true;
}

static bool take_host(struct link_options *link, const struct connection_option *option,
		      const char *value)
{
	(void)option;
	link->host = value;
	link->unix_path = NULL;
	return *value;
}

static bool take_version(struct link_options *link, const struct connection_option *option,
			 const char *value)
{
	(void)option;
	if (strncmp(value, "mqttv", 5) == 0)
		value += 5;
	link->mqtt5 = strcmp(value, "5") == 0;
	return link->mqtt5 || strcmp(value, "311") == 0;
}

/* The broker takes no other text for an id that goes into a topic: '+' and '#' cannot be in
 * one, so nobody could answer. */
static bool take_id(struct link_options *link, const struct connection_option *option,
		    const char *value)
{
	return *value && !strpbrk(value, "+#")
	       && mosquitto_validate_utf8(value, (int)strlen(value)) == 0
	       && take_text(link, option, value);
}

#define AT(member) offsetof(struct link_options, member)

const struct connection_option connection_options[CONNECTION_OPTIONS] = {
	{ "host", 'h', "HOST", take_host, 0, 0, 0, "a host name or address is wanted",
	  "broker (localhost)" },
	{ "port", 'p', "PORT", take_number, AT(port), 1, 65535,
	  "a number from 1 to 65535 is wanted", "port (1883; 8883 with TLS)" },
	{ "unix", 0, "PATH", take_text, AT(unix_path), 0, 0, "",
	  "connect to this Unix socket instead" },
	{ "username", 'u', "USER", take_text, AT(user), 0, 0, "", "user name" },
	{ "user", 0, "USER", take_text, AT(user), 0, 0, "", NULL },
	{ "pw", 'P', "PASSWORD", take_text, AT(password), 0, 0, "",
	  "password; better in the environment" },
	{ "password", 0, "PASSWORD", take_text, AT(password), 0, 0, "", NULL },
	{ "id", 'i', "ID", take_id, AT(client_id), 0, 0,
	  "UTF-8 without control characters, + and # is wanted", "client id" },
	{ "mqtt", 'V', "VERSION", take_version, 0, 0, 0, "5 or 311 is wanted", "5 or 311 (5)" },
	{ "protocol-version", 0, "VERSION", take_version, 0, 0, 0, "5 or 311 is wanted", NULL },
	{ "keepalive", 'k', "SECONDS", take_number, AT(keepalive_s), 5, 65535,
	  "a number from 5 to 65535 is wanted", "silence after which to ask (60)" },
	{ "cafile", 0, "FILE", take_text, AT(cafile), 0, 0, "",
	  "TLS, with the authorities in this file" },
	{ "capath", 0, "DIR", take_text, AT(capath), 0, 0, "",
	  "TLS, with the authorities in this directory" },
	{ "cert", 0, "FILE", take_text, AT(cert), 0, 0, "", "certificate of this client" },
	{ "key", 0, "FILE", take_text, AT(key), 0, 0, "", "its key" },
	{ "insecure", 0, NULL, take_switch, AT(insecure), 0, 0, "",
	  "do not compare the certificate's names with HOST" },
	{ "tls-version", 0, "VERSION", take_text, AT(tls_version), 0, 0, "",
	  "tlsv1.3, tlsv1.2 or tlsv1.1, and no other" },
	{ "ciphers", 0, "LIST", take_text, AT(ciphers), 0, 0, "",
	  "ciphers of TLS up to 1.2, as OpenSSL calls them" },
	{ "psk", 0, "HEX", take_text, AT(psk), 0, 0, "", "TLS with this pre-shared key" },
	{ "psk-identity", 0, "ID", take_text, AT(psk_identity), 0, 0, "", "whose key that is" },
};

bool connection_take(struct link_options *link, const struct connection_option *option,
		     const char *value)
{
	return option->take(link, option, value);
}

void connection_settle(struct link_options *link, const char *password_variable)
{
	link->tls = link->tls || link->cafile || link->capath || link->psk;
	if (!link->port)
		link->port = link->tls ? 8883 : 1883;
	if (!link->password && link->user)
		link->password = getenv(password_variable);
}

/* What they name is opened before anything is sent: a wrong path is wrong usage. */
static const char *connection_wrong_files(const struct link_options *link, char *room, size_t size)
{
	struct tls *tls = link->tls ? tls_new(link, room, size) : NULL;
	bool ok = tls || !link->tls;

	tls_free(&tls);
	return ok ? NULL : room;
}

const char *connection_wrong(const struct link_options *link, char *room, size_t size)
{
	if (!link->cert != !link->key || (link->cert && !link->tls))
		return "--cert and --key belong together, and to TLS (--cafile, mqtts://); try --help";
	if ((link->insecure || link->tls_version || link->ciphers) && !link->tls)
		return "--insecure, --tls-version and --ciphers need --cafile, --capath, --psk or "
		       "mqtts://; try --help";
	if (!link->psk != !link->psk_identity)
		return "--psk and --psk-identity belong together; try --help";
	if (link->password && !link->user)
		return "a password needs a user; try --help";
	return connection_wrong_files(link, room, size);
}

const char *connection_remedy(const char *text)
{
	static const struct {
		const char *word;
		const char *remedy;
	} remedies[] = {
		{ "Connection refused", "; does the broker listen there? (--host, --port)" },
		{ "cannot look up", "; is the name right? (--host)" },
		{ "no authority of", "; name the right one by --cafile" },
		{ "for another host", "; is --host right? --insecure does without the comparison" },
		{ "not authori", "; check --username, --pw, --id and the broker's ACL" },
		{ "Not authori", "; check --username, --pw, --id and the broker's ACL" },
	};

	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
		if (strstr(text, remedies[i].word))
			return remedies[i].remedy;
	}
	return "";
}
