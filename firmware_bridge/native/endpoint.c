#include "endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

static bool unblock(int handle)
{
    int flags = fcntl(handle, F_GETFL);
    return flags >= 0 && fcntl(handle, F_SETFL, flags | O_NONBLOCK) == 0;
}

static bool open_pty(endpoint_t *endpoint)
{
    struct termios raw;
    if (openpty(&endpoint->peer, &endpoint->kept, NULL, NULL, NULL) != 0)
        return false;
    if (ttyname_r(endpoint->kept, endpoint->name, sizeof endpoint->name) != 0
        || tcgetattr(endpoint->kept, &raw) != 0)
        return false;
    cfmakeraw(&raw);
    return tcsetattr(endpoint->kept, TCSANOW, &raw) == 0 && unblock(endpoint->peer);
}

static bool open_tcp(endpoint_t *endpoint, const char *port)
{
    int yes = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    at.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
    endpoint->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (endpoint->listener < 0
        || setsockopt(endpoint->listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0
        || bind(endpoint->listener, (struct sockaddr *)&at, sizeof at) != 0
        || getsockname(endpoint->listener, (struct sockaddr *)&at, &size) != 0)
        return false;
    snprintf(endpoint->name, sizeof endpoint->name, "tcp:127.0.0.1:%u", ntohs(at.sin_port));
    return listen(endpoint->listener, 1) == 0 && unblock(endpoint->listener);
}

static bool open_unix(endpoint_t *endpoint, const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    strcpy(at.sun_path, path);
    unlink(path);
    endpoint->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (endpoint->listener < 0 || bind(endpoint->listener, (struct sockaddr *)&at, sizeof at) != 0)
        return false;
    snprintf(endpoint->name, sizeof endpoint->name, "unix:%s", at.sun_path);
    return listen(endpoint->listener, 1) == 0 && unblock(endpoint->listener);
}

bool endpoint_open(endpoint_t *endpoint, const char *what)
{
    memset(endpoint, 0, sizeof *endpoint);
    endpoint->listener = endpoint->peer = endpoint->kept = -1;
    if (strcmp(what, "pty") == 0)
        return open_pty(endpoint);
    if (strncmp(what, "tcp:", 4) == 0)
        return open_tcp(endpoint, what + 4);
    if (strncmp(what, "unix:", 5) == 0)
        return open_unix(endpoint, what + 5);
    errno = EINVAL;
    return false;
}

static void leave(endpoint_t *endpoint)
{
    if (endpoint->listener < 0)
        return; /* a PTY stays */
    close(endpoint->peer);
    endpoint->peer = -1;
    endpoint->n_held = 0;
}

void endpoint_accept(endpoint_t *endpoint)
{
    int yes = 1;
    int peer = endpoint->listener < 0 ? -1 : accept(endpoint->listener, NULL, NULL);
    if (peer < 0)
        return;
    if (endpoint->peer >= 0)
        leave(endpoint);
    unblock(peer);
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes); /* says no on UNIX sockets */
    endpoint->peer = peer;
}

size_t endpoint_read(endpoint_t *endpoint, uint8_t *bytes, size_t room)
{
    if (endpoint->peer < 0)
        return 0;
    ssize_t count = read(endpoint->peer, bytes, room);
    if (count > 0)
        return (size_t)count;
    if (count == 0 || (errno != EAGAIN && errno != EINTR && errno != EIO))
        leave(endpoint);
    return 0;
}

void endpoint_send(endpoint_t *endpoint, size_t (*take)(void *, uint8_t *, size_t), void *from)
{
    if (endpoint->n_held == 0)
        endpoint->n_held = take(from, endpoint->held, sizeof endpoint->held);
    if (endpoint->n_held == 0)
        return;
    if (endpoint->peer < 0) {
        endpoint->n_held = 0; /* nobody at the other end of the cable */
        return;
    }
    ssize_t count = send(endpoint->peer, endpoint->held, endpoint->n_held, MSG_NOSIGNAL);
    if (count < 0 && errno == ENOTSOCK)
        count = write(endpoint->peer, endpoint->held, endpoint->n_held);
    if (count > 0) {
        endpoint->n_held -= (size_t)count;
        memmove(endpoint->held, endpoint->held + count, endpoint->n_held);
    } else if (count < 0 && errno != EAGAIN && errno != EINTR) {
        leave(endpoint);
    }
}
