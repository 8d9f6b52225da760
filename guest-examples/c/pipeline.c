/* Connects children without a shell: the output of one is the input of the next.
 *
 * Usage: pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]... */

#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
	int failed = 0, input = -1, next[2];
	for (int i = 1, end; i < argc; i = end + 1) {
		for (end = i; argv[end] && strcmp(argv[end], ":"); end++)
			;
		int last = !argv[end];
		argv[end] = NULL;
		if (end == i) {
			fputs("usage: pipeline PROGRAM [ARGS]... [: PROGRAM [ARGS]...]...\n", stderr);
			return 2;
		}
		posix_spawn_file_actions_t actions;
		posix_spawn_file_actions_init(&actions);
		if (input >= 0)
			posix_spawn_file_actions_adddup2(&actions, input, 0);
		if (!last && !pipe(next))
			posix_spawn_file_actions_adddup2(&actions, next[1], 1);
		int error = posix_spawnp(NULL, argv[i], &actions, NULL, argv + i, environ);
		posix_spawn_file_actions_destroy(&actions);
		if (error) {
			fprintf(stderr, "pipeline: %s: %s\n", argv[i], strerror(error));
			return 1;
		}
		/* The host connects both programs; the component keeps no end. */
		if (input >= 0)
			close(input);
		if (last)
			break;
		close(next[1]);
		input = next[0];
	}
	/* As with `pipefail` in a shell, one failed program fails the pipeline. */
	for (int status; wait(&status) > 0;)
		failed |= status != 0;
	return failed;
}
