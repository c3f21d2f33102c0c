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

#include <openssl/rand.h>

#include "base/buf.h"
#include "base/sys.h"

#define UUID_LEN 16

void ft_uuid(char text[FT_UUID_ROOM])
{
	static const uint8_t groups[] = { 4, 2, 2, 2, 6 };
	static _Atomic unsigned calls;
	uint8_t bytes[UUID_LEN] = { 0 };
	struct ft_buf buf = ft_buf_on(text, FT_UUID_ROOM);
	const uint8_t *from = bytes;

	/*
	 * Old kernels and strict system call filters refuse getrandom(). libcrypto knows further
	 * sources. If it finds none either, clock and counter must do: ids have to differ, they
	 * are no secret.
	 */
	if (ft_sys_getrandom(bytes, UUID_LEN, 0) != UUID_LEN && RAND_bytes(bytes, UUID_LEN) != 1) {
		int64_t now_ms = ft_clock_unix_ms();
		unsigned call = ++calls;

		memcpy(bytes, &now_ms, sizeof now_ms);
		memcpy(bytes + sizeof now_ms, &call, sizeof call);
	}
	/* RFC 9562 section 5.4, version 4: all is random but these six bits. */
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof groups; from += groups[i++]) {
		if (i > 0)
			ft_buf_char(&buf, '-');
		ft_buf_hex(&buf, from, groups[i]);
	}
}

#endif
