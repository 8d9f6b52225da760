/* What starts a program and does more: system, popen, exec. A shell runs only if the grant lists `sh`. */
#include <capspawn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wasi/api.h>

extern char **environ;

static int start_shell(pid_t *pid, const char *command, const posix_spawn_file_actions_t *actions)
{
	char *argv[] = {"sh", "-c", (char *)command, NULL};
	return posix_spawnp(pid, "sh", actions, NULL, argv, environ);
}

int system(const char *command)
{
	if (!command)
		return 1;
	pid_t pid;
	int status;
	int error = start_shell(&pid, command, NULL);
	if (error) {
		errno = error;
		/* As POSIX has it for a shell that cannot run. */
		return error == EAGAIN || error == ENOMEM ? -1 : 127 << 8;
	}
	return waitpid(pid, &status, 0) < 0 ? -1 : status;
}

/* The streams that popen has made. */
struct opened {
	struct opened *next;
	FILE *stream;
	pid_t pid;
};

static struct opened *opened;

FILE *popen(const char *command, const char *mode)
{
	bool reads = *mode == 'r';
	if ((!reads && *mode != 'w') || mode[1 + strspn(mode + 1, "eb")]) {
		errno = EINVAL;
		return NULL;
	}
	int ends[2];
	if (pipe(ends) < 0)
		return NULL;
	int own = ends[!reads], childs = ends[reads];
	struct opened *entry = malloc(sizeof *entry);
	FILE *stream = entry ? fdopen(own, reads ? "r" : "w") : NULL;
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	int error = stream ? posix_spawn_file_actions_adddup2(&actions, childs, reads ? 1 : 0) : ENOMEM;
	if (!error)
		error = start_shell(&entry->pid, command, &actions);
	posix_spawn_file_actions_destroy(&actions);
	close(childs);
	if (error) {
		stream ? fclose(stream) : close(own);
		free(entry);
		errno = error;
		return NULL;
	}
	entry->stream = stream;
	entry->next = opened;
	opened = entry;
	return stream;
}

int pclose(FILE *stream)
{
	struct opened **link = &opened;
	while (*link && (*link)->stream != stream)
		link = &(*link)->next;
	if (!*link) {
		errno = EINVAL;
		return -1;
	}
	struct opened *entry = *link;
	*link = entry->next;
	pid_t pid = entry->pid;
	free(entry);
	fclose(stream);
	int status;
	return waitpid(pid, &status, 0) < 0 ? -1 : status;
}

int execve(const char *path, char *const argv[], char *const envp[])
{
	posix_spawn_file_actions_t actions;
	pid_t pid;
	posix_spawn_file_actions_init(&actions);
	/* The program takes the component's place, its input included. */
	int error = posix_spawn_file_actions_adddup2(&actions, 0, 0);
	if (!error)
		error = posix_spawn(&pid, path, &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	if (error) {
		errno = error;
		return -1;
	}
	int status;
	if (waitpid(pid, &status, 0) < 0)
		_exit(125);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

int execv(const char *path, char *const argv[])
{
	return execve(path, argv, environ);
}

int execvp(const char *file, char *const argv[])
{
	return execve(file, argv, environ);
}
