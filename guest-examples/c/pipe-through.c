/* A filter: copies standard input to a program, and its output to standard output.
 *
 * Usage: pipe-through PROGRAM [ARGS]...
 *
 * The streams may have any length; memory use is constant. */

#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("usage: pipe-through PROGRAM [ARGS]...\n", stderr);
		return 1;
	}
	/* Standard output and standard error are inherited; an action passes standard input on too.
	 * While the component waits, the library copies in both directions. */
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, 0, 0);

	pid_t child;
	int status, error = posix_spawnp(&child, argv[1], &actions, NULL, argv + 1, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error) {
		fprintf(stderr, "pipe-through: %s: %s\n", argv[1], strerror(error));
		return 1;
	}
	waitpid(child, &status, 0);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "pipe-through: %s was ended by signal %d\n", argv[1], WTERMSIG(status));
	return 1;
}
