/* Two mutexes taken in both orders. */
#include <pthread.h>

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;

static void both(pthread_mutex_t *a, pthread_mutex_t *b)
{
    pthread_mutex_lock(a);
    pthread_mutex_lock(b);
    pthread_mutex_unlock(b);
    pthread_mutex_unlock(a);
}

static void *backwards(void *nothing)
{
    both(&second, &first);
    return nothing;
}

int main(void)
{
    pthread_t other;
    both(&first, &second);
    pthread_create(&other, NULL, backwards, NULL);
    pthread_join(other, NULL);
    return 0;
}
