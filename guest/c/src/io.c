/* The functions of the C library that take a descriptor. The linker takes these, and not its own, since this
 * library comes first. stdio is on top of them. */
#include "children.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <wasi/api.h>

int duplicate_from(int fd, int lowest);

static int fail(int number)
{
	errno = number;
	return -1;
}

/* WASI's own number, or -1 with `errno`. */
static int file_of(int fd)
{
	struct description *description = description_of(fd);
	if (description)
		return description->kind == FILE_OF_WASI ? description->file : fail(EBADF);
	return is_closed(fd) ? fail(EBADF) : fd;
}

/* What a read or a write does, and its result. */
struct transfer {
	struct pipe *pipe;
	void *bytes;
	size_t size;
	long count;
};

static bool try_read(void *context)
{
	struct transfer *transfer = context;
	return (transfer->count = pipe_read(transfer->pipe, transfer->bytes, transfer->size)) != 0;
}

static void wait_read(void *context, struct waits *waits)
{
	pipe_wait_readable(((struct transfer *)context)->pipe, waits);
}

static bool try_write(void *context)
{
	struct transfer *transfer = context;
	return (transfer->count = pipe_write(transfer->pipe, transfer->bytes, transfer->size)) != 0;
}

static void wait_write(void *context, struct waits *waits)
{
	pipe_wait_writable(((struct transfer *)context)->pipe, waits);
}

static ssize_t read_pipe(struct description *description, void *bytes, size_t size)
{
	struct transfer transfer = {description->pipe, bytes, size, 0};
	if (!size)
		return 0;
	if (description->nonblocking) {
		if (!try_read(&transfer))
			return fail(EAGAIN);
	} else {
		int error = block_until(try_read, wait_read, &transfer, NO_DEADLINE);
		if (error)
			return fail(error);
	}
	return transfer.count == CLOSED ? 0 : transfer.count;
}

static ssize_t write_pipe(struct description *description, const void *bytes, size_t size)
{
	size_t written = 0;
	while (written < size) {
		struct transfer transfer = {description->pipe, (char *)bytes + written, size - written, 0};
		if (description->nonblocking) {
			if (!try_write(&transfer))
				return written ? (ssize_t)written : fail(EAGAIN);
		} else {
			int error = block_until(try_write, wait_write, &transfer, NO_DEADLINE);
			if (error)
				return written ? (ssize_t)written : fail(error);
		}
		if (transfer.count == CLOSED) {
			if (written)
				return (ssize_t)written;
			raise(SIGPIPE);
			return fail(EPIPE);
		}
		written += transfer.count;
	}
	return (ssize_t)written;
}

ssize_t read(int fd, void *bytes, size_t size)
{
	struct description *description = description_of(fd);
	if (description && description->kind == READING)
		return read_pipe(description, bytes, size);
	if (description && description->kind == NULL_DEVICE)
		return 0;
	if ((fd = file_of(fd)) < 0)
		return -1;
	__wasi_iovec_t vector = {bytes, size};
	size_t count;
	__wasi_errno_t error = __wasi_fd_read(fd, &vector, 1, &count);
	return error ? fail(error == __WASI_ERRNO_NOTCAPABLE ? EBADF : error) : (ssize_t)count;
}

ssize_t write(int fd, const void *bytes, size_t size)
{
	struct description *description = description_of(fd);
	if (description && description->kind == WRITING)
		return write_pipe(description, bytes, size);
	if (description && description->kind == NULL_DEVICE)
		return (ssize_t)size;
	if ((fd = file_of(fd)) < 0)
		return -1;
	__wasi_ciovec_t vector = {bytes, size};
	size_t count;
	__wasi_errno_t error = __wasi_fd_write(fd, &vector, 1, &count);
	return error ? fail(error == __WASI_ERRNO_NOTCAPABLE ? EBADF : error) : (ssize_t)count;
}

ssize_t readv(int fd, const struct iovec *vectors, int count)
{
	ssize_t all = 0;
	for (int i = 0; i < count; i++) {
		if (!vectors[i].iov_len)
			continue;
		/* What comes after the first read may not block. */
		struct pollfd more = {fd, POLLIN, 0};
		if (all && (poll(&more, 1, 0) != 1 || !(more.revents & POLLIN)))
			break;
		ssize_t one = read(fd, vectors[i].iov_base, vectors[i].iov_len);
		if (one < 0)
			return all ? all : -1;
		all += one;
		if ((size_t)one < vectors[i].iov_len)
			break;
	}
	return all;
}

ssize_t writev(int fd, const struct iovec *vectors, int count)
{
	ssize_t all = 0;
	for (int i = 0; i < count; i++) {
		ssize_t one = vectors[i].iov_len ? write(fd, vectors[i].iov_base, vectors[i].iov_len) : 0;
		if (one < 0)
			return all ? all : -1;
		all += one;
		if ((size_t)one < vectors[i].iov_len)
			break;
	}
	return all;
}

int fcntl(int fd, int command, ...)
{
	va_list arguments;
	va_start(arguments, command);
	int argument = command == F_GETFD || command == F_GETFL ? 0 : va_arg(arguments, int);
	va_end(arguments);

	struct description *description = description_of(fd);
	bool own = description && description->kind != FILE_OF_WASI;
	if (!own && file_of(fd) < 0)
		return -1;
	switch (command) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return duplicate_from(fd, argument);
	case F_GETFD:
		return FD_CLOEXEC;
	case F_SETFD:
		return 0;
	case F_GETFL:
	case F_SETFL:
		break;
	default:
		return fail(EINVAL);
	}
	if (own) {
		if (command == F_SETFL) {
			description->nonblocking = argument & O_NONBLOCK;
			return 0;
		}
		int access = description->kind == READING   ? O_RDONLY
			     : description->kind == WRITING ? O_WRONLY
							    : O_RDWR;
		return access | (description->nonblocking ? O_NONBLOCK : 0);
	}
	__wasi_fdstat_t status;
	__wasi_errno_t error = __wasi_fd_fdstat_get(file_of(fd), &status);
	if (!error && command == F_SETFL)
		error = __wasi_fd_fdstat_set_flags(file_of(fd), argument & 0xfff);
	if (error)
		return fail(error);
	if (command == F_SETFL)
		return 0;
	bool reads = status.fs_rights_base & __WASI_RIGHTS_FD_READ;
	bool writes = status.fs_rights_base & __WASI_RIGHTS_FD_WRITE;
	return status.fs_flags | (reads && writes ? O_RDWR : writes ? O_WRONLY : O_RDONLY);
}

int isatty(int fd)
{
	__wasi_fdstat_t status;
	struct description *description = description_of(fd);
	if (description && description->kind != FILE_OF_WASI)
		return fail(ENOTTY), 0;
	if ((fd = file_of(fd)) < 0)
		return 0;
	__wasi_errno_t error = __wasi_fd_fdstat_get(fd, &status);
	if (error)
		return fail(error), 0;
	bool seeks = status.fs_rights_base & (__WASI_RIGHTS_FD_SEEK | __WASI_RIGHTS_FD_TELL);
	if (status.fs_filetype != __WASI_FILETYPE_CHARACTER_DEVICE || seeks)
		return fail(ENOTTY), 0;
	return 1;
}
