/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifdef FT_POSTGRES
#include <string.h>

#include "catalog/postgres/postgres.h"

#define ADDRESS_OPTIONS_MAX 96
#define ADDRESS_PROGRAM "mosquitto-file-transfer"

static const char *address_get(const struct pg_address *address, const char *keyword)
{
	for (const PQconninfoOption *o = address->options; o && o->keyword; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val && o->val[0] ? o->val : NULL;
	return NULL;
}

/* A piece of a password that was not escaped turns up here, and libpq would put it into messages. */
static bool address_is_sound(const struct pg_address *address)
{
	static const char *const plain[] = { "host", "hostaddr", "dbname", "user" };
	const char *port = address_get(address, "port");

	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
		const char *value = address_get(address, plain[i]);

		if (value && strpbrk(value, i == 3 ? ":/" : "@"))
			return false;
	}
	return !port || port[strspn(port, "0123456789,")] == '\0';
}

static void address_write_name(const struct pg_address *address, struct ft_buf *name)
{
	static const struct {
		const char *before, *keyword;
	} parts[] = { { "", "user" }, { "@", "host" }, { ":", "port" }, { "/", "dbname" } };

	ft_buf_str(name, "postgresql://");
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
		const char *value = address_get(address, parts[i].keyword);

		if (!value)
			continue;
		ft_buf_str(name, parts[i].before);
		ft_buf_printable(name, value, strlen(value), 100);
	}
}

bool pg_address_read(struct pg_address *address, const char *url, struct ft_buf *name,
		     struct ft_buf *why)
{
	char *said = NULL;	/* has the URL in it, with its password */

	*address = (struct pg_address){ .options = pq.conninfoParse(url, &said) };
	if (said)
		pq.freemem(said);
	if (!address->options || !address_is_sound(address)) {
		ft_buf_str(why, "plugin_opt_catalog: is no URL that libpq can use. It looks like "
			   "postgresql://user@host:5432/database?sslmode=verify-full, and in names and "
			   "passwords @ is %40, : is %3A, / is %2F and % is %25");
		pg_address_release(address);
		return false;
	}
	address->password = address_get(address, "password");
	address_write_name(address, name);
	return true;
}

void pg_address_release(struct pg_address *address)
{
	if (address->options)
		pq.conninfoFree(address->options);
	*address = (struct pg_address){ .options = NULL };
}

PGconn *pg_address_connect(const struct pg_address *address)
{
	const char *keywords[ADDRESS_OPTIONS_MAX + 2], *values[ADDRESS_OPTIONS_MAX + 2];
	size_t count = 0;

	for (const PQconninfoOption *o = address->options; o->keyword && count < ADDRESS_OPTIONS_MAX; o++) {
		if (!o->val)
			continue;
		keywords[count] = o->keyword;
		values[count++] = o->val;
	}
	keywords[count] = "fallback_application_name";
	values[count++] = ADDRESS_PROGRAM;
	keywords[count] = values[count] = NULL;
	return pq.connectStartParams(keywords, values, 0);
}
#else
typedef int pg_address_is_not_built_in;	/* a file of ISO C has something in it */
#endif
