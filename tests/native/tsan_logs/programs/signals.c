/* A signal handler that calls malloc(), and one that changes errno. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/time.h>

static volatile sig_atomic_t rounds;
static void *volatile kept;

static void allocates(int number)
{
    (void)number;
    kept = malloc(8);
    free(kept);
    rounds++;
}

static void spoils(int number)
{
    errno = number;
    rounds++;
}

static void wait_for(void (*handler)(int))
{
    struct sigaction action = {0};
    struct itimerval soon = {{0, 10000}, {0, 10000}}, never = {{0, 0}, {0, 0}};
    action.sa_handler = handler;
    sigaction(SIGALRM, &action, NULL);
    rounds = 0;
    setitimer(ITIMER_REAL, &soon, NULL);
    while (rounds < 2)
        usleep(1000);
    setitimer(ITIMER_REAL, &never, NULL);
}

int main(void)
{
    wait_for(allocates);
    wait_for(spoils);
    return 0;
}
