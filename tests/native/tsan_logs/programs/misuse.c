/* Mutexes used wrongly: unlocked twice, locked twice, destroyed while locked, used when destroyed. */
#include <pthread.h>
#include <stdlib.h>

int main(void)
{
    pthread_mutex_t once, twice, held, gone;
    pthread_mutex_init(&once, NULL);
    pthread_mutex_lock(&once);
    pthread_mutex_unlock(&once);
    pthread_mutex_unlock(&once);
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&twice, &kind);
    pthread_mutex_lock(&twice);
    pthread_mutex_lock(&twice);
    pthread_mutex_unlock(&twice);
    pthread_mutex_init(&held, NULL);
    pthread_mutex_lock(&held);
    pthread_mutex_destroy(&held);
    pthread_mutex_init(&gone, NULL);
    pthread_mutex_destroy(&gone);
    pthread_mutex_lock(&gone);
    return 0;
}
