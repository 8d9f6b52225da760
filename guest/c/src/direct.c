/* The functions of capspawn.h that run a program to its end. */
#include <capspawn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

struct collected {
	char *bytes;
	size_t length, room;
};

/* Reads what is there. Returns 0 at the end. */
static ssize_t collect(int fd, struct collected *into)
{
	if (into->room - into->length < 65537) {
		size_t room = 2 * into->room + 65537;
		char *more = realloc(into->bytes, room);
		if (!more)
			return -1;
		into->bytes = more;
		into->room = room;
	}
	ssize_t count = read(fd, into->bytes + into->length, 65536);
	if (count > 0)
		into->length += count;
	into->bytes[into->length] = 0;
	return count;
}

static void end(int *fd)
{
	close(*fd);
	*fd = -1;
}

/* Writes the input and reads both outputs at once, so that no full pipe blocks. Closes all three. */
static int exchange(int fds[3], const char *input, size_t size, struct collected into[3])
{
	while (fds[0] >= 0 || fds[1] >= 0 || fds[2] >= 0) {
		struct pollfd polled[] = {{fds[0], POLLOUT, 0}, {fds[1], POLLIN, 0}, {fds[2], POLLIN, 0}};
		if (poll(polled, 3, -1) < 0)
			return errno;
		if (polled[0].revents) {
			ssize_t count = write(fds[0], input, size);
			if (count > 0)
				input += count, size -= count;
			if (!size || (count < 0 && errno != EAGAIN))
				end(&fds[0]);
		}
		for (int i = 1; i < 3; i++)
			if (polled[i].revents && collect(fds[i], &into[i]) <= 0)
				end(&fds[i]);
	}
	return 0;
}

static int start(char *const argv[], bool has_input, int fds[3], pid_t *pid)
{
	int ends[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}}, error = argv[0] ? 0 : EINVAL;
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	for (int fd = !has_input; fd < 3 && !error; fd++)
		error = pipe2(ends[fd], fd ? 0 : O_NONBLOCK) < 0
				? errno
				: posix_spawn_file_actions_adddup2(&actions, ends[fd][fd != 0], fd);
	if (!error)
		error = posix_spawnp(pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	for (int fd = 0; fd < 3; fd++) {
		fds[fd] = ends[fd][fd == 0];
		if (ends[fd][fd != 0] >= 0)
			close(ends[fd][fd != 0]);
		if (error && fds[fd] >= 0)
			close(fds[fd]);
	}
	return error;
}

int capspawn_run(char *const argv[], const void *input, size_t input_length, struct capspawn_output *output)
{
	int fds[3];
	pid_t pid;
	int error = start(argv, input_length, fds, &pid);
	if (error)
		return error;
	struct collected into[3] = {{0}};
	/* A child that does not read its input is no error. */
	void (*before)(int) = signal(SIGPIPE, SIG_IGN);
	error = exchange(fds, input, input_length, into);
	signal(SIGPIPE, before);
	if (!error && waitpid(pid, &output->status, 0) < 0)
		error = errno;
	*output = (struct capspawn_output){
		output->status, into[1].bytes, into[2].bytes, into[1].length, into[2].length};
	if (error)
		capspawn_output_free(output);
	return error;
}

void capspawn_output_free(struct capspawn_output *output)
{
	free(output->out);
	free(output->err);
	output->out = output->err = NULL;
}
