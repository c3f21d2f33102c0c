/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the optional ACL guard says: may this client do this with this topic?
 *
 *	switch (ft_guard_check(FT_GUARD_READ, topic, client_id)) {
 *	case FT_GUARD_FOREIGN: leave it to whoever else decides
 *
 * Commands ($file/..., $file-async/...) are written, never read: subscribing to
 * them would show other clients' files, and to what they become once accepted ($ft-ack)
 * their MQTT 5 properties. Responses are read by the client they are
 * for and written by the broker only, or results could be forged; so are events, which others
 * than their device read only if somebody says so. Whether a client may send commands at all is for the broker's other ACLs.
 *
 * Pure, no state; any thread.
 */
#ifndef FT_PROTOCOL_GUARD_H
#define FT_PROTOCOL_GUARD_H

#include <stdbool.h>
#include <stddef.h>

enum ft_guard_access {
	FT_GUARD_READ,		/* a message on `topic` is about to be delivered */
	FT_GUARD_WRITE,		/* the client publishes to `topic` */
	FT_GUARD_SUBSCRIBE,	/* `topic` is the filter as the client sent it, $share/... included */
	FT_GUARD_UNSUBSCRIBE,
};

enum ft_guard_verdict {
	FT_GUARD_FOREIGN,	/* not for the guard to say */
	FT_GUARD_ALLOW,
	FT_GUARD_DENY,
	FT_GUARD_GRANTED,	/* events: of the client's own, or if somebody else allows it */
	FT_GUARD_MEMBERS,	/* offers: for members of the group */
};

/*
 * Whether an event's topic, or a filter, is about transfers of this owner and nobody else. Of a
 * shared subscription it is not.
 */
bool ft_guard_is_own_event(const char *topic, const char *owner, size_t owner_len);

/* `topic` is not NULL; `client_id` may be, it then has no response topic of its own. */
enum ft_guard_verdict ft_guard_check(enum ft_guard_access access, const char *topic,
				     const char *client_id);

#endif
