#include "children.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <capspawn.h>

/* Children have numbers from here on; the C library's own number is less. */
#define FIRST_PID 1000

static struct child *children;

static capspawn_process_spawn_borrow_child_t borrowed(struct child *child)
{
	return capspawn_process_spawn_borrow_child(child->handle);
}

struct child *child_add(capspawn_process_spawn_own_child_t handle, bool leads)
{
	struct child *child = calloc(1, sizeof *child);
	if (!child)
		abort();
	child->handle = handle;
	child->pid = FIRST_PID + (pid_t)capspawn_process_spawn_method_child_id(borrowed(child));
	child->leads = leads;
	struct child **end = &children;
	while (*end)
		end = &(*end)->next;
	*end = child;
	return child;
}

struct child *child_find(pid_t pid)
{
	struct child *child = children;
	while (child && child->pid != pid)
		child = child->next;
	return child;
}

struct source *child_output(struct child *child, int number)
{
	struct source *source = calloc(1, sizeof *source);
	if (!source)
		abort();
	*source = (struct source){.child = child, .number = number, .stream.__handle = NONE};
	child->holds++;
	return source;
}

/* The handle of an ended child stays until its streams are taken. */
static void release(struct child *child)
{
	if (!child->reaped || child->holds || child->handle.__handle == NONE)
		return;
	capspawn_process_spawn_child_drop_own(child->handle);
	child->handle.__handle = NONE;
}

void child_source_gone(struct source *source)
{
	source->child->holds--;
	release(source->child);
}

void child_sink_gone(struct child *child)
{
	child->holds--;
	release(child);
}

input_stream child_take_output(struct child *child, int number)
{
	capspawn_process_spawn_own_input_stream_t stream;
	capspawn_process_spawn_error_code_t error;
	bool taken = number == 1
			     ? capspawn_process_spawn_method_child_take_stdout(borrowed(child), &stream, &error)
			     : capspawn_process_spawn_method_child_take_stderr(borrowed(child), &stream, &error);
	if (!taken) {
		capspawn_process_types_error_code_free(&error);
		stream.__handle = NONE;
	}
	return stream;
}

output_stream child_take_input(struct child *child)
{
	output_stream stream;
	capspawn_process_spawn_error_code_t error;
	if (!capspawn_process_spawn_method_child_take_stdin(borrowed(child), &stream, &error)) {
		capspawn_process_types_error_code_free(&error);
		stream.__handle = NONE;
	}
	return stream;
}

/* The signal that stands for a limit of the host. */
static int limit_signal(uint8_t reason)
{
	switch (reason) {
	case CAPSPAWN_PROCESS_TYPES_KILL_REASON_CPU_TIME: return SIGXCPU;
	case CAPSPAWN_PROCESS_TYPES_KILL_REASON_FILE_SIZE: return SIGXFSZ;
	default: return SIGKILL;
	}
}

static const char *const reasons[] = {"requested", "released", "timeout", "cpu-time", "memory", "processes",
	"file-size", "output", "lifetime", "host"};

bool child_status(struct child *child, int *status)
{
	capspawn_process_spawn_exit_status_t ended;
	if (!capspawn_process_spawn_method_child_poll(borrowed(child), &ended))
		return false;
	switch (ended.tag) {
	case CAPSPAWN_PROCESS_TYPES_EXIT_STATUS_EXITED:
		*status = (ended.val.exited & 0xff) << 8;
		break;
	case CAPSPAWN_PROCESS_TYPES_EXIT_STATUS_SIGNALED:
		*status = ended.val.signaled & 0x7f;
		break;
	default:
		*status = ended.val.killed.signal.is_some ? ended.val.killed.signal.val & 0x7f
							  : limit_signal(ended.val.killed.reason);
		child->kill_reason = ended.val.killed.reason < sizeof reasons / sizeof *reasons
					     ? reasons[ended.val.killed.reason]
					     : "host";
	}
	return true;
}

const char *capspawn_kill_reason(pid_t pid)
{
	struct child *child = child_find(pid);
	return child ? child->kill_reason : NULL;
}

/* What a wait is for. */
struct wanted {
	pid_t pid;
	struct child *ended;
	int status;
};

static bool is_wanted(struct child *child, pid_t pid)
{
	if (child->reaped)
		return false;
	return pid == -1 || pid == 0 || child->pid == pid || (pid < -1 && child->leads && child->pid == -pid);
}

static bool has_ended(void *context)
{
	struct wanted *wanted = context;
	for (struct child *child = children; child; child = child->next) {
		if (!is_wanted(child, wanted->pid) || !child_status(child, &wanted->status))
			continue;
		flows_end_input_of(child);
		/* All that it wrote is where it belongs, before anybody learns that it has ended. */
		if (flows_have_output_of(child))
			continue;
		wanted->ended = child;
		return true;
	}
	return false;
}

static void wait_for_end(void *context, struct waits *waits)
{
	struct wanted *wanted = context;
	for (struct child *child = children; child; child = child->next)
		if (is_wanted(child, wanted->pid) && !flows_have_output_of(child))
			waits_child(waits, child->handle);
}

static bool exists(pid_t pid)
{
	for (struct child *child = children; child; child = child->next)
		if (is_wanted(child, pid))
			return true;
	return false;
}

