/* poll and select, for pipes of this library and descriptors of WASI together. */
#include "children.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/select.h>

#ifndef POLLHUP
#define POLLHUP 0x2000
#endif

struct polled {
	struct pollfd *fds;
	nfds_t count;
	int ready;
	/* The component's standard input, if it is among them. */
	input_stream own;
};

static short now(struct pollfd *fd, input_stream own)
{
	struct description *description = description_of(fd->fd);
	if (!description) {
		if (fd->fd == 0 && own.__handle != NONE)
			return fd->events & POLLOUT || stream_readable(own) ? fd->events : 0;
		/* A file of WASI never blocks for long. */
		return is_closed(fd->fd) ? POLLNVAL : fd->events & (POLLIN | POLLOUT);
	}
	struct pipe *pipe = description->pipe;
	switch (description->kind) {
	case READING:
		if (!pipe_readable(pipe))
			return 0;
		if (pipe->begin == pipe->end && !pipe->sources && !pipe->writers)
			return POLLHUP | (fd->events & POLLIN);
		return fd->events & POLLIN;
	case WRITING:
		if (!pipe->readers && pipe->sink.__handle == NONE && !pipe->sink_child)
			return POLLERR | (fd->events & POLLOUT);
		if (pipe->sink.__handle != NONE && stream_room(pipe->sink) == 0)
			return 0;
		return fd->events & POLLOUT;
	default:
		return fd->events & (POLLIN | POLLOUT);
	}
}

static bool any_ready(void *context)
{
	struct polled *polled = context;
	polled->ready = 0;
	for (nfds_t i = 0; i < polled->count; i++) {
		polled->fds[i].revents = polled->fds[i].fd < 0 ? 0 : now(&polled->fds[i], polled->own);
		polled->ready += polled->fds[i].revents != 0;
	}
	return polled->ready;
}

static void wait_ready(void *context, struct waits *waits)
{
	struct polled *polled = context;
	for (nfds_t i = 0; i < polled->count; i++) {
		struct description *description = description_of(polled->fds[i].fd);
		if (polled->fds[i].fd == 0 && !description && polled->own.__handle != NONE)
			waits_input(waits, polled->own);
		else if (description && description->kind == READING && polled->fds[i].events & POLLIN)
			pipe_wait_readable(description->pipe, waits);
		else if (description && description->kind == WRITING && polled->fds[i].events & POLLOUT)
			pipe_wait_writable(description->pipe, waits);
	}
}

int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct polled polled = {fds, count, 0, {NONE}};
	for (nfds_t i = 0; i < count; i++)
		if (fds[i].fd == 0 && !description_of(0) && polled.own.__handle == NONE)
			polled.own = wasi_cli_stdin_get_stdin();
	uint64_t deadline = timeout_ms < 0 ? NO_DEADLINE : timeout_ms ? deadline_after_ms(timeout_ms) : 0;
	int error = block_until(any_ready, wait_ready, &polled, deadline);
	input_close(&polled.own);
	if (error && error != ETIMEDOUT) {
		errno = error;
		return -1;
	}
	return polled.ready;
}

int select(int number, fd_set *restrict reads, fd_set *restrict writes, fd_set *restrict errors,
	struct timeval *restrict timeout)
{
	struct pollfd *fds = calloc(number ? number : 1, sizeof *fds);
	if (!fds)
		return -1;
	int count = 0;
	for (int fd = 0; fd < number; fd++) {
		short events = (reads && FD_ISSET(fd, reads) ? POLLIN : 0) | (writes && FD_ISSET(fd, writes) ? POLLOUT : 0);
		if (events)
			fds[count++] = (struct pollfd){fd, events, 0};
	}
	int timeout_ms = timeout ? (int)(timeout->tv_sec * 1000 + (timeout->tv_usec + 999) / 1000) : -1;
	int ready = poll(fds, count, timeout_ms);
	for (int i = 0; i < count && ready >= 0; i++)
		if (fds[i].revents & POLLNVAL) {
			errno = EBADF;
			ready = -1;
		}
	if (ready >= 0) {
		ready = 0;
		if (errors)
			FD_ZERO(errors);
		for (int i = 0; i < count; i++) {
			if (fds[i].events & POLLIN && !(fds[i].revents & (POLLIN | POLLHUP)))
				FD_CLR(fds[i].fd, reads);
			else
				ready += (fds[i].events & POLLIN) != 0;
			if (fds[i].events & POLLOUT && !(fds[i].revents & (POLLOUT | POLLERR)))
				FD_CLR(fds[i].fd, writes);
			else
				ready += (fds[i].events & POLLOUT) != 0;
		}
	}
	free(fds);
	return ready;
}
