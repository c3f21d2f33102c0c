/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/v20/listeners.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"

/* Descriptors looked at where there is no /proc. */
#define FD_LIMIT 4096

static bool listeners_option_is(int fd, int option, int wanted)
{
	int value = 0;
	socklen_t len = sizeof value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 && value == wanted;
}

/* Nobody connects to 0.0.0.0 or ::, but who listens there listens on loopback too. */
static bool listeners_make_reachable(struct sockaddr_storage *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	switch (address->ss_family) {
	case AF_INET:
		memcpy(&v4, address, sizeof v4);
		if (v4.sin_addr.s_addr == htonl(INADDR_ANY))
			v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		memcpy(address, &v4, sizeof v4);
		return true;
	case AF_INET6:
		memcpy(&v6, address, sizeof v6);
		if (IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr))
			v6.sin6_addr = in6addr_loopback;
		memcpy(address, &v6, sizeof v6);
		return true;
	case AF_UNIX:
		return true;
	default:
		return false;
	}
}

static bool listeners_look_at(int fd, struct ft_listener *listener)
{
	memset(listener, 0, sizeof *listener);
	listener->address_len = sizeof listener->address;
	return listeners_option_is(fd, SO_ACCEPTCONN, 1) &&
	       listeners_option_is(fd, SO_TYPE, SOCK_STREAM) &&
	       getsockname(fd, (struct sockaddr *)&listener->address,
			   &listener->address_len) == 0 &&
	       listeners_make_reachable(&listener->address);
}

static int listeners_fd_of(const char *name)
{
	char *end;
	long number;

	errno = 0;
	number = strtol(name, &end, 10);
	return *name == '\0' || *end != '\0' || errno != 0 || number < 0 || number > INT32_MAX ?
		-1 : (int)number;
}

size_t ft_listeners_find(struct ft_listener *found, size_t room)
{
	size_t count = 0;
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int fd;

	if (!dir) {
		for (fd = 0; fd < FD_LIMIT && count < room; fd++)
			count += listeners_look_at(fd, &found[count]);
		return count;
	}
	while (count < room && (entry = readdir(dir)) != NULL) {
		fd = listeners_fd_of(entry->d_name);
		if (fd >= 0)
			count += listeners_look_at(fd, &found[count]);
	}
	closedir(dir);
	return count;
}

int ft_listener_connect(const struct ft_listener *listener)
{
	int fd = socket(listener->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&listener->address, listener->address_len) != 0 &&
	    errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

void ft_listener_text(const struct ft_listener *listener, char text[FT_LISTENER_TEXT_ROOM])
{
	struct ft_buf buf = ft_buf_on(text, FT_LISTENER_TEXT_ROOM);
	char host[INET6_ADDRSTRLEN] = "?";
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;

	switch (listener->address.ss_family) {
	case AF_INET:
		memcpy(&v4, &listener->address, sizeof v4);
		inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
		ft_buf_printf(&buf, "%s:%d", host, ntohs(v4.sin_port));
		break;
	case AF_INET6:
		memcpy(&v6, &listener->address, sizeof v6);
		inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
		ft_buf_printf(&buf, "[%s]:%d", host, ntohs(v6.sin6_port));
		break;
	default:
		memcpy(&local, &listener->address, sizeof local);
		ft_buf_printable(&buf, local.sun_path, strnlen(local.sun_path, sizeof local.sun_path), 100);
		break;
	}
}
