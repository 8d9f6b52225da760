#include "descriptors.h"
#include "pipes.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <wasi/api.h>

static struct description *table[LAST_OWN + 1];
/* How many descriptions name this descriptor of WASI, and whether the program closed it meanwhile. */
static struct {
	unsigned short uses;
	bool closed;
} files[LAST_OWN + 1];

struct description *description_of(int fd)
{
	return fd < 0 || fd > LAST_OWN ? NULL : table[fd];
}

bool is_closed(int fd)
{
	return fd >= 0 && fd <= LAST_OWN && !table[fd] && files[fd].closed;
}

struct description *description_of_file(int fd)
{
	__wasi_fdstat_t status;
	__wasi_errno_t error = fd < 0 || fd >= FIRST_OWN || is_closed(fd)
				       ? __WASI_ERRNO_BADF
				       : __wasi_fd_fdstat_get(fd, &status);
	if (error) {
		errno = error;
		return NULL;
	}
	return description_new(FILE_OF_WASI, NULL, fd);
}

struct description *description_new(enum kind kind, struct pipe *pipe, int file)
{
	struct description *made = calloc(1, sizeof *made);
	if (!made)
		return NULL;
	*made = (struct description){.kind = kind, .references = 1, .pipe = pipe, .file = file};
	if (kind == FILE_OF_WASI)
		files[file].uses++;
	return made;
}

struct description *description_keep(struct description *description)
{
	description->references++;
	return description;
}

void description_drop(struct description *description)
{
	if (--description->references)
		return;
	if (description->kind == FILE_OF_WASI) {
		int fd = description->file;
		if (!--files[fd].uses && files[fd].closed) {
			files[fd].closed = false;
			(void)!__wasi_fd_close(fd);
		}
	} else if (description->kind != NULL_DEVICE) {
		pipe_end_closed(description->pipe, description->kind == WRITING);
	}
	free(description);
}

int description_install(struct description *description, int lowest)
{
	for (int fd = lowest < FIRST_OWN ? FIRST_OWN : lowest; fd <= LAST_OWN; fd++)
		if (!table[fd]) {
			table[fd] = description;
			return fd;
		}
	description_drop(description);
	errno = EMFILE;
	return -1;
}

int close(int fd)
{
	struct description *description = description_of(fd);
	if (description) {
		table[fd] = NULL;
		description_drop(description);
		return 0;
	}
	if (is_closed(fd)) {
		errno = EBADF;
		return -1;
	}
	if (fd >= 0 && fd <= LAST_OWN && files[fd].uses) {
		/* A child uses it, or a duplicate: it is closed with the last of them. */
		files[fd].closed = true;
		return 0;
	}
	__wasi_errno_t error = __wasi_fd_close(fd);
	if (!error)
		return 0;
	errno = error;
	return -1;
}

int pipe2(int ends[2], int flags)
{
	struct pipe *pipe = pipe_new();
	if (!pipe) {
		errno = ENOMEM;
		return -1;
	}
	struct description *reading = description_new(READING, pipe, NONE);
	struct description *writing = description_new(WRITING, pipe, NONE);
	if (!reading || !writing)
		abort();
	reading->nonblocking = writing->nonblocking = flags & O_NONBLOCK;
	int first = description_install(reading, 0);
	if (first < 0) {
		description_drop(writing);
		return -1;
	}
	int second = description_install(writing, 0);
	if (second < 0) {
		close(first);
		errno = EMFILE;
		return -1;
	}
	ends[0] = first;
	ends[1] = second;
	return 0;
}

int pipe(int ends[2])
{
	return pipe2(ends, 0);
}

/* One more reference to what this number means. */
static struct description *duplicate(int fd)
{
	struct description *description = description_of(fd);
	return description ? description_keep(description) : description_of_file(fd);
}

static int duplicate_above(int fd, int lowest)
{
	struct description *description = duplicate(fd);
	return description ? description_install(description, lowest) : -1;
}

int dup(int fd)
{
	return duplicate_above(fd, 0);
}

int dup2(int from, int to)
{
	struct description *description = duplicate(from);
	if (!description)
		return -1;
	if (to < 0 || to > LAST_OWN) {
		description_drop(description);
		errno = EBADF;
		return -1;
	}
	struct description *before = table[to];
	if (from == to || (description->kind == FILE_OF_WASI && description->file == to)) {
		/* WASI's own descriptor shows again, unless the number has its meaning already. */
		if (from != to)
			table[to] = NULL;
		description_drop(description);
		if (from == to)
			return to;
	} else {
		table[to] = description;
	}
	if (before)
		description_drop(before);
	return to;
}

int dup3(int from, int to, int flags)
{
	(void)flags;
	if (from == to) {
		errno = EINVAL;
		return -1;
	}
	return dup2(from, to);
}

/* `fcntl` with F_DUPFD for any descriptor. */
int duplicate_from(int fd, int lowest)
{
	return duplicate_above(fd, lowest);
}
