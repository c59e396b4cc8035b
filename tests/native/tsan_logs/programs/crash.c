/* A race, and then a crash. */
#include <pthread.h>

static int counter;
static int *volatile nowhere;

static void *adds(void *nothing)
{
    counter++;
    return nothing;
}

int main(void)
{
    pthread_t other;
    pthread_create(&other, NULL, adds, NULL);
    counter++;
    pthread_join(other, NULL);
    return *nowhere;
}
