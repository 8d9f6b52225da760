/* A program in the usual style, which knows nothing of components: talks to a filter over two pipes. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(void)
{
	int in[2], out[2];
	if (pipe(in) || pipe(out)) {
		perror("pipe");
		return 1;
	}
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, in[1]);
	posix_spawn_file_actions_addclose(&actions, out[0]);
	char *argv[] = {"/bin/sh", "-c", "tr a-z A-Z; exit 3", NULL};
	pid_t pid;
	if (posix_spawn(&pid, "/bin/sh", &actions, NULL, argv, environ)) {
		perror("posix_spawn");
		return 1;
	}
	posix_spawn_file_actions_destroy(&actions);
	close(in[0]);
	close(out[1]);
	FILE *to = fdopen(in[1], "w"), *from = fdopen(out[0], "r");
	fprintf(to, "hello\n");
	fclose(to);
	for (int c; (c = getc(from)) != EOF;)
		putchar(c);
	fclose(from);
	int status;
	waitpid(pid, &status, 0);
	printf("status %d\n", WEXITSTATUS(status));
	return 0;
}
