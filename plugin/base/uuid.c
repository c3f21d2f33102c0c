/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Random UUIDs: by libuuid, or by the kernel and libcrypto where there is none. Alpine's
 * broker image, for one, comes without it, and a plugin that needs it cannot be loaded there.
 * The Makefile defines FT_LIBUUID where the header is found, see its variable UUID.
 */
#include "base/system.h"

#ifdef FT_LIBUUID

#include <uuid/uuid.h>

_Static_assert(FT_UUID_ROOM == UUID_STR_LEN, "libuuid's idea of a UUID");

void ft_uuid(char text[FT_UUID_ROOM])
{
	uuid_t uuid;

	uuid_generate_random(uuid);
	uuid_unparse_lower(uuid, text);
}

#else

#include <errno.h>
#include <openssl/rand.h>
#include <sys/random.h>

#include "base/buf.h"

#define UUID_LEN 16

static bool uuid_ask_kernel(uint8_t bytes[UUID_LEN])
{
	ssize_t got;

	do
		got = getrandom(bytes, UUID_LEN, 0);
	while (got < 0 && errno == EINTR);
	return got == UUID_LEN;
}

/*
 * Old kernels and strict system call filters refuse getrandom(). libcrypto knows further
 * sources. If it finds none either, clock and counter must do: ids have to differ, they are
 * no secret.
 */
static void uuid_ask_others(uint8_t bytes[UUID_LEN])
{
	static _Atomic unsigned calls;
	int64_t now_ms = ft_clock_unix_ms();
	unsigned call = ++calls;

	if (RAND_bytes(bytes, UUID_LEN) == 1)
		return;
	memcpy(bytes, &now_ms, sizeof now_ms);
	memcpy(bytes + sizeof now_ms, &call, sizeof call);
}

/* RFC 9562 section 5.4, version 4: all is random but these six bits. */
static void uuid_set_version(uint8_t bytes[UUID_LEN])
{
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
}

void ft_uuid(char text[FT_UUID_ROOM])
{
	static const uint8_t groups[] = { 4, 2, 2, 2, 6 };
	uint8_t bytes[UUID_LEN] = { 0 };
	struct ft_buf buf = ft_buf_on(text, FT_UUID_ROOM);
	const uint8_t *from = bytes;

	if (!uuid_ask_kernel(bytes))
		uuid_ask_others(bytes);
	uuid_set_version(bytes);
	for (size_t i = 0; i < sizeof groups; from += groups[i++]) {
		if (i > 0)
			ft_buf_char(&buf, '-');
		ft_buf_hex(&buf, from, groups[i]);
	}
}

#endif
