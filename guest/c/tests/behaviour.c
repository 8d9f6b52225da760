/* The claims of README.md, each a function. Runs in a component, with children of the grant beside it. */
#include <assert.h>
#include <capspawn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define check(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "line %d: %s (errno %d, %s)\n", __LINE__, #condition, errno, capspawn_reason()); \
			exit(1); \
		} \
	} while (0)

static pid_t start(int in, int out, int err, const char *command)
{
	pid_t pid;
	posix_spawn_file_actions_t actions;
	char *argv[] = {"sh", "-c", (char *)command, NULL};
	posix_spawn_file_actions_init(&actions);
	if (in >= 0)
		check(!posix_spawn_file_actions_adddup2(&actions, in, 0));
	if (out >= 0)
		check(!posix_spawn_file_actions_adddup2(&actions, out, 1));
	if (err >= 0)
		check(!posix_spawn_file_actions_adddup2(&actions, err, 2));
	check(!posix_spawnp(&pid, "sh", &actions, NULL, argv, environ));
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

/* All that comes out of a descriptor. */
static const char *slurp(int fd)
{
	static char text[4096];
	size_t length = 0;
	ssize_t count;
	while ((count = read(fd, text + length, sizeof text - 1 - length)) > 0)
		length += count;
	check(count == 0);
	text[length] = 0;
	close(fd);
	return text;
}

static int ending(pid_t pid)
{
	int status;
	check(waitpid(pid, &status, 0) == pid);
	return status;
}

static void output_and_status_arrive(void)
{
	int ends[2];
	check(!pipe(ends));
	pid_t pid = start(-1, ends[1], -1, "echo out; exit 3");
	close(ends[1]);
	check(!strcmp(slurp(ends[0]), "out\n"));
	check(WEXITSTATUS(ending(pid)) == 3);
	int status = ending(start(-1, -1, -1, "kill -9 $$"));
	check(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	check(waitpid(pid, &status, 0) == -1 && errno == ECHILD);
}

static void megabytes_move_both_ways_at_once(void)
{
	enum { SIZE = 1 << 20 };
	int to[2], from[2];
	check(!pipe2(to, O_NONBLOCK) && !pipe(from));
	pid_t pid = start(to[0], from[1], -1, "exec cat");
	close(to[0]), close(from[1]);
	char *bytes = malloc(SIZE), *back = malloc(SIZE);
	for (int i = 0; i < SIZE; i++)
		bytes[i] = (char)(i * 7 + i / 251);
	size_t sent = 0, received = 0;
	while (received < SIZE) {
		struct pollfd fds[] = {{sent < SIZE ? to[1] : -1, POLLOUT, 0}, {from[0], POLLIN, 0}};
		check(poll(fds, 2, -1) > 0);
		if (fds[0].revents) {
			ssize_t count = write(to[1], bytes + sent, SIZE - sent);
			check(count > 0 || errno == EAGAIN);
			sent += count > 0 ? count : 0;
			if (sent == SIZE)
				close(to[1]);
		}
		if (fds[1].revents) {
			ssize_t count = read(from[0], back + received, SIZE - received);
			check(count > 0);
			received += count;
		}
	}
	check(!memcmp(bytes, back, SIZE) && !strcmp(slurp(from[0]), "") && !ending(pid));
	free(bytes), free(back);
}

static void errors_keep_their_order_with_output(void)
{
	int ends[2];
	check(!pipe(ends));
	pid_t pid = start(-1, ends[1], ends[1], "echo 1; echo 2 >&2; echo 3");
	close(ends[1]);
	check(!strcmp(slurp(ends[0]), "1\n2\n3\n") && !ending(pid));
}

static void pipelines_connect_in_either_order(void)
{
	int first[2], second[2];
	/* The one that writes first: the host connects them. */
	check(!pipe(first) && !pipe(second));
	pid_t writer = start(-1, first[1], -1, "seq 1 100000");
	close(first[1]);
	pid_t reader = start(first[0], second[1], -1, "wc -l");
	close(first[0]), close(second[1]);
	check(atoi(slurp(second[0])) == 100000 && !ending(reader) && !ending(writer));
	/* The one that reads first. */
	check(!pipe(first) && !pipe(second));
	reader = start(first[0], second[1], -1, "wc -l");
	close(first[0]), close(second[1]);
	writer = start(-1, first[1], -1, "seq 1 100000");
	close(first[1]);
	check(atoi(slurp(second[0])) == 100000 && !ending(reader) && !ending(writer));
	/* What the component has begun to read comes through it. */
	check(!pipe(first) && !pipe(second));
	writer = start(-1, first[1], -1, "seq 1 100000");
	close(first[1]);
	char two[2];
	check(read(first[0], two, 2) == 2 && !memcmp(two, "1\n", 2));
	reader = start(first[0], second[1], -1, "wc -l");
	close(first[0]), close(second[1]);
	check(atoi(slurp(second[0])) == 99999 && !ending(reader) && !ending(writer));
	/* What the component writes before the child starts, and two children after each other. */
	check(!pipe(first) && !pipe(second));
	check(write(first[1], "own\n", 4) == 4);
	check(!ending(start(-1, first[1], -1, "echo one")) && !ending(start(-1, first[1], -1, "echo two")));
	close(first[1]);
	reader = start(first[0], second[1], -1, "sort");
	close(first[0]), close(second[1]);
	check(!strcmp(slurp(second[0]), "one\nown\ntwo\n") && !ending(reader));
}

static void files_are_streams(void)
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	char *argv[] = {"sh", "-c", "cat; echo more", NULL};
	int fd = open("/work/in", O_CREAT | O_WRONLY | O_TRUNC, 0666);
	check(fd >= 0 && write(fd, "text\n", 5) == 5 && !close(fd));
	posix_spawn_file_actions_init(&actions);
	check(!posix_spawn_file_actions_addopen(&actions, 0, "/work/in", O_RDONLY, 0));
	check(!posix_spawn_file_actions_addopen(&actions, 1, "/work/out", O_CREAT | O_WRONLY | O_TRUNC, 0666));
	check(!posix_spawnp(&pid, "sh", &actions, NULL, argv, environ) && !ending(pid));
	posix_spawn_file_actions_destroy(&actions);
	check(!strcmp(slurp(open("/work/out", O_RDONLY)), "text\nmore\n"));
	/* The program's own descriptor may be closed while the child runs. */
	fd = open("/work/out", O_WRONLY | O_TRUNC);
	pid = start(-1, fd, -1, "sleep 0.1; echo late");
	check(!close(fd) && close(fd) == -1 && errno == EBADF && !ending(pid));
	check(!strcmp(slurp(open("/work/out", O_RDONLY)), "late\n"));
	/* As a shell redirects its own output. */
	fflush(stdout);
	int saved = dup(1), file = open("/work/out", O_WRONLY | O_TRUNC);
	check(saved >= 0 && dup2(file, 1) == 1 && !close(file));
	printf("own\n");
	fflush(stdout);
	check(system("echo childs") == 0);
	check(dup2(saved, 1) == 1 && !close(saved));
	check(!strcmp(slurp(open("/work/out", O_RDONLY)), "own\nchilds\n"));
	posix_spawn_file_actions_init(&actions);
	check(!posix_spawn_file_actions_addopen(&actions, 1, "/work/none/x", O_WRONLY, 0));
	check(posix_spawnp(&pid, "sh", &actions, NULL, argv, environ) == ENOENT);
	posix_spawn_file_actions_destroy(&actions);
}

static void shells_run(void)
{
	check(system(NULL) && WEXITSTATUS(system("exit 7")) == 7);
	FILE *stream = popen("echo line; exit 2", "r");
	char line[32];
	check(stream && fgets(line, sizeof line, stream) && !strcmp(line, "line\n") && !fgets(line, sizeof line, stream));
	check(WEXITSTATUS(pclose(stream)) == 2);
	stream = popen("read x; [ \"$x\" = word ]", "w");
	check(stream && fputs("word\n", stream) >= 0 && pclose(stream) == 0);
	check(!popen("x", "q") && errno == EINVAL);
}

static void waits_have_their_options(void)
{
	int status;
	siginfo_t info;
	pid_t pid = start(-1, -1, -1, "sleep 0.2; exit 4");
	check(waitpid(pid, &status, WNOHANG) == 0);
	check(capspawn_wait_timeout(pid, &status, 10) == 0);
	check(!waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	check(info.si_pid == pid && info.si_code == CLD_EXITED && info.si_status == 4);
	check(WEXITSTATUS(ending(pid)) == 4);
	pid_t slow = start(-1, -1, -1, "exec sleep 20"), fast = start(-1, -1, -1, "exit 1");
	check(wait(&status) == fast && !kill(slow, 0) && !kill(slow, SIGTERM));
	check(WTERMSIG(ending(slow)) == SIGTERM && kill(slow, 0) == -1 && errno == ESRCH);
	check(wait(NULL) == -1 && errno == ECHILD && waitpid(-1, NULL, 99) == -1 && errno == EINVAL);
	check(kill(1, SIGTERM) == -1 && errno == ESRCH);
}

static void groups_and_limits_end_all(void)
{
	posix_spawnattr_t attributes;
	pid_t pid;
	char *argv[] = {"sh", "-c", "sleep 20 & wait", NULL};
	posix_spawnattr_init(&attributes);
	check(!posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK));
	check(!posix_spawnp(&pid, "sh", NULL, &attributes, argv, environ) && !killpg(pid, SIGTERM));
	check(WTERMSIG(ending(pid)) == SIGTERM);
	check(!capspawn_setattr_timeout(&attributes, 50) && !posix_spawnp(&pid, "sh", NULL, &attributes, argv, environ));
	check(WIFSIGNALED(ending(pid)) && !strcmp(capspawn_kill_reason(pid), "timeout"));
	posix_spawnattr_init(&attributes);
	check(!posix_spawnp(&pid, "sh", NULL, NULL, argv, environ) && !capspawn_kill_tree(pid, 0));
	check(WTERMSIG(ending(pid)) == SIGKILL && !strcmp(capspawn_kill_reason(pid), "requested"));
	check(posix_spawnattr_setschedpolicy(&attributes, 1) == ENOTSUP);
}

static void refusals_are_errno(void)
{
	pid_t pid;
	char *argv[] = {"x", "-l", NULL}, *bytes[] = {"sh", "-c", "exit \xff", NULL};
	check(posix_spawnp(&pid, "missing", NULL, NULL, argv, environ) == ENOENT);
	check(posix_spawn(&pid, "/usr/bin/missing", NULL, NULL, argv, environ) == ENOENT);
	check(posix_spawnp(&pid, "seq", NULL, NULL, argv, environ) == EACCES);
	check(!strcmp(capspawn_reason(), "the grant does not allow the argument"));
	/* No bytes end the component. */
	check(posix_spawnp(&pid, "sh", NULL, NULL, bytes, environ) == EACCES);
	check(posix_spawnp(&pid, "\xff", NULL, NULL, bytes, environ) == ENOENT);
	char *named[] = {"/bin/sh", "-c", "exit 5", NULL};
	check(!posix_spawn(&pid, "/bin/sh", NULL, NULL, named, environ) && WEXITSTATUS(ending(pid)) == 5);
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	check(posix_spawn_file_actions_adddup2(&actions, -1, 1) == EBADF);
	check(!posix_spawn_file_actions_adddup2(&actions, 400, 1));
	check(posix_spawnp(&pid, "sh", &actions, NULL, named, environ) == EBADF);
	posix_spawn_file_actions_destroy(&actions);
}

static void variables_and_directories_reach_the_child(void)
{
	check(!setenv("COLOR", "blue", 1) && !system("[ \"$COLOR\" = blue ] && [ -z \"$GIVEN\" ]"));
	check(getenv("GIVEN"));
	posix_spawn_file_actions_t actions;
	pid_t pid;
	char *argv[] = {"sh", "-c", "[ \"$PWD\" = /usr ] && [ -z \"$COLOR\" ]", NULL}, *none[] = {NULL};
	posix_spawn_file_actions_init(&actions);
	check(!posix_spawn_file_actions_addchdir_np(&actions, "/usr"));
	check(!posix_spawnp(&pid, "sh", &actions, NULL, argv, none) && !ending(pid));
	posix_spawn_file_actions_destroy(&actions);
}

static void broken_pipes_and_empty_waits_are_errors(void)
{
	int ends[2];
	char byte;
	signal(SIGPIPE, SIG_IGN);
	check(!pipe(ends) && read(ends[0], &byte, 1) == -1 && errno == EDEADLK);
	check(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && read(ends[0], &byte, 1) == -1 && errno == EAGAIN);
	fd_set set;
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	struct timeval soon = {0, 1000};
	check(select(ends[0] + 1, &set, NULL, NULL, &soon) == 0 && !FD_ISSET(ends[0], &set));
	check(write(ends[1], "x", 1) == 1 && read(ends[0], &byte, 1) == 1 && byte == 'x');
	close(ends[0]);
	check(write(ends[1], "x", 1) == -1 && errno == EPIPE);
	close(ends[1]);
	/* A child that ends without reading. */
	check(!pipe(ends));
	pid_t pid = start(ends[0], -1, -1, "exec <&-; exit 0");
	close(ends[0]);
	check(!ending(pid));
	ssize_t count = 0;
	while (count >= 0)
		count = write(ends[1], "xxxxxxxx", 8);
	check(errno == EPIPE);
	close(ends[1]);
	/* A child whose output nobody reads is ended by its own SIGPIPE. */
	check(!pipe(ends));
	pid = start(-1, ends[1], -1, "exec yes");
	close(ends[0]), close(ends[1]);
	check(WTERMSIG(ending(pid)) == SIGPIPE);
}

static void runs_collect_everything(void)
{
	struct capspawn_output output;
	char *argv[] = {"sh", "-c", "cat; echo no >&2; exit 9", NULL}, *idle[] = {"sh", "-c", "exit 0", NULL};
	size_t size = 300000;
	char *input = malloc(size);
	memset(input, 'i', size);
	check(!capspawn_run(argv, input, size, &output));
	check(output.out_length == size && !memcmp(output.out, input, size) && !strcmp(output.err, "no\n"));
	check(WEXITSTATUS(output.status) == 9);
	capspawn_output_free(&output);
	check(!capspawn_run(idle, input, size, &output) && !output.status && !output.out_length && !*output.out);
	capspawn_output_free(&output);
	free(input);
}

int main(int argc, char **argv)
{
	(void)argc;
	output_and_status_arrive();
	megabytes_move_both_ways_at_once();
	errors_keep_their_order_with_output();
	pipelines_connect_in_either_order();
	files_are_streams();
	shells_run();
	waits_have_their_options();
	groups_and_limits_end_all();
	refusals_are_errno();
	variables_and_directories_reach_the_child();
	broken_pipes_and_empty_waits_are_errors();
	runs_collect_everything();
	puts("12 claims hold");
	fflush(stdout);
	char *last[] = {"sh", "-c", "echo in its place; exit 6", NULL};
	execvp("sh", last);
	perror(argv[0]);
	return 1;
}
