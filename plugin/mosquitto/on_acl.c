/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * ACL check, registered only with the option `acl` guard or guard-and-allow.
 *
 * A broker asks its ACL plugins in turn until one decides. For what is not file
 * transfer this one must not: DEFER leaves it to the others, but where there are no
 * others the broker then denies everything. It cannot see which is the case, so the
 * operator says.
 */
#include "mosquitto/plugin.h"

#include <mosquitto.h>
#include <mosquitto_plugin.h>

#include "protocol/aws_job.h"
#include "protocol/guard_download.h"

static bool on_acl_guarded(int access, enum ft_guard_access *as)
{
	static const struct {
		int access;
		enum ft_guard_access as;
	} table[] = {
		{ MOSQ_ACL_READ, FT_GUARD_READ },
		{ MOSQ_ACL_WRITE, FT_GUARD_WRITE },
		{ MOSQ_ACL_SUBSCRIBE, FT_GUARD_SUBSCRIBE },
		{ MOSQ_ACL_UNSUBSCRIBE, FT_GUARD_UNSUBSCRIBE },
	};

	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		if (table[i].access == access) {
			*as = table[i].as;
			return true;
		}
	}
	return false;
}

static bool on_acl_is_own_event(const struct ft_plugin *plugin, const struct mosquitto *client,
				const char *topic)
{
	const char *client_id = client ? mosquitto_client_id(client) : NULL;
	char room[FT_PLUGIN_OWNER_ROOM];
	const char *owner;
	size_t len;

	if (!client_id)
		return false;
	len = ft_plugin_owner_of(plugin, client, client_id, room, &owner);
	return ft_guard_is_own_event(topic, owner, len);
}

static enum ft_guard_verdict on_acl_judge(const struct ft_plugin *plugin,
					  enum ft_guard_access access, const char *topic,
					  const char *client_id, const char *user)
{
	enum ft_guard_verdict verdict = FT_GUARD_FOREIGN;

	if (access == FT_GUARD_WRITE && ft_plugin_is_aws_answer(plugin, topic))
		return FT_GUARD_DENY;
	if (access == FT_GUARD_READ && (plugin->options.downloads & FT_DOWNLOADS_JOBS)
	    && ft_aws_job_topic_kind(topic) == FT_AWS_TOPIC_ANSWER
	    && !ft_aws_job_is_of(topic, client_id) && !ft_aws_job_is_of(topic, user))
		return FT_GUARD_DENY;
	if (plugin->options.downloads != 0)
		verdict = ft_guard_check_download(access, topic, client_id, user);
	return verdict == FT_GUARD_FOREIGN ? ft_guard_check(access, topic, client_id) : verdict;
}

int ft_on_acl(int event, void *event_data, void *userdata)
{
	struct ft_plugin *plugin = ft_plugin_of(userdata);
	const struct mosquitto_evt_acl_check *check = event_data;
	enum ft_guard_verdict verdict = FT_GUARD_FOREIGN;
	const char *client_id = check->client ? mosquitto_client_id(check->client) : NULL;
	const char *user = check->client ? mosquitto_client_username(check->client) : NULL;
	enum ft_guard_access access;

	(void)event;
	/* To subscribe only, so that whoever learns its id gains nothing. */
	if (check->access == MOSQ_ACL_SUBSCRIBE
	    && ft_ack_sink_is_client(plugin->sink, check->client))
		return MOSQ_ERR_SUCCESS;
	if (on_acl_guarded(check->access, &access))
		verdict = on_acl_judge(plugin, access, check->topic, client_id, user);
	switch (verdict) {
	case FT_GUARD_ALLOW:
		return MOSQ_ERR_SUCCESS;
	case FT_GUARD_DENY:
		return MOSQ_ERR_ACL_DENIED;
	case FT_GUARD_GRANTED:
		if (on_acl_is_own_event(plugin, check->client, check->topic))
			return MOSQ_ERR_SUCCESS;
		/* Where nobody else decides, nobody has allowed it. */
		return plugin->options.acl == FT_ACL_GUARD ? MOSQ_ERR_PLUGIN_DEFER
							   : MOSQ_ERR_ACL_DENIED;
	case FT_GUARD_MEMBERS:
		return ft_engine_is_member(plugin->engine, client_id, user,
					   ft_guard_group_of(check->topic)) ? MOSQ_ERR_SUCCESS
									    : MOSQ_ERR_ACL_DENIED;
	case FT_GUARD_FOREIGN:
		break;
	}
	return plugin->options.acl == FT_ACL_GUARD ? MOSQ_ERR_PLUGIN_DEFER : MOSQ_ERR_SUCCESS;
}
