/* The shortest way: one call runs a program to its end.
 *
 * Usage: run-once PROGRAM [ARGS]... */

#include <capspawn.h>
#include <stdio.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs("usage: run-once PROGRAM [ARGS]...\n", stderr);
		return 1;
	}
	struct capspawn_output output;
	if (capspawn_run(argv + 1, NULL, 0, &output)) {
		/* The grant does not list the program, or refuses an argument; the operator sees which. */
		printf("%s did not run: %s\n", argv[1], capspawn_reason());
		return 0;
	}
	/* A program that ran and failed is a result, not an error. */
	fwrite(output.out, 1, output.out_length, stdout);
	if (WIFEXITED(output.status))
		printf("%s exited with %d\n", argv[1], WEXITSTATUS(output.status));
	else
		printf("%s was ended by signal %d\n", argv[1], WTERMSIG(output.status));
	capspawn_output_free(&output);
	return 0;
}