/* Returns the child, NULL with `errno` 0 if none has ended, or NULL with an error. */
static struct child *wait_until(pid_t pid, int *status, bool keep, uint64_t deadline_ns)
{
	struct wanted wanted = {.pid = pid};
	if (!exists(pid)) {
		errno = ECHILD;
		return NULL;
	}
	int error = block_until(has_ended, wait_for_end, &wanted, deadline_ns);
	if (error) {
		errno = error == ETIMEDOUT ? 0 : error;
		return NULL;
	}
	*status = wanted.status;
	if (!keep) {
		wanted.ended->reaped = true;
		release(wanted.ended);
	}
	return wanted.ended;
}

static pid_t wait_child(pid_t pid, int *status, uint64_t deadline_ns)
{
	int saved = errno, ended_with;
	struct child *child = wait_until(pid, &ended_with, false, deadline_ns);
	if (!child)
		return errno ? -1 : (errno = saved, 0);
	if (status)
		*status = ended_with;
	errno = saved;
	return child->pid;
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED)) {
		errno = EINVAL;
		return -1;
	}
	/* A look, for which the copies have had their turn. */
	return wait_child(pid, status, options & WNOHANG ? 0 : NO_DEADLINE);
}

pid_t wait(int *status)
{
	return waitpid(-1, status, 0);
}

pid_t capspawn_wait_timeout(pid_t pid, int *status, uint64_t milliseconds)
{
	return wait_child(pid, status, deadline_after_ms(milliseconds));
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	if (!(options & (WEXITED | WSTOPPED | WCONTINUED)) || type == P_PIDFD) {
		errno = EINVAL;
		return -1;
	}
	pid_t pid = type == P_PID ? (pid_t)id : type == P_PGID && id ? -(pid_t)id : -1;
	int status;
	struct child *child = wait_until(pid, &status, options & WNOWAIT, options & WNOHANG ? 0 : NO_DEADLINE);
	if (info)
		memset(info, 0, sizeof *info);
	if (!child)
		return errno ? -1 : 0;
	if (info) {
		info->si_signo = SIGCHLD;
		info->si_pid = child->pid;
		info->si_code = WIFEXITED(status) ? CLD_EXITED : CLD_KILLED;
		info->si_status = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
	}
	return 0;
}

/* The interface's name of a signal, or -1. */
static int signal_of_host(int number)
{
	switch (number) {
	case SIGHUP: return CAPSPAWN_PROCESS_TYPES_SIGNAL_HANGUP;
	case SIGINT: return CAPSPAWN_PROCESS_TYPES_SIGNAL_INTERRUPT;
	case SIGQUIT: return CAPSPAWN_PROCESS_TYPES_SIGNAL_QUIT;
	case SIGTERM: return CAPSPAWN_PROCESS_TYPES_SIGNAL_TERMINATE;
	case SIGKILL: return CAPSPAWN_PROCESS_TYPES_SIGNAL_KILL;
	case SIGUSR1: return CAPSPAWN_PROCESS_TYPES_SIGNAL_USER1;
	case SIGUSR2: return CAPSPAWN_PROCESS_TYPES_SIGNAL_USER2;
	case SIGSTOP: return CAPSPAWN_PROCESS_TYPES_SIGNAL_STOP;
	case SIGCONT: return CAPSPAWN_PROCESS_TYPES_SIGNAL_CONTINUE;
	case SIGWINCH: return CAPSPAWN_PROCESS_TYPES_SIGNAL_WINDOW_CHANGE;
	case SIGALRM: return CAPSPAWN_PROCESS_TYPES_SIGNAL_ALARM;
	case SIGPIPE: return CAPSPAWN_PROCESS_TYPES_SIGNAL_BROKEN_PIPE;
	default: return -1;
	}
}

int kill(pid_t pid, int number)
{
	if (pid == getpid())
		return number ? raise(number) : 0;
	struct child *child = child_find(pid < -1 ? -pid : pid);
	if (!child || child->reaped || (pid < 0 && !child->leads)) {
		errno = ESRCH;
		return -1;
	}
	if (!number)
		return 0;
	int signal = signal_of_host(number);
	if (signal < 0) {
		errno = EINVAL;
		return -1;
	}
	capspawn_process_spawn_error_code_t error;
	bool sent = pid < 0 ? capspawn_process_spawn_method_child_signal_tree(borrowed(child), signal, &error)
			    : capspawn_process_spawn_method_child_signal(borrowed(child), signal, &error);
	if (sent)
		return 0;
	capspawn_process_types_error_code_free(&error);
	errno = EPERM;
	return -1;
}

int killpg(pid_t group, int number)
{
	if (group <= 1) {
		errno = group < 0 ? EINVAL : EPERM;
		return -1;
	}
	return kill(-group, number);
}

int capspawn_kill_tree(pid_t pid, uint64_t grace_milliseconds)
{
	struct child *child = child_find(pid);
	if (!child || child->reaped) {
		errno = ESRCH;
		return -1;
	}
	uint64_t most = UINT64_MAX / 1000000;
	capspawn_process_spawn_method_child_kill(
		borrowed(child), (grace_milliseconds < most ? grace_milliseconds : most) * 1000000);
	return 0;
}
